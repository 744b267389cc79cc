namespace Uml.Devices.Consoles;

/// <summary>Output between a guest and a <see cref="ConsoleOutputReader"/>. Not safe for several threads: the channel holds its lock.</summary>
internal sealed class OutputRing
{
    private const int Capacity = 256 << 10;

    private readonly ByteRing _ring = new(Capacity);
    private bool _wasFull;

    /// <summary>Takes output of the guest, as much as there is room for.</summary>
    public int Accept(ReadOnlySpan<byte> source)
    {
        int accepted = _ring.Write(source);
        _wasFull |= accepted < source.Length;
        return accepted;
    }

    /// <summary>Takes the buffered output, and returns whether the guest is waiting for room.</summary>
    public int Take(Span<byte> destination, out bool hasRoomAgain)
    {
        int taken = _ring.Read(destination);
        hasRoomAgain = _wasFull && taken > 0;
        _wasFull &= !hasRoomAgain;
        return taken;
    }
}
