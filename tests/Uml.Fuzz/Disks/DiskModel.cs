using Uml.Fuzz.Running;
using Uml.Storage.Blocks;

namespace Uml.Fuzz.Disks;

/// <summary>What a disk has to have, and random requests to it: many at once, none of which changes what another one is at.</summary>
/// <param name="random">Where they come from.</param>
/// <param name="contents">What the disk has.</param>
internal sealed class DiskModel(FuzzRandom random, byte[] contents)
{
    private const int Sector = 512, MaximumBatch = 12, SmallSectors = 24, LargeSectors = 1500;

    /// <summary>What a resize may make of a disk, in sectors.</summary>
    private const int MaximumSectors = 40_000;

    private byte[] _contents = contents;

    /// <summary>Sectors that were discarded: what they have is not known.</summary>
    private bool[] _isUnknown = new bool[contents.Length / Sector];

    /// <summary>Requests that were made.</summary>
    public long Requests { get; private set; }

    /// <summary>Sends some requests at once, and looks at what was read.</summary>
    public async Task RunBatchAsync(IBlockDevice device)
    {
        List<DiskModelRequest> requests = [];
        for (int count = 1 + random.Below(MaximumBatch); count > 0; count--)
        {
            DiskModelRequest request = Choose(device);
            if (!requests.Exists(other => other.Disturbs(request)))
            {
                requests.Add(request);
            }
        }

        await Task.WhenAll(requests.Select(request => request.RunAsync(device)));
        foreach (DiskModelRequest request in requests)
        {
            Apply(request);
        }

        Requests += requests.Count;
    }

    /// <summary>Gives the disk another size.</summary>
    public async Task ResizeAsync(IBlockDevice device)
    {
        if (device.GetCapability<IResizable>() is not { } resizable)
        {
            return;
        }

        int sectors = 1 + random.Below(MaximumSectors);
        await resizable.ResizeAsync((long)sectors * Sector);
        Array.Resize(ref _contents, sectors * Sector);
        Array.Resize(ref _isUnknown, sectors);
        Requests++;
    }

    /// <summary>Compares all of a disk, and takes what it has where it was not known.</summary>
    public async Task CheckAsync(IBlockDevice device, string when)
    {
        byte[] all = new byte[device.Length];
        await device.ReadAsync(0, all);
        Check(all, when);
        all.CopyTo(_contents, 0);
        Array.Clear(_isUnknown);
    }

    /// <summary>Compares what somebody else says that the disk has.</summary>
    public void Check(ReadOnlySpan<byte> all, string when)
    {
        if (all.Length != _contents.Length)
        {
            throw new InvalidOperationException($"The disk has {all.Length} bytes {when}, and has to have {_contents.Length}.");
        }

        CheckRange(all, 0, when);
    }

    private DiskModelRequest Choose(IBlockDevice device)
    {
        int sectors = _contents.Length / Sector, start = random.Below(sectors);
        int count = Math.Min(sectors - start, 1 + random.Below(random.OneIn(4) ? LargeSectors : SmallSectors));
        DiskRequestKind kind = random.Below(16) switch
        {
            0 when device.GetCapability<IFlushable>() is not null => DiskRequestKind.Flush,
            1 when device.GetCapability<IDiscardable>() is not null => DiskRequestKind.Discard,
            2 when device.GetCapability<IZeroable>() is not null => DiskRequestKind.Zero,
            3 when device.GetCapability<IZeroable>() is not null => DiskRequestKind.ZeroByDiscard,
            < 10 => DiskRequestKind.Write,
            _ => DiskRequestKind.Read,
        };
        byte[] data = kind == DiskRequestKind.Write ? random.Bytes(count * Sector) : new byte[count * Sector];
        return new DiskModelRequest(kind, (long)start * Sector, data, random.Below(3000));
    }

    private void Apply(DiskModelRequest request)
    {
        switch (request.Kind)
        {
            case DiskRequestKind.Read:
                CheckRange(request.Data, request.Offset, "in a read");
                break;
            case DiskRequestKind.Write or DiskRequestKind.Zero or DiskRequestKind.ZeroByDiscard or DiskRequestKind.Discard:
                request.Data.CopyTo(_contents, request.Offset);
                _isUnknown.AsSpan((int)(request.Offset / Sector), request.Data.Length / Sector).Fill(request.Kind == DiskRequestKind.Discard);
                break;
        }
    }

    private void CheckRange(ReadOnlySpan<byte> found, long offset, string when)
    {
        for (int at = 0; at < found.Length; at += Sector)
        {
            if (!_isUnknown[(offset + at) / Sector] && !found.Slice(at, Sector).SequenceEqual(_contents.AsSpan((int)offset + at, Sector)))
            {
                throw new InvalidOperationException($"Sector {(offset + at) / Sector} of {_contents.Length / Sector} is not what was written to it, {when}.");
            }
        }
    }
}
