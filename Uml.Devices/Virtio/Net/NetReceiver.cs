using System.Buffers.Binary;
using Uml.Core.Memory;
using Uml.Devices.Virtio.Queue;
using Uml.Net.Frames;

namespace Uml.Devices.Virtio.Net;

/// <summary>
/// Receives frames into the buffers that the driver makes available, in batches (virtio 1.2, 5.1.6.3 and 5.1.6.4). Nothing is received that there
/// is no buffer for: it stays with the transport. For the machine's thread.
/// </summary>
internal sealed class NetReceiver
{
    private readonly IGuestMemory _memory;
    private readonly IGuestMemoryTransfer _transfer;
    private readonly INetTransport _transport;
    private readonly ReceiveFilter _filter;
    private readonly NetFrame[] _rooms;

    /// <summary>The chains of each room: how many, of those held.</summary>
    private readonly int[] _chainsOf;
    private readonly (int First, int End)[] _piecesOf;

    /// <summary>Chains that were taken from the queue and not given back, in order; and others to be used again.</summary>
    private readonly List<VirtqueueChain> _held = [];
    private readonly Stack<VirtqueueChain> _unused = new();

    /// <summary>How many frames are expected: twice as many as there were, for a room takes time to make.</summary>
    private int _expected = 1;

    public NetReceiver(IGuestMemory memory, INetTransport transport, ReceiveFilter filter, int depth)
    {
        (_memory, _transport, _filter) = (memory, transport, filter);
        _transfer = memory.CreateTransfer();
        _chainsOf = new int[depth];
        _piecesOf = new (int, int)[depth];
        _rooms = new NetFrame[depth];
        for (int i = 0; i < depth; i++)
        {
            _rooms[i] = new NetFrame();
        }
    }

    /// <summary>Whether a frame may be in several buffers (VIRTIO_NET_F_MRG_RXBUF).</summary>
    public bool MergesBuffers { get; set; }

    /// <summary>Bytes of the longest frame that may come.</summary>
    public int LongestFrame { get; set; }

    /// <summary>Chains that were taken from the queue and not given back.</summary>
    public IReadOnlyList<VirtqueueChain> Held => _held;

    /// <summary>Receives what there is.</summary>
    /// <returns>False when the driver has no buffers left, so that there may be more.</returns>
    /// <exception cref="VirtioGuestErrorException">The driver has broken a rule.</exception>
    public bool Run(SplitQueue queue)
    {
        while (true)
        {
            int rooms = MakeRooms(queue);
            if (rooms == 0)
            {
                queue.RequestNotification();
                if (!queue.HasAvailable)
                {
                    return false;
                }

                continue;
            }

            int received = ReceiveInto(queue, rooms);
            _expected = Math.Clamp(2 * received, 1, _rooms.Length);
            if (received < rooms)
            {
                return true;
            }
        }
    }

    /// <summary>Takes chains of a restored state.</summary>
    public void Retake(SplitQueue queue, ReadOnlySpan<ushort> heads)
    {
        foreach (ushort head in heads)
        {
            VirtqueueChain chain = _unused.TryPop(out VirtqueueChain? unused) ? unused : new VirtqueueChain();
            queue.ReadChain(head, chain);
            _held.Add(chain);
        }
    }

    /// <summary>Forgets the driver.</summary>
    public void Reset()
    {
        GiveUp(_held.Count);
        _expected = 1;
        (MergesBuffers, LongestFrame) = (false, 0);
    }

