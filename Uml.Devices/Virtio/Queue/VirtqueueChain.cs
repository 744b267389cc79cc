using Uml.Core.Memory;

namespace Uml.Devices.Virtio.Queue;

/// <summary>
/// A chain of descriptors that the driver has made available: first what the device reads, then what it writes (virtio 1.2, 2.7.4.2). Used
/// again and again.
/// </summary>
internal sealed class VirtqueueChain
{
    /// <summary>
    /// The most descriptors of a chain. A driver may not make one longer than its queue (virtio 1.2, 2.7.5); those of Linux have been known to in
    /// indirect tables.
    /// </summary>
    public const int MaximumLength = 1024;

    private (ulong Address, uint Length)[] _pieces = new (ulong, uint)[16];
    private int _count, _readable;

    /// <summary>What the used ring calls the chain.</summary>
    public ushort Head { get; private set; }

    /// <summary>Bytes for the device to read.</summary>
    public int ReadableLength { get; private set; }

    /// <summary>Bytes for the device to write.</summary>
    public int WritableLength { get; private set; }

    public void Begin(ushort head)
    {
        Head = head;
        (_count, _readable, ReadableLength, WritableLength) = (0, 0, 0, 0);
    }

    /// <exception cref="VirtioGuestErrorException">The chain is too long, or out of order.</exception>
    public void Add(ulong address, uint length, bool isWritable)
    {
        if (!isWritable && _count != _readable)
        {
            throw new VirtioGuestErrorException($"chain {Head} has a descriptor to be read behind one to be written");
        }

        if (_count == MaximumLength)
        {
            throw new VirtioGuestErrorException($"chain {Head} has more than {MaximumLength} descriptors");
        }

        int before = isWritable ? WritableLength : ReadableLength;
        if (length > int.MaxValue - before)
        {
            throw new VirtioGuestErrorException($"chain {Head} has more than 2 GiB");
        }

        if (_count == _pieces.Length)
        {
            Array.Resize(ref _pieces, 2 * _count);
        }

        _pieces[_count++] = (address, length);
        if (isWritable)
        {
            WritableLength += (int)length;
        }
        else
        {
            ReadableLength += (int)length;
            _readable = _count;
        }
    }

    /// <summary>Copies from what the device reads.</summary>
    /// <exception cref="VirtioGuestErrorException">It has fewer bytes, or some of them are not in RAM.</exception>
    public void Read(IGuestMemory memory, int offset, Span<byte> destination)
    {
        foreach ((ulong address, int length) in Slice(_pieces.AsSpan(0, _readable), offset, destination.Length))
        {
            if (!memory.TryRead(new(address), destination[..length]))
            {
                throw OutsideRam(address, length);
            }

            destination = destination[length..];
        }
    }

    /// <summary>Copies to what the device writes.</summary>
    /// <exception cref="VirtioGuestErrorException">It has fewer bytes, or some of them are not in RAM.</exception>
    public void Write(IGuestMemory memory, int offset, ReadOnlySpan<byte> source)
    {
        foreach ((ulong address, int length) in Slice(_pieces.AsSpan(_readable, _count - _readable), offset, source.Length))
        {
            if (!memory.TryWrite(new(address), source[..length]))
            {
                throw OutsideRam(address, length);
            }

            source = source[length..];
        }
    }

    /// <summary>Adds part of what the device reads, or writes, to a transfer that has begun.</summary>
    /// <exception cref="VirtioGuestErrorException">It has fewer bytes, or some of them are not in RAM.</exception>
    public void AddTo(IGuestMemoryTransfer transfer, bool isWritable, int offset, int length)
    {
        Span<(ulong, uint)> pieces = isWritable ? _pieces.AsSpan(_readable, _count - _readable) : _pieces.AsSpan(0, _readable);
        foreach ((ulong address, int part) in Slice(pieces, offset, length))
        {
            if (!transfer.TryAdd(new(address), part))
            {
                throw OutsideRam(address, part);
            }
        }
    }

    private SliceEnumerator Slice(ReadOnlySpan<(ulong Address, uint Length)> pieces, int offset, int length) => new(this, pieces, offset, length);

    private VirtioGuestErrorException OutsideRam(ulong address, int length) => new($"chain {Head} has {length} bytes at 0x{address:x}, not all of them RAM");

    /// <summary>The parts of pieces that a range of bytes has.</summary>
    private ref struct SliceEnumerator(VirtqueueChain chain, ReadOnlySpan<(ulong Address, uint Length)> pieces, int offset, int length)
    {
        private readonly VirtqueueChain _chain = chain;
        private readonly ReadOnlySpan<(ulong Address, uint Length)> _pieces = pieces;
        private int _index;
        private long _skip = offset;
        private int _left = length;

        public (ulong Address, int Length) Current { get; private set; }

        public readonly SliceEnumerator GetEnumerator() => this;

        public bool MoveNext()
        {
            while (_left > 0)
            {
                if (_index == _pieces.Length)
                {
                    throw new VirtioGuestErrorException($"chain {_chain.Head} has {_left} bytes less than its request needs");
                }

                (ulong address, uint length) = _pieces[_index++];
                if (_skip < length)
                {
                    int part = (int)Math.Min(length - _skip, _left);
                    Current = (address + (ulong)_skip, part);
                    _skip = 0;
                    _left -= part;
                    return true;
                }

                _skip -= length;
            }

            return false;
        }
    }
}
