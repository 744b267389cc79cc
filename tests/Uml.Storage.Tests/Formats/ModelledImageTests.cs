using CsCheck;
using Uml.Storage.Formats.Qcow2;
using Uml.Storage.Formats.Raw;
using Uml.Storage.Formats.UmlCow;

namespace Uml.Storage.Tests.Formats;

/// <summary>
/// Images of every format and geometry beside a model of the disk. Every run has cases of its own: 100 a test, some thousand steps, or what the variables
/// of CsCheck say. A failure prints the smallest case that was found and its seed; with that in CsCheck_Seed, and seconds in CsCheck_Time, smaller ones
/// are looked for.
/// </summary>
public sealed class ModelledImageTests
{
    /// <summary>The largest disk: 2 MiB, many clusters of 512 bytes and one of 2 MiB.</summary>
    internal const int MaximumSectors = 4096;

    private const int MaximumSteps = 80;

    private static readonly Gen<int> s_sectors = Gen.Int[1, MaximumSectors];

    /// <summary>Costs a flush of the host for each write.</summary>
    private static readonly Gen<bool> s_isSynchronous = Gen.Frequency((7, false), (1, true));

    private static readonly Gen<Qcow2CreateOptions> s_creation = Gen.Select(
        Gen.Bool, Gen.Int[9, 21], Gen.Int[0, 6], Gen.Bool, Gen.OneOf(Qcow2BackingFormat.Raw, Qcow2BackingFormat.Qcow2),
        Gen.OneOf(Qcow2Preallocation.Off, Qcow2Preallocation.Metadata),
        (isOld, clusterBits, order, isLazy, below, preallocation) => new Qcow2CreateOptions
        {
            Version = isOld ? 2 : 3,
            ClusterSize = 1 << clusterBits,
            RefcountBits = isOld ? 16 : 1 << order,
            HasLazyRefcounts = isLazy && !isOld,
            BackingFormat = below,
            Preallocation = preallocation,
        });

    private static readonly Gen<Qcow2Options> s_options = Gen.Select(
        Gen.Bool, Gen.OneOf(0, 100_000, 8 << 20), (discards, cache) => new Qcow2Options { Discards = discards, CacheBytes = cache });

    [Test]
    public Task A_raw_image_has_what_was_written_to_it() => CheckAsync(Gen.Select(
        s_sectors, s_isSynchronous, Gen.Bool,
        ModelledImage (sectors, isSynchronous, discards) => new RawModel(sectors, new RawImageOptions { IsSynchronous = isSynchronous, Discards = discards })));

    [Test]
    public Task A_copy_on_write_file_has_what_was_written_to_it_over_what_is_below() => CheckAsync(Gen.Select(
        s_sectors, Gen.Int[1, 3], Gen.Int[0, 7], s_isSynchronous, Gen.Bool,
        ModelledImage (sectors, version, order, isSynchronous, discards) => new UmlCowModel(
            // The bitmaps of old versions are in whole bytes.
            version == 3 ? sectors : (sectors + 7) / 8 * 8,
            version,
            version == 3 ? ModelContents.Sector << order : ModelContents.Sector,
            new UmlCowOptions { IsSynchronous = isSynchronous, Discards = discards })));

    [Test]
    public Task A_qcow2_image_of_any_geometry_has_what_was_written_to_it() => CheckAsync(Gen.Select(
        s_sectors, Gen.Frequency((1, Gen.Const(0)), (1, s_sectors)), s_creation, s_options, Gen.Frequency((9, false), (1, true)),
        ModelledImage (sectors, below, creation, options, isSeen) =>
            new Qcow2Model(sectors, creation.Preallocation == Qcow2Preallocation.Off ? below : 0, creation, options, isSeen)));

    private static Task CheckAsync(Gen<ModelledImage> images) => Gen.Select(images, DiskStep.Any.Array[0, MaximumSteps]).SampleAsync(async (image, steps) =>
    {
        using TemporaryFolder folder = new();
        await using ModelledDisk disk = new(image, folder, await image.MakeAsync(folder));
        foreach (DiskStep step in steps)
        {
            await step.RunAsync(disk);
        }

        await disk.ReopenAsync();
    });
}