    /// <summary>Makes room for frames of chains that are held, and of further ones.</summary>
    /// <returns>For how many.</returns>
    private int MakeRooms(SplitQueue queue)
    {
        int rooms = 0;
        int next = 0;
        bool isDone = false;
        bool isSealed = false;
        _transfer.Begin(toGuest: true);
        try
        {
            while (rooms < _expected && !isDone)
            {
                int first = next;
                int firstPiece = _transfer.Pieces.Length;
                for (int length = 0; length < LongestFrame && (length == 0 || MergesBuffers); next++)
                {
                    if (next == _held.Count && !TryHold(queue))
                    {
                        isDone = true;
                        break;
                    }

                    VirtqueueChain chain = _held[next];
                    int skipped = next == first ? VirtioNetLayout.HeaderLength : 0;
                    _chainsOf[rooms] = next + 1 - first;
                    chain.AddTo(_transfer, isWritable: true, skipped, chain.WritableLength - skipped);
                    length += chain.WritableLength - skipped;
                }

                // All that the driver has is room for one frame, however small; behind another it waits for more.
                if (next == first || (isDone && rooms != 0))
                {
                    break;
                }

                _piecesOf[rooms++] = (firstPiece, _transfer.Pieces.Length);
            }

            Seal(rooms);
            isSealed = rooms != 0;
            return rooms;
        }
        finally
        {
            if (!isSealed)
            {
                _transfer.Complete();
            }
        }
    }

    private bool TryHold(SplitQueue queue)
    {
        VirtqueueChain chain = _unused.TryPop(out VirtqueueChain? unused) ? unused : new VirtqueueChain();
        if (!queue.TryPop(chain))
        {
            _unused.Push(chain);
            return false;
        }

        _held.Add(chain);
        return chain.WritableLength > VirtioNetLayout.HeaderLength
            ? true
            : throw new VirtioGuestErrorException($"chain {chain.Head} has {chain.WritableLength} bytes for a frame, and its header alone has {VirtioNetLayout.HeaderLength}");
    }

    private void Seal(int rooms)
    {
        ReadOnlySpan<Memory<byte>> pieces = _transfer.Pieces.Span;
        for (int i = 0; i < rooms; i++)
        {
            _rooms[i].Clear();
            _rooms[i].Add(pieces[_piecesOf[i].First.._piecesOf[i].End]);
        }
    }

    private int ReceiveInto(SplitQueue queue, int rooms)
    {
        Span<bool> isWanted = stackalloc bool[rooms];
        int received;
        try
        {
            received = _transport.Receive(_rooms.AsSpan(0, rooms));
            for (int i = 0; i < received; i++)
            {
                isWanted[i] = IsWanted(_rooms[i]);
            }
        }
        finally
        {
            // What is there counts as written to, whatever comes of it.
            _transfer.Complete();
        }

        int next = 0;
        int kept = 0;
        for (int i = 0; i < received; i++)
        {
            int used = isWanted[i] ? GiveBack(queue, next, _rooms[i]) : 0;
            for (int end = next + _chainsOf[i]; next < end; next++, used--)
            {
                Keep(next, used <= 0, ref kept);
            }
        }

        for (; next < _held.Count; next++)
        {
            Keep(next, isKept: true, ref kept);
        }

        _held.RemoveRange(kept, _held.Count - kept);
        return received;
    }

    private bool IsWanted(NetFrame frame)
    {
        Span<byte> head = stackalloc byte[ReceiveFilter.HeadLength];
        head.Clear();
        frame.CopyTo(head);
        return _filter.Wants(head);
    }

    /// <summary>Gives a frame to the driver in the chains from one on.</summary>
    /// <returns>How many it takes.</returns>
    private int GiveBack(SplitQueue queue, int first, NetFrame frame)
    {
        int count = 0;
        int left = frame.Length + VirtioNetLayout.HeaderLength;
        for (; left > 0; count++)
        {
            VirtqueueChain chain = _held[first + count];
            int part = Math.Min(left, chain.WritableLength);
            queue.Push(chain.Head, part);
            left -= part;
        }

        Span<byte> header = stackalloc byte[VirtioNetLayout.HeaderLength];
        frame.Offload.Write(header);
        BinaryPrimitives.WriteUInt16LittleEndian(header[VirtioNetLayout.BufferCountField..], (ushort)count);
        _held[first].Write(_memory, 0, header);
        return count;
    }

    private void Keep(int index, bool isKept, ref int kept)
    {
        if (isKept)
        {
            _held[kept++] = _held[index];
        }
        else
        {
            _unused.Push(_held[index]);
        }
    }

    private void GiveUp(int count)
    {
        for (int i = 0; i < count; i++)
        {
            _unused.Push(_held[i]);
        }

        _held.RemoveRange(0, count);
    }
}
