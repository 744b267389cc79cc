using Uml.Net.Frames;

namespace Uml.Net.Transports.Descriptors;

/// <summary>What stands before each frame on the wire.</summary>
internal abstract class FrameHeader
{
    public const int Drop = -1;

    /// <summary>Bytes before a frame that is sent.</summary>
    public abstract int SendLength { get; }

    /// <summary>Bytes before a frame that is received; what is shorter is dropped.</summary>
    public virtual int ReceiveLength => SendLength;

    /// <summary>Writes it.</summary>
    /// <param name="header">Room for <see cref="SendLength"/> bytes.</param>
    /// <param name="frame">The frame.</param>
    /// <param name="number">Frames that were sent before.</param>
    public abstract void Write(Span<byte> header, NetFrame frame, ulong number);

    /// <summary>Judges what was received.</summary>
    /// <param name="header">Its first <see cref="ReceiveLength"/> bytes.</param>
    /// <param name="extra">What the host tells beside, where it was asked: the sender's address, or control messages.</param>
    /// <param name="frame">What stands behind. Its length is set.</param>
    /// <returns>Bytes of the frame that are part of the header yet, or <see cref="Drop"/>.</returns>
    public abstract int Read(ReadOnlySpan<byte> header, ReadOnlySpan<byte> extra, NetFrame frame);
}
