using Uml.Fuzz.Running;
using Uml.Storage.Blocks;
using Uml.Storage.Tests.Formats;

namespace Uml.Fuzz.Disks;

/// <summary>What a disk has to have, and random requests to it: many at once, none of which changes what another one is at.</summary>
/// <param name="random">Where they come from.</param>
/// <param name="contents">What the disk has.</param>
internal sealed class DiskModel(FuzzRandom random, byte[] contents)
{
    private const int Sector = ModelContents.Sector, MaximumBatch = 12, SmallSectors = 24, LargeSectors = 1500;

    /// <summary>What a resize may make of a disk, in sectors.</summary>
    private const int MaximumSectors = 40_000;

    public ModelContents Contents { get; } = new(contents);

    /// <summary>Requests that were made.</summary>
    public long Requests { get; private set; }

    /// <summary>Sends some requests at once, and looks at what was read.</summary>
    public async Task RunBatchAsync(IBlockDevice device)
    {
        List<ModelRequest> requests = [];
        for (int count = 1 + random.Below(MaximumBatch); count > 0; count--)
        {
            ModelRequest request = Choose(device);
            if (!requests.Exists(other => other.Disturbs(request)))
            {
                requests.Add(request);
            }
        }

        await Task.WhenAll(requests.Select(request => request.RunAsync(device)));
        requests.ForEach(Contents.Apply);
        Requests += requests.Count;
    }

    /// <summary>Gives the disk another size, if it can have one.</summary>
    public async Task ResizeAsync(IBlockDevice device)
    {
        if (device.GetCapability<IResizable>() is { } resizable)
        {
            await Contents.ResizeAsync(resizable, 1 + random.Below(MaximumSectors));
            Requests++;
        }
    }

    private ModelRequest Choose(IBlockDevice device)
    {
        int start = random.Below(Contents.Sectors);
        int count = Math.Min(Contents.Sectors - start, 1 + random.Below(random.OneIn(4) ? LargeSectors : SmallSectors));
        ModelRequestKind kind = random.Below(16) switch
        {
            0 => ModelRequestKind.Flush,
            1 => ModelRequestKind.Discard,
            2 => ModelRequestKind.Zero,
            3 => ModelRequestKind.ZeroByDiscard,
            < 10 => ModelRequestKind.Write,
            _ => ModelRequestKind.Read,
        };
        if (!ModelRequest.IsPossible(kind, device))
        {
            kind = ModelRequestKind.Write;
        }

        byte[] data = kind == ModelRequestKind.Write ? random.Bytes(count * Sector) : new byte[count * Sector];
        return new ModelRequest(kind, (long)start * Sector, data, random.Below(3000));
    }
}
