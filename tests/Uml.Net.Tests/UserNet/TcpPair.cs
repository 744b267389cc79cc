using Uml.Net.Frames;
using Uml.Net.Packets;
using Uml.Net.UserNet.Tcp;

namespace Uml.Net.Tests.UserNet;

/// <summary>What a link does to segments, each as a probability.</summary>
internal sealed record Impairment(double Loss = 0, double Duplication = 0, double Reordering = 0)
{
    /// <summary>Milliseconds that a segment takes, and one that is overtaken takes more.</summary>
    public int Delay { get; init; } = 1;

    public int ReorderingDelay { get; init; } = 4;
}

/// <summary>Two connections and a link between them, with a clock of their own; all in lock-step, so that a seed repeats it.</summary>
internal sealed class TcpPair
{
    private readonly PriorityQueue<(TcpEndPoint To, byte[] Segment), (long Time, int Order)> _link = new();
    private readonly Random _random;
    private readonly Impairment _impairment;
    private int _order;

    public TcpPair(int seed = 1, Impairment? impairment = null, TcpSettings? left = null, TcpSettings? right = null, uint initial = 0xFFFF_F000)
    {
        (_random, _impairment) = (new Random(seed), impairment ?? new Impairment());
        Left = new TcpEndPoint(this, left ?? Settings(), initial);
        Right = new TcpEndPoint(this, right ?? Settings(), initial ^ 0x8000_0000);
    }

    public TcpEndPoint Left { get; }

    public TcpEndPoint Right { get; }

    public long Now { get; private set; } = 1000;

    /// <summary>Sees each segment that is sent, and says whether it gets through.</summary>
    public Func<TcpEndPoint, TcpHeader, int, bool> Filter { get; set; } = (_, _, _) => true;

    public static TcpSettings Settings() => new() { Pool = new BlockPool(64 << 20) };

    public static TcpPair Connected(int seed = 1, Impairment? impairment = null, TcpSettings? left = null, TcpSettings? right = null)
    {
        TcpPair pair = new(seed, impairment, left, right);
        pair.Left.Tcp.Connect(pair.Now);
        pair.RunUntil(() => pair.Left.IsConnected && pair.Right.IsConnected);
        return pair;
    }

    /// <summary>Goes on until something is so, which it has to become within a time of the clock.</summary>
    public void RunUntil(Func<bool> isDone, long limit = 600_000)
    {
        long end = Now + limit;
        while (!isDone())
        {
            if (!Step(end))
            {
                Assert.Fail($"Not within {limit} ms: left {Left}, right {Right}");
            }
        }
    }

    /// <summary>Lets time pass, with all that happens in it.</summary>
    public void Run(long milliseconds)
    {
        long end = Now + milliseconds;
        while (Step(end))
        {
        }

        Now = end;
    }

    public void Send(TcpEndPoint from, byte[] segment, TcpHeader header, int length)
    {
        TcpEndPoint to = from == Left ? Right : Left;
        if (!Filter(from, header, length) || _random.NextDouble() < _impairment.Loss)
        {
            return;
        }

        for (int copies = _random.NextDouble() < _impairment.Duplication ? 2 : 1; copies > 0; copies--)
        {
            long delay = _impairment.Delay + (_random.NextDouble() < _impairment.Reordering ? _impairment.ReorderingDelay : 0);
            _link.Enqueue((to, segment), (Now + delay, _order++));
        }
    }

    private bool Step(long end)
    {
        Left.Transmit();
        Right.Transmit();
        long next = Math.Min(Left.Tcp.Deadline, Right.Tcp.Deadline);
        if (_link.TryPeek(out _, out (long Time, int Order) first) && first.Time <= next)
        {
            if (first.Time > end)
            {
                return false;
            }

            Now = Math.Max(Now, first.Time);
            (TcpEndPoint to, byte[] segment) = _link.Dequeue();
            to.Deliver(segment);
            return true;
        }

        if (next > end)
        {
            return false;
        }

        Now = Math.Max(Now, next);
        foreach (TcpEndPoint point in (TcpEndPoint[])[Left, Right])
        {
            if (point.Tcp.Deadline <= Now)
            {
                point.Tcp.OnTime(Now);
            }
        }

        return true;
    }
}

