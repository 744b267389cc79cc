using System.Buffers.Binary;
using Uml.Core.Boot;

namespace Uml.Core.Tests.Boot;

/// <summary>Guest RAM for loader tests: one array, everything else is a failure.</summary>
internal sealed class FakeMemory(int bytes) : IBootMemory
{
    public byte[] Bytes { get; } = NewDirtyArray(bytes);

    public void Write(ulong physicalAddress, ReadOnlySpan<byte> data) =>
        data.CopyTo(Bytes.AsSpan(checked((int)physicalAddress), data.Length));

    public void Clear(ulong physicalAddress, ulong length) =>
        Bytes.AsSpan(checked((int)physicalAddress), checked((int)length)).Clear();

    public uint U32(ulong address) => BinaryPrimitives.ReadUInt32LittleEndian(Bytes.AsSpan((int)address));

    public ulong U64(ulong address) => BinaryPrimitives.ReadUInt64LittleEndian(Bytes.AsSpan((int)address));

    public ReadOnlySpan<byte> Span(ulong address, int length) => Bytes.AsSpan((int)address, length);

    public string Text(ulong address)
    {
        ReadOnlySpan<byte> tail = Bytes.AsSpan((int)address);
        return System.Text.Encoding.UTF8.GetString(tail[..tail.IndexOf((byte)0)]);
    }

    // Fresh RAM is not zero in these tests, so that a loader that forgets to clear is found.
    private static byte[] NewDirtyArray(int bytes)
    {
        byte[] array = new byte[bytes];
        array.AsSpan().Fill(0xcc);
        return array;
    }
}
