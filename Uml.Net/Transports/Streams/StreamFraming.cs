using System.Buffers.Binary;

namespace Uml.Net.Transports.Streams;

/// <summary>How frames are told apart in a stream of bytes: by their length before each.</summary>
public enum StreamFraming
{
    /// <summary>Four bytes, the highest first: QEMU's <c>-netdev stream</c> and <c>socket</c>, passt, gvproxy's <c>-listen-qemu</c>.</summary>
    Qemu,

    /// <summary>Two bytes, the lowest first: HyperKit's, which gvproxy's <c>-listen-stdio</c> speaks.</summary>
    HyperKit,

    /// <summary>Two bytes, the highest first: <c>vde_plug</c> on a pipe.</summary>
    Vde,
}

/// <summary>The length before a frame.</summary>
internal static class StreamLength
{
    public static int Size(StreamFraming framing) => framing == StreamFraming.Qemu ? sizeof(uint) : sizeof(ushort);

    /// <summary>The longest frame whose length can be told, or that QEMU takes.</summary>
    public static int MaximumFrame(StreamFraming framing) => framing == StreamFraming.Qemu ? StreamConnection.MaximumFrame : ushort.MaxValue;

    public static uint Read(StreamFraming framing, ReadOnlySpan<byte> bytes) => framing switch
    {
        StreamFraming.Qemu => BinaryPrimitives.ReadUInt32BigEndian(bytes),
        StreamFraming.HyperKit => BinaryPrimitives.ReadUInt16LittleEndian(bytes),
        _ => BinaryPrimitives.ReadUInt16BigEndian(bytes),
    };

    public static void Write(StreamFraming framing, Span<byte> bytes, int length)
    {
        switch (framing)
        {
            case StreamFraming.Qemu:
                BinaryPrimitives.WriteUInt32BigEndian(bytes, (uint)length);
                break;
            case StreamFraming.HyperKit:
                BinaryPrimitives.WriteUInt16LittleEndian(bytes, (ushort)length);
                break;
            default:
                BinaryPrimitives.WriteUInt16BigEndian(bytes, (ushort)length);
                break;
        }
    }
}
