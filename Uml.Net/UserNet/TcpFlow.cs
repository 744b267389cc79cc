using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Uml.Net.Frames;
using Uml.Net.Packets;
using Uml.Net.UserNet.Tcp;

namespace Uml.Net.UserNet;

/// <summary>Who talks to whom by TCP, or by UDP: a guest and somebody outside, as the guest sees it.</summary>
internal readonly record struct FlowKey(InternetEndPoint Guest, InternetEndPoint Remote);

/// <summary>A connection of a guest. What is at its other end is for derived classes to say.</summary>
internal abstract class TcpFlow : ITcpOwner, ITimed
{
    /// <summary>Frames that are smaller carry no connection: headers, and some data.</summary>
    private const int MinimumFrame = 14 + 40 + TcpHeader.MaximumLength + 1;

    protected TcpFlow(NetworkStack stack, FlowKey key)
    {
        (Stack, Key) = (stack, key);
        Span<byte> random = stackalloc byte[sizeof(uint)];
        RandomNumberGenerator.Fill(random);
        Tcp = new TcpConnection(key.Guest.Address.IsIp4 ? stack.Tcp.Settings4 : stack.Tcp.Settings6, this, BinaryPrimitives.ReadUInt32LittleEndian(random));
        Place = new LinkedListNode<TcpFlow>(this);
    }

    public FlowKey Key { get; }

    public InternetEndPoint Guest => Key.Guest;

    public TcpConnection Tcp { get; }

    /// <summary>Whether it is among those that have something to be sent.</summary>
    public bool IsReady { get; set; }

    public bool HasOutput => Tcp.HasOutput;

    /// <summary>Its place among all, the one that was quiet for the longest time being the first.</summary>
    public LinkedListNode<TcpFlow> Place { get; }

    public int TimerIndex { get; set; } = -1;

    public long TimerKey { get; set; }

    public long TimerDue { get; set; } = long.MaxValue;

    protected NetworkStack Stack { get; }

    protected long Now => Stack.Now;

    /// <summary>Makes the next frame.</summary>
    /// <returns>False when there is none, or nobody knows yet where to.</returns>
    public bool TryProduce(NetFrame frame)
    {
        bool isIp4 = Guest.Address.IsIp4;
        int start = IpHeader.Length(isIp4);
        if (frame.Capacity < MinimumFrame || !Tcp.HasOutput)
        {
            return false;
        }

        if (!Stack.Neighbours.TryFind(Guest.Address, out ulong mac))
        {
            Stack.Neighbours.Ask(this);
            return false;
        }

        bool isCut = (Stack.Accepted & (isIp4 ? NetOffloads.Tcp4 : NetOffloads.Tcp6)) != 0;
        int most = isCut ? ushort.MaxValue - (start - FrameLayout.EthernetLength) : Math.Min(Tcp.SegmentRoom, Stack.Options.Mtu - (start - FrameLayout.EthernetLength));
        if (!Tcp.TryMake(Math.Min(frame.Capacity - start, most), Now, out TcpOutput output))
        {
            return false;
        }

        Write(frame, output, mac, start);
        return true;
    }

    public void OnTime(long now) => Tcp.OnTime(now);

    public void OnOutput() => Stack.MakeReady(this);

    public void OnDeadline() => Stack.Timers.Set(this, Tcp.Deadline);

    public void OnGone()
    {
        Stack.Tcp.Remove(this);
        OnForgotten();
    }

    /// <summary>Gives up what is at the other end, at once.</summary>
    public abstract void Close();

    public abstract void OnConnected();

    public abstract int OnData(FrameData data);

    public abstract void OnReceived();

    public abstract void OnPeerFinished();

    public abstract void OnSendRoom();

    public abstract void OnEnded(TcpEnd end);

    /// <summary>It is no longer among those of the stack.</summary>
    protected virtual void OnForgotten()
    {
    }

    private void Write(NetFrame frame, in TcpOutput output, ulong mac, int start)
    {
        Span<byte> head = stackalloc byte[FrameLayout.EthernetLength + FrameLayout.Ip6Length + TcpHeader.MaximumLength];
        TcpHeader header = output.Header;
        (header.Source, header.Destination) = (Key.Remote.Port, Guest.Port);
        int headLength = start + header.Write(head[start..]);
        int length = headLength - start + output.DataLength;
        IpHeader.WriteEthernet(head, mac, Stack.Addresses.Mac, Guest.Address.IsIp4 ? IpHeader.Ip4Type : IpHeader.Ip6Type);
        IpHeader.Write(head[FrameLayout.EthernetLength..], Key.Remote.Address, Guest.Address, FrameLayout.Tcp, length);
        ulong sum = IpHeader.SumPseudoHeader(Key.Remote.Address, Guest.Address, FrameLayout.Tcp, length);
        bool isLeft = (Stack.Accepted & NetOffloads.Checksum) != 0;
        Span<byte> checksum = head.Slice(start + TcpHeader.ChecksumField, sizeof(ushort));
        if (isLeft)
        {
            MemoryMarshal.Write(checksum, InternetChecksum.Fold(sum));
        }

        frame.Length = headLength + output.DataLength;
        frame.Write(0, head[..headLength]);
        for (int done = 0; done < output.DataLength;)
        {
            ReadOnlySpan<byte> piece = Tcp.Unacknowledged.Read(output.DataOffset + done, output.DataLength - done).Span;
            frame.Write(headLength + done, piece);
            done += piece.Length;
        }

        frame.Offload = isLeft ? Leave(output, start, headLength) : default;
        if (!isLeft)
        {
            InternetChecksum.Write(checksum, InternetChecksum.Add(frame, start, sum));
            frame.Write(start + TcpHeader.ChecksumField, checksum);
        }
    }

    /// <summary>What is left to the card: the checksum, and cutting what is longer than a segment.</summary>
    private NetOffload Leave(in TcpOutput output, int start, int headLength) => new()
    {
        Flags = NetOffload.NeedsChecksum,
        ChecksumStart = (ushort)start,
        ChecksumOffset = TcpHeader.ChecksumField,
        Segmentation = output.DataLength <= output.SegmentSize ? NetSegmentation.None : Guest.Address.IsIp4 ? NetSegmentation.Tcp4 : NetSegmentation.Tcp6,
        SegmentSize = output.DataLength <= output.SegmentSize ? (ushort)0 : (ushort)output.SegmentSize,
        HeaderLength = output.DataLength <= output.SegmentSize ? (ushort)0 : (ushort)headLength,
    };
}
