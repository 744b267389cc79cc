using Uml.Fuzz.Running;
using Uml.Storage.Blocks;
using Uml.Storage.Formats.Qcow2;
using Uml.Storage.Formats.Raw;
using Uml.Storage.Formats.UmlCow;
using Uml.Storage.Tests.Formats.UmlCow;
using Uml.Storage.Tests.Images;

namespace Uml.Fuzz.Disks;

/// <summary>A format of images: how one is made, and opened.</summary>
/// <param name="Name">Its name, for outcomes.</param>
/// <param name="HeaderLength">Where half of the damage is done.</param>
/// <param name="Make">Makes a whole image at <see cref="ImagePath"/>, over <see cref="BackingPath"/> if it is over one.</param>
/// <param name="Open">Opens it, with any options.</param>
internal sealed record ImageFormat(string Name, int HeaderLength, Action<FuzzRandom, ScratchDirectory> Make, Func<FuzzRandom, ScratchDirectory, IBlockDevice> Open)
{
    public const string ImagePath = "image", BackingPath = "backing";

    /// <summary>Bytes of the disks.</summary>
    public const int Length = 128 << 10;

    public static IReadOnlyList<ImageFormat> All { get; } =
    [
        new("raw", 1024, static (_, scratch) => File.WriteAllBytes(scratch[ImagePath], new byte[Length]), OpenRaw),
        new("cow of version 1", 288, static (random, scratch) => MakeCow(random, scratch, 1), OpenCow),
        new("cow of version 2", 4120, static (random, scratch) => MakeCow(random, scratch, 2), OpenCow),
        new("cow of version 3", 4128, static (random, scratch) => MakeCow(random, scratch, 3), OpenCow),
        new("qcow2", 4096, MakeQcow2, OpenQcow2),
    ];

    /// <summary>Sectors of any size; of old versions eight at least, since they have bits for no fewer.</summary>
    private static void MakeCow(FuzzRandom random, ScratchDirectory scratch, int version) =>
        File.WriteAllBytes(scratch[ImagePath], UmlCowFile.Make(scratch[BackingPath], version, 512 << random.Below(version == 3 ? 8 : 6)));

    private static RawBlockDevice OpenRaw(FuzzRandom random, ScratchDirectory scratch) => RawBlockDevice.Open(
        scratch[ImagePath],
        new RawImageOptions { IsReadOnly = random.OneIn(8), IsSynchronous = random.OneIn(4), Locks = !random.OneIn(4), Discards = !random.OneIn(4) });

    private static UmlCowBlockDevice OpenCow(FuzzRandom random, ScratchDirectory scratch) => UmlCowBlockDevice.Open(
        scratch[ImagePath],
        new UmlCowOptions
        {
            IsReadOnly = random.OneIn(8),
            IsSynchronous = random.OneIn(8),
            Locks = !random.OneIn(4),
            Discards = !random.OneIn(4),
            BackingPath = random.OneIn(2) ? scratch[BackingPath] : null,
        });

    private static void MakeQcow2(FuzzRandom random, ScratchDirectory scratch)
    {
        string path = scratch[ImagePath];
        bool isOld = random.OneIn(3);
        Qcow2BlockDevice.Create(path, Length, new Qcow2CreateOptions
        {
            ClusterSize = 512 << random.Below(8),
            Version = isOld ? 2 : 3,
            RefcountBits = isOld || random.OneIn(2) ? 16 : 1 << random.Below(7),
            BackingPath = random.OneIn(2) ? scratch[BackingPath] : null,
        });

        // Something to be damaged: tables and counts.
        Qcow2BlockDevice device = Qcow2BlockDevice.Open(path);
        for (int i = random.Below(20); i > 0; i--)
        {
            device.WriteAsync(random.Below(Length / 512) * 512L, random.Bytes(512)).AsTask().GetAwaiter().GetResult();
        }

        device.DisposeAsync().AsTask().GetAwaiter().GetResult();
    }

    private static Qcow2BlockDevice OpenQcow2(FuzzRandom random, ScratchDirectory scratch) => Qcow2BlockDevice.Open(
        scratch[ImagePath],
        new Qcow2Options
        {
            IsReadOnly = random.OneIn(8),
            Locks = !random.OneIn(4),
            Discards = !random.OneIn(4),
            CacheBytes = random.OneIn(2) ? 8 << 20 : random.Below(10_000),
        });
}