/// <summary>One end: writes what it is told to, and reads as fast as it is told to.</summary>
internal sealed class TcpEndPoint : ITcpOwner
{
    private readonly TcpPair _pair;
    private byte[] _toSend = [];
    private int _sent;
    private bool _finishes;

    public TcpEndPoint(TcpPair pair, TcpSettings settings, uint initial) => (_pair, Tcp) = (pair, new TcpConnection(settings, this, initial));

    public TcpConnection Tcp { get; private set; }

    public MemoryStream Data { get; } = new();

    /// <summary>Whether data is read when it comes; else by <see cref="Read"/>.</summary>
    public bool ReadsAtOnce { get; set; } = true;

    public bool IsConnected { get; private set; }

    public bool IsPeerFinished { get; private set; }

    public TcpEnd? Ended { get; private set; }

    public bool IsGone { get; private set; }

    public int Segments { get; private set; }

    /// <summary>Bytes that a segment may have with its header: more than a packet, for segments that are cut later.</summary>
    public int Room { get; set; } = 1480;

    public void Write(byte[] bytes, bool finish = false)
    {
        (_toSend, _sent, _finishes) = (bytes, 0, finish);
        Fill();
    }

    public void Read(int count)
    {
        for (count = Math.Min(count, Tcp.Received.Length); count > 0;)
        {
            ReadOnlyMemory<byte> piece = Tcp.Received.Read(0, count);
            Data.Write(piece.Span);
            Tcp.Consume(piece.Length, _pair.Now);
            count -= piece.Length;
        }
    }

    public void Transmit()
    {
        byte[] header = new byte[TcpHeader.MaximumLength];
        while (Tcp.TryMake(Room, _pair.Now, out TcpOutput output))
        {
            int length = output.Header.Write(header);
            Assert.That(length + output.DataLength, Is.LessThanOrEqualTo(Room));
            byte[] data = new byte[output.DataLength];
            for (int i = 0; i < data.Length;)
            {
                ReadOnlyMemory<byte> piece = Tcp.Unacknowledged.Read(output.DataOffset + i, data.Length - i);
                piece.CopyTo(data.AsMemory(i));
                i += piece.Length;
            }

            Segments++;
            _pair.Send(this, [.. header[..length], .. data], output.Header, data.Length);
        }
    }

    public void Deliver(byte[] segment)
    {
        Assert.That(TcpHeader.TryRead(segment, out TcpHeader header, out int length));
        if (Tcp.State == TcpState.Closed && !IsGone && header.Flags == TcpFlags.Syn)
        {
            Tcp.Open(header, _pair.Now);
            Tcp.Accept(_pair.Now);
            return;
        }

        NetFrame frame = new(segment);
        Tcp.Receive(header, new FrameData(frame, length, segment.Length - length), _pair.Now);
    }

    public void OnConnected() => IsConnected = true;

    public int OnData(FrameData data)
    {
        if (!ReadsAtOnce)
        {
            return 0;
        }

        foreach (ReadOnlySpan<byte> span in data)
        {
            Data.Write(span);
        }

        return data.Length;
    }

    public void OnReceived()
    {
        if (ReadsAtOnce)
        {
            Read(int.MaxValue);
        }
    }

    public void OnPeerFinished() => IsPeerFinished = true;

    public void OnSendRoom() => Fill();

    public void OnEnded(TcpEnd end) => Ended = end;

    public void OnGone() => IsGone = true;

    public void OnOutput()
    {
    }

    public void OnDeadline()
    {
    }

    public override string ToString() => $"{Tcp.State} ({Ended}), sent {_sent} of {_toSend.Length}, got {Data.Length}";

    private void Fill()
    {
        while (_sent != _toSend.Length && Tcp.SendRoom != 0)
        {
            Memory<byte> tail = Tcp.Unacknowledged.GetTail();
            if (tail.IsEmpty)
            {
                break;
            }

            int part = Math.Min(tail.Length, _toSend.Length - _sent);
            _toSend.AsMemory(_sent, part).CopyTo(tail);
            Tcp.Unacknowledged.Extend(part);
            _sent += part;
        }

        if (_finishes && _sent == _toSend.Length)
        {
            Tcp.Finish(_pair.Now);
        }

        Tcp.OnWritten(_pair.Now);
    }
}
