using Uml.Storage.Blocks;
using Uml.Storage.Decorators;
using Uml.Storage.Files;
using Uml.Storage.Formats.Qcow2;
using Uml.Storage.Formats.Raw;
using Uml.Storage.Formats.UmlCow;
using Uml.Storage.Tests.Files;
using Uml.Storage.Tests.Formats.Qcow2;
using Uml.Storage.Tools;

namespace Uml.PowerCuts.Tests;

/// <summary>A format of images whose rounds are the same but for how an image is made, opened and checked.</summary>
/// <param name="Name">Its name on the command line.</param>
/// <param name="Make">Makes an image at a path, over a raw one at another.</param>
/// <param name="Open">Opens it.</param>
/// <param name="OpenVolatile">Opens it so that its power can be cut; with a seed.</param>
/// <param name="Check">Has others' tools look at it, where there are some.</param>
internal sealed record DiskFormat(string Name, Action<string, string> Make, Func<string, IBlockDevice> Open, Func<string, int, VolatileDisk> OpenVolatile, Action<string> Check)
{
    public static IReadOnlyList<DiskFormat> All { get; } =
    [
        new("raw", MakeRaw, static path => RawBlockDevice.Open(path), OpenVolatileRaw, static _ => { }),
        new(
            "cow",
            UmlCowBlockDevice.Create,
            static path => UmlCowBlockDevice.Open(path),
            static (path, seed) => OpenIn(path, seed, file => UmlCowBlockDevice.Open(file, new UmlCowOptions(), writesBacking: false)),
            static _ => { }),
        new(
            "qcow2",
            static (path, backing) => Qcow2BlockDevice.Create(path, new FileInfo(backing).Length, new Qcow2CreateOptions { BackingPath = backing }),
            static path => Qcow2BlockDevice.Open(path),
            static (path, seed) => OpenIn(path, seed, file => Qcow2BlockDevice.Open(file, new Qcow2Options(), [])),
            QemuImage.AssertUsable),
        new(
            "qcow2-small",
            MakeSmall,
            static path => Qcow2BlockDevice.Open(path),
            static (path, seed) => OpenIn(path, seed, file => Qcow2BlockDevice.Open(file, new Qcow2Options { CacheBytes = 16384 }, [])),
            QemuImage.AssertUsable),
    ];

    public static DiskFormat Get(string name) => All.FirstOrDefault(format => format.Name == name)
        ?? throw new ArgumentException($"There is no format '{name}': write one of {string.Join(", ", All.Select(format => format.Name))}.", nameof(name));

    /// <summary>An image of its own, with what the other one has.</summary>
    private static void MakeRaw(string path, string backing)
    {
        RawBlockDevice.Create(path, new FileInfo(backing).Length);
        CopyAsync(backing, RawBlockDevice.Open(path)).GetAwaiter().GetResult();
    }

    private static void MakeSmall(string path, string backing)
    {
        Qcow2BlockDevice.Create(path, new FileInfo(backing).Length, new Qcow2CreateOptions { ClusterSize = 512, Version = 2 });
        CopyAsync(backing, Qcow2BlockDevice.Open(path)).GetAwaiter().GetResult();
    }

    private static async Task CopyAsync(string backing, IBlockDevice destination)
    {
        await using (destination)
        {
            await using RawBlockDevice source = RawBlockDevice.Open(backing, new RawImageOptions { IsReadOnly = true });
            await BlockCopy.CopyAsync(source, destination, new BlockCopyOptions { IsDestinationZero = true });
        }
    }

    /// <summary>A device with a cache that is lost: what a raw image has is what its file has.</summary>
    private static VolatileDisk OpenVolatileRaw(string path, int seed)
    {
        RawBlockDevice device = RawBlockDevice.Open(path);
        VolatileCacheBlockDevice cache = device.WithVolatileCache(seed);
        return new VolatileDisk(cache, async () => await cache.CutPowerAsync(), async () => await cache.DisposeAsync());
    }

    /// <summary>A format over a file that loses what was not flushed, as it was at the moment of the cut.</summary>
    private static VolatileDisk OpenIn(string path, int seed, Func<IImageFile, IBlockDevice> open)
    {
        PowerCutFile file = new(File.ReadAllBytes(path), path);
        FaultyBlockDevice device = open(file).WithFaults();
        return new VolatileDisk(
            device,
            async () =>
            {
                await File.WriteAllBytesAsync(path, file.Cut(new Random(seed)));
                device.CutPower();
            },
            async () => await device.DisposeAsync());
    }
}
