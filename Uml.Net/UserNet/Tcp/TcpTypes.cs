using Uml.Net.Packets;

namespace Uml.Net.UserNet.Tcp;

/// <summary>States of a connection (RFC 9293, 3.3.2). LISTEN is a matter of who makes connections.</summary>
internal enum TcpState
{
    Closed,
    SynSent,
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    TimeWait,
}

/// <summary>How a connection has ended.</summary>
internal enum TcpEnd
{
    /// <summary>Both sides have said and confirmed that nothing follows.</summary>
    Finished,

    /// <summary>The peer has reset it.</summary>
    Reset,

    /// <summary>The peer refused it.</summary>
    Refused,

    /// <summary>The peer has not answered for too long.</summary>
    TimedOut,

    /// <summary>This side has reset it.</summary>
    Aborted,
}

/// <summary>Times and sizes of connections. Times are in milliseconds.</summary>
internal sealed record TcpSettings
{
    /// <summary>Where the memory of all connections comes from.</summary>
    public required BlockPool Pool { get; init; }

    /// <summary>Bytes that were written and not acknowledged, at most.</summary>
    public int SendLimit { get; init; } = 1 << 20;

    /// <summary>Bytes that were received and not read, at most: the window.</summary>
    public int ReceiveLimit { get; init; } = 1 << 20;

    /// <summary>Bytes of data in a segment that this side takes.</summary>
    public int SegmentSize { get; init; } = 1460;

    /// <summary>How long an acknowledgment may wait for data to go with: less than 500 ms (RFC 9293, 3.8.6.3).</summary>
    public int AckDelay { get; init; } = 40;

    /// <summary>The least time to a retransmission. RFC 6298 (2.4) has 1 s; the peer is next door, and others have 200 ms as well.</summary>
    public int MinimumTimeout { get; init; } = 200;

    /// <summary>The longest time to a retransmission (RFC 6298, 2.5: at least 60 s).</summary>
    public int MaximumTimeout { get; init; } = 60_000;

    /// <summary>How long a peer may acknowledge nothing: at least 100 s (RFC 9293, 3.8.3).</summary>
    public int GiveUp { get; init; } = 120_000;

    /// <summary>How long a connection is set up, at most.</summary>
    public int ConnectTimeout { get; init; } = 30_000;

    /// <summary>
    /// How long an ended connection is remembered. RFC 9293 (3.6.1) has two lifetimes of a segment, which are 2 minutes each in the Internet; between
    /// a card and its cable nothing lives that long.
    /// </summary>
    public int TimeWait { get; init; } = 2000;

    /// <summary>How long nothing may be heard before it is asked whether the peer is there (RFC 9293, 3.8.4).</summary>
    public int KeepAliveTime { get; init; } = 300_000;

    /// <summary>Between such questions.</summary>
    public int KeepAliveInterval { get; init; } = 15_000;

    /// <summary>How many stay without an answer.</summary>
    public int KeepAliveProbes { get; init; } = 6;

    /// <summary>How long the peer may go on when nobody reads any more what it sends.</summary>
    public int AbandonedTime { get; init; } = 60_000;
}

/// <summary>Who a connection belongs to: hears of what happens, within the call that makes it happen.</summary>
internal interface ITcpOwner
{
    /// <summary>It is established.</summary>
    void OnConnected();

    /// <summary>Data has come in order, and none waits before it.</summary>
    /// <param name="data">The data, where it arrived.</param>
    /// <returns>How many bytes were taken, from the first; the rest is kept in <see cref="TcpConnection.Received"/>.</returns>
    int OnData(FrameData data);

    /// <summary><see cref="TcpConnection.Received"/> holds more than before.</summary>
    void OnReceived();

    /// <summary>The peer sends nothing behind what was received.</summary>
    void OnPeerFinished();

    /// <summary><see cref="TcpConnection.SendRoom"/> is more than before.</summary>
    void OnSendRoom();

    /// <summary>It has ended: nothing more is received or sent but confirmations.</summary>
    void OnEnded(TcpEnd end);

    /// <summary>Nothing is left of it: it may be forgotten.</summary>
    void OnGone();

    /// <summary><see cref="TcpConnection.TryMake"/> has something.</summary>
    void OnOutput();

    /// <summary><see cref="TcpConnection.Deadline"/> is another.</summary>
    void OnDeadline();
}

/// <summary>A segment that is to be sent: its header without ports and checksum, and its data.</summary>
internal struct TcpOutput
{
    public TcpHeader Header;

    /// <summary>Where its data begins in <see cref="TcpConnection.Unacknowledged"/>.</summary>
    public int DataOffset;

    public int DataLength;

    /// <summary>Bytes of data in each segment that it is to be cut into.</summary>
    public int SegmentSize;
}
