using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Uml.Net.Frames;

namespace Uml.Net.InProcess;

/// <summary>
/// Frames that wait for one reader, copied one behind the other into a buffer that is used again from its start. Writers take turns; the reader
/// needs no lock. The host commits the buffer's memory as it is first used.
/// </summary>
/// <param name="capacity">Bytes: a power of two.</param>
// SAFETY: a header is read and written through a span of its size, which the array has checked.
internal sealed class FrameRing(int capacity)
{
    /// <summary>Of records, and of their headers.</summary>
    private const int Alignment = 16;

    /// <summary>Length of a record that only fills the end of the buffer.</summary>
    private const int Filler = -1;

    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(capacity);

    // Bytes ever written and read.
    private ulong _written, _read;

    /// <summary>Whether the reader has taken everything.</summary>
    public bool IsEmpty => Volatile.Read(ref _written) == Volatile.Read(ref _read);

    /// <summary>Bytes of the ring that a frame takes.</summary>
    public static int SizeOf(int length) => (Unsafe.SizeOf<Header>() + length + Alignment - 1) & -Alignment;

    /// <summary>Whether there is room for records of this size together, wherever the buffer ends.</summary>
    /// <param name="size">The sum of <see cref="SizeOf"/>.</param>
    /// <param name="largest">The largest of them, which may have to go to the start of the buffer.</param>
    public bool HasRoom(int size, int largest) => (ulong)((long)size + largest) <= (ulong)capacity - (_written - Volatile.Read(ref _read));

    /// <summary>Adds a frame, for which there is room. It is not there for the reader before <see cref="Publish"/>.</summary>
    /// <param name="frame">The frame.</param>
    /// <param name="offload">What is left to do for it.</param>
    /// <param name="position">Where it begins: 0 for the first since the last call of <see cref="Publish"/>; moves on.</param>
    /// <returns>Its bytes in the ring.</returns>
    public Span<byte> Add(NetFrame frame, NetOffload offload, ref int position)
    {
        int size = SizeOf(frame.Length);
        int start = (int)((_written + (ulong)position) & (ulong)(capacity - 1));
        if (size > capacity - start)
        {
            HeaderAt(start).Length = Filler;
            position += capacity - start;
            start = 0;
        }

        ref Header header = ref HeaderAt(start);
        header.Length = frame.Length;
        header.Offload = offload;
        Span<byte> bytes = _buffer.AsSpan(start + Unsafe.SizeOf<Header>(), frame.Length);
        frame.CopyTo(bytes);
        position += size;
        return bytes;
    }

    /// <summary>Gives what was added to the reader.</summary>
    /// <param name="position">Where the last one ended.</param>
    public void Publish(int position) => Volatile.Write(ref _written, _written + (ulong)position);

    /// <summary>Takes the next frame, if there is one.</summary>
    /// <param name="room">Gets it.</param>
    /// <param name="fits">False when it was longer than the room, and is lost.</param>
    /// <returns>Whether there was one.</returns>
    public bool TryTake(NetFrame room, out bool fits)
    {
        ulong read = _read;
        fits = true;
        while (Volatile.Read(ref _written) != read)
        {
            int start = (int)(read & (ulong)(capacity - 1));
            ref Header header = ref HeaderAt(start);
            if (header.Length == Filler)
            {
                read += (ulong)(capacity - start);
                continue;
            }

            fits = room.TryCopyFrom(_buffer.AsSpan(start + Unsafe.SizeOf<Header>(), header.Length));
            room.Offload = header.Offload;
            Volatile.Write(ref _read, read + (ulong)SizeOf(header.Length));
            return true;
        }

        Volatile.Write(ref _read, read);
        return false;
    }

    private ref Header HeaderAt(int start) => ref Unsafe.As<byte, Header>(ref _buffer.AsSpan(start, Unsafe.SizeOf<Header>())[0]);

    [StructLayout(LayoutKind.Sequential, Size = Alignment)]
    private struct Header
    {
        public int Length;
        public NetOffload Offload;
    }
}
