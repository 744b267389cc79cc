using Uml.Storage.Blocks;

namespace Uml.Storage.Tests.Formats;

/// <summary>What a disk has to have.</summary>
/// <param name="contents">What it has at first.</param>
internal sealed class ModelContents(byte[] contents)
{
    public const int Sector = 512;

    private byte[] _contents = contents;

    /// <summary>Sectors that were discarded: what they have is not known.</summary>
    private bool[] _isUnknown = new bool[contents.Length / Sector];

    public int Sectors => _isUnknown.Length;

    /// <summary>What the disk has; of what was discarded since the last time that all was compared, something.</summary>
    public byte[] ToArray() => [.. _contents];

    /// <summary>Takes what a request changed, or compares what it read.</summary>
    /// <exception cref="InvalidOperationException">It read something else.</exception>
    public void Apply(ModelRequest request)
    {
        switch (request.Kind)
        {
            case ModelRequestKind.Read:
                CheckRange(request.Data, request.Offset, "in a read");
                break;
            case not ModelRequestKind.Flush:
                request.Data.CopyTo(_contents, request.Offset);
                _isUnknown.AsSpan((int)(request.Offset / Sector), request.Data.Length / Sector).Fill(request.Kind == ModelRequestKind.Discard);
                break;
        }
    }

    /// <summary>Gives the disk another size. What is new is zeroes.</summary>
    public async Task ResizeAsync(IResizable device, int sectors)
    {
        await device.ResizeAsync((long)sectors * Sector);
        Array.Resize(ref _contents, sectors * Sector);
        Array.Resize(ref _isUnknown, sectors);
    }

    /// <summary>Compares all of a disk, and takes what it has where it was not known.</summary>
    /// <exception cref="InvalidOperationException">It has something else.</exception>
    public async Task CheckAsync(IBlockDevice device, string when)
    {
        byte[] all = new byte[device.Length];
        await device.ReadAsync(0, all);
        Check(all, when);
        all.CopyTo(_contents, 0);
        Array.Clear(_isUnknown);
    }

    /// <summary>Compares what somebody else says that the disk has.</summary>
    /// <exception cref="InvalidOperationException">It is something else.</exception>
    public void Check(ReadOnlySpan<byte> all, string when)
    {
        if (all.Length != _contents.Length)
        {
            throw new InvalidOperationException($"The disk has {all.Length} bytes {when}, and has to have {_contents.Length}.");
        }

        CheckRange(all, 0, when);
    }

    private void CheckRange(ReadOnlySpan<byte> found, long offset, string when)
    {
        for (int at = 0; at < found.Length; at += Sector)
        {
            if (!_isUnknown[(offset + at) / Sector] && !found.Slice(at, Sector).SequenceEqual(_contents.AsSpan((int)offset + at, Sector)))
            {
                throw new InvalidOperationException($"Sector {(offset + at) / Sector} of {Sectors} is not what was written to it, {when}.");
            }
        }
    }
}
