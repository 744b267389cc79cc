using Uml.Storage.Blocks;
using Uml.Storage.Decorators;
using Uml.Storage.Formats.Raw;
using Uml.Storage.Formats.UmlCow;

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
        new("raw", static (path, backing) => File.Copy(backing, path), static path => RawBlockDevice.Open(path), OpenVolatileRaw, static _ => { }),
        new("cow", UmlCowBlockDevice.Create, static path => UmlCowBlockDevice.Open(path), OpenVolatileRaw, static _ => { }),
    ];

    public static DiskFormat Get(string name) => All.First(format => format.Name == name);

    private static VolatileDisk OpenVolatileRaw(string path, int seed)
    {
        RawBlockDevice device = RawBlockDevice.Open(path);
        VolatileCacheBlockDevice cache = device.WithVolatileCache(seed);
        return new VolatileDisk(cache, async () => await cache.CutPowerAsync(), async () => await cache.DisposeAsync());
    }
}
