using Uml.Core.Memory;
using Uml.Devices.Virtio.Queue;
using Uml.Net.Frames;

namespace Uml.Devices.Virtio.Net;

/// <summary>
/// Sends the frames that the driver makes available, in batches, from where they are in its memory (virtio 1.2, 5.1.6.2). For the machine's
/// thread.
/// </summary>
internal sealed class NetTransmitter
{
    private readonly IGuestMemory _memory;
    private readonly IGuestMemoryTransfer _transfer;
    private readonly INetTransport _transport;
    private readonly VirtqueueChain _chain = new();
    private readonly NetFrame[] _frames;
    private readonly ushort[] _heads;
    private readonly (int First, int End)[] _pieces;

    /// <summary>Frames of the batch, and how many of them were sent.</summary>
    private int _count, _sent;

    public NetTransmitter(IGuestMemory memory, INetTransport transport, int depth)
    {
        (_memory, _transport) = (memory, transport);
        _transfer = memory.CreateTransfer();
        _heads = new ushort[depth];
        _pieces = new (int, int)[depth];
        _frames = new NetFrame[depth];
        for (int i = 0; i < depth; i++)
        {
            _frames[i] = new NetFrame();
        }
    }

    /// <summary>Frames that were too long, and lost.</summary>
    public long Lost { get; private set; }

    /// <summary>Chains that were taken from the queue and not given back.</summary>
    public ReadOnlySpan<ushort> Held => _heads.AsSpan(_sent, _count - _sent);

    /// <summary>Sends what there is.</summary>
    /// <returns>False when the transport has no room for more.</returns>
    /// <exception cref="VirtioGuestErrorException">The driver has broken a rule.</exception>
    public bool Run(SplitQueue queue)
    {
        do
        {
            while (true)
            {
                if (_count == 0 && !Take(queue))
                {
                    break;
                }

                if (!Send(queue))
                {
                    return false;
                }
            }

            queue.RequestNotification();
        }
        while (queue.HasAvailable);
        return true;
    }

    /// <summary>Takes chains of a restored state, which are sent again.</summary>
    public void Retake(SplitQueue queue, ReadOnlySpan<ushort> heads)
    {
        _transfer.Begin(toGuest: false);
        try
        {
            foreach (ushort head in heads)
            {
                queue.ReadChain(head, _chain);
                Add(queue);
            }
        }
        finally
        {
            Seal();
        }
    }

    /// <summary>Forgets the driver.</summary>
    public void Reset()
    {
        for (int i = 0; i < _count; i++)
        {
            _frames[i].Clear();
        }

        (_count, _sent) = (0, 0);
        _transfer.Complete();
    }

    private bool Take(SplitQueue queue)
    {
        if (!queue.HasAvailable)
        {
            return false;
        }

        _transfer.Begin(toGuest: false);
        try
        {
            while (_count < _frames.Length && queue.TryPop(_chain))
            {
                Add(queue);
            }
        }
        finally
        {
            Seal();
        }

        return _count != 0;
    }

    private void Add(SplitQueue queue)
    {
        int length = _chain.ReadableLength - VirtioNetLayout.HeaderLength;
        if (length < 0)
        {
            throw new VirtioGuestErrorException($"chain {_chain.Head} has {_chain.ReadableLength} bytes to be sent, and a header alone has {VirtioNetLayout.HeaderLength}");
        }

        if (length > _transport.Features.MaximumFrameLength)
        {
            Lost++;
            queue.Push(_chain.Head, 0);
            return;
        }

        Span<byte> header = stackalloc byte[VirtioNetLayout.HeaderLength];
        _chain.Read(_memory, 0, header);
        int first = _transfer.Pieces.Length;
        _chain.AddTo(_transfer, isWritable: false, VirtioNetLayout.HeaderLength, length);
        _frames[_count].Offload = NetOffload.Read(header);
        _heads[_count] = _chain.Head;
        _pieces[_count++] = (first, _transfer.Pieces.Length);
    }

    /// <summary>Gives frames their pieces, which may move while there are more of them.</summary>
    private void Seal()
    {
        if (_count == 0)
        {
            _transfer.Complete();
            return;
        }

        ReadOnlySpan<Memory<byte>> pieces = _transfer.Pieces.Span;
        for (int i = 0; i < _count; i++)
        {
            NetFrame frame = _frames[i];
            NetOffload offload = frame.Offload;
            frame.Clear();
            frame.Add(pieces[_pieces[i].First.._pieces[i].End]);
            (frame.Length, frame.Offload) = (frame.Capacity, offload);
        }
    }

    /// <summary>Sends the batch, or what is left of it.</summary>
    private bool Send(SplitQueue queue)
    {
        int sent = _transport.Send(_frames.AsSpan(_sent, _count - _sent));
        foreach (ushort head in _heads.AsSpan(_sent, sent))
        {
            queue.Push(head, 0);
        }

        _sent += sent;
        if (_sent < _count)
        {
            return false;
        }

        Reset();
        return true;
    }
}
