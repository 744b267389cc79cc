using System.Buffers;
using System.Runtime.InteropServices;
using Uml.Net.Frames;
using Uml.Net.Interop;

namespace Uml.Net.Transports.Descriptors;

/// <summary>
/// Frames for one call of the host: sendmmsg or recvmmsg on a socket, else writev or readv for each. They go straight from and into the frames'
/// pieces, with a header of its own before each.
/// </summary>
// SAFETY: the arrays that the host is told of are pinned for their lives; a frame's pieces are from Add to Release, and no vector is longer than its
// piece. _vectors is replaced only while no message tells of it.
internal sealed unsafe class MessageBatch
{
    /// <summary>The most pieces of a frame: what the host takes, without a header and a byte that finds out whether there is more.</summary>
    public const int MaximumPieces = Uio.MaximumVectors - 2;

    private const int VectorsPerMessage = 4, ExtraRoom = 128;

    private readonly bool _isSocket;
    private readonly MessageExtra _extra;
    private readonly int _headerLength;
    private readonly BatchedMessage[] _messages;
    private readonly int[] _rooms;
    private readonly byte[] _headers, _names, _extras;
    private readonly byte[] _excess = GC.AllocateArray<byte>(1, pinned: true);
    private IoVector[] _vectors;
    private MemoryHandle[] _pins;
    private int _vectorCount, _pinCount;

    /// <param name="depth">The most frames.</param>
    /// <param name="headerLength">Bytes before each.</param>
    /// <param name="isSocket">Whether it is for a socket.</param>
    /// <param name="destination">Where all are sent to; empty where the socket knows.</param>
    /// <param name="extra">What is kept beside what is received.</param>
    public MessageBatch(int depth, int headerLength, bool isSocket, ReadOnlySpan<byte> destination = default, MessageExtra extra = MessageExtra.None)
    {
        (_headerLength, _isSocket, _extra) = (headerLength, isSocket, extra);
        _messages = GC.AllocateArray<BatchedMessage>(depth, pinned: true);
        _headers = GC.AllocateArray<byte>(depth * headerLength, pinned: true);
        _names = GC.AllocateArray<byte>(destination.Length, pinned: true);
        _extras = GC.AllocateArray<byte>(extra == MessageExtra.None ? 0 : depth * ExtraRoom, pinned: true);
        destination.CopyTo(_names);
        _rooms = new int[depth];
        _vectors = GC.AllocateArray<IoVector>(depth * VectorsPerMessage, pinned: true);
        _pins = new MemoryHandle[_vectors.Length];
    }

    /// <summary>Frames in it.</summary>
    public int Count { get; private set; }

    /// <summary>The header of a frame.</summary>
    public Span<byte> Header(int index) => _headers.AsSpan(index * _headerLength, _headerLength);

    /// <summary>What is kept beside what was received.</summary>
    public ReadOnlySpan<byte> Extra(int index) => _extra switch
    {
        MessageExtra.Source => _extras.AsSpan(index * ExtraRoom, (int)Math.Min(_messages[index].Message.NameLength, ExtraRoom)),
        MessageExtra.Control => _extras.AsSpan(index * ExtraRoom, (int)Math.Min(_messages[index].Message.ControlLength, ExtraRoom)),
        _ => default,
    };

    /// <summary>Bytes that were received, with their header.</summary>
    public int Length(int index) => (int)_messages[index].Length;

    /// <summary>Whether more was received than there was room for.</summary>
    public bool IsCutOff(int index) => _isSocket ? (_messages[index].Message.Flags & Socket.Truncated) != 0 : Length(index) > _rooms[index];

    /// <summary>Adds a frame that is sent, or the room for one.</summary>
    /// <param name="frame">The frame, of which no more than <see cref="MaximumPieces"/> pieces count.</param>
    /// <param name="length">Bytes of it.</param>
    /// <returns>False when the batch is full.</returns>
    public bool TryAdd(NetFrame frame, int length)
    {
        ReadOnlySpan<Memory<byte>> pieces = frame.Pieces;
        int needed = Math.Min(pieces.Length, MaximumPieces) + 2;
        if (Count == _messages.Length || (_vectors.Length - _vectorCount < needed && !TryGrow(needed)))
        {
            return false;
        }

        int first = _vectorCount, room = _headerLength;
        if (_headerLength != 0)
        {
            AddVector(Pointer(_headers) + (Count * _headerLength), _headerLength);
        }

        for (int i = 0; i < needed - 2 && length > 0; i++)
        {
            int part = Math.Min(pieces[i].Length, length);
            if (part != 0)
            {
                MemoryHandle pin = pieces[i].Pin();
                _pins[_pinCount++] = pin;
                AddVector((byte*)pin.Pointer, part);
                (room, length) = (room + part, length - part);
            }
        }

        if (!_isSocket)
        {
            // Left out of what is written; what is read may reach it, and is too long then.
            AddVector(Pointer(_excess), 1);
        }

        _rooms[Count] = room;
        byte* extra = _extra == MessageExtra.None ? null : Pointer(_extras) + (Count * ExtraRoom);
        _messages[Count++].Message = new Message
        {
            Name = _extra == MessageExtra.Source ? extra : _names.Length == 0 ? null : Pointer(_names),
            NameLength = _extra == MessageExtra.Source ? ExtraRoom : (uint)_names.Length,
            Vectors = (IoVector*)Marshal.UnsafeAddrOfPinnedArrayElement(_vectors, first),
            VectorCount = (nuint)(_vectorCount - first),
            Control = _extra == MessageExtra.Control ? extra : null,
            ControlLength = _extra == MessageExtra.Control ? ExtraRoom : 0u,
        };
        return true;
    }

    /// <summary>Sends all, or the first of them.</summary>
    /// <returns>How many, or -1 and an error.</returns>
    public int Send(SafeHandle descriptor, out int error)
    {
        error = 0;
        if (_isSocket)
        {
            int result;
            do
            {
                result = Socket.SendMessages(descriptor, Messages, (uint)Count, Socket.DoNotWait | Socket.NoSignal);
            }
            while (result < 0 && (error = Marshal.GetLastPInvokeError()) == Errno.Interrupted);
            return result;
        }

        for (int i = 0; i < Count; i++)
        {
            // Without the vector of the excess.
            if (Transfer(descriptor, i, isWrite: true, _messages[i].Message.VectorCount - 1, out error) < 0)
            {
                return i == 0 ? -1 : i;
            }
        }

        return Count;
    }

    /// <summary>Sends all in one stream of bytes, or the first of them.</summary>
    /// <returns>Bytes, or -1 and an error.</returns>
    public nint SendAsStream(SafeHandle descriptor, out int error)
    {
        Message all = new()
        {
            Vectors = (IoVector*)Marshal.UnsafeAddrOfPinnedArrayElement(_vectors, 0),
            VectorCount = (nuint)Math.Min(_vectorCount, Uio.MaximumVectors),
        };
        nint sent = Socket.SendMessage(descriptor, &all, Socket.DoNotWait | Socket.NoSignal);
        error = sent < 0 ? Marshal.GetLastPInvokeError() : 0;
        return sent;
    }

    /// <summary>Receives into all, or the first of them.</summary>
    /// <returns>How many, or -1 and an error.</returns>
    public int Receive(SafeHandle descriptor, out int error)
    {
        error = 0;
        if (_isSocket)
        {
            int result;
            do
            {
                result = Socket.ReceiveMessages(descriptor, Messages, (uint)Count, Socket.DoNotWait, timeout: null);
            }
            while (result < 0 && (error = Marshal.GetLastPInvokeError()) == Errno.Interrupted);
            return result;
        }

        for (int i = 0; i < Count; i++)
        {
            nint length = Transfer(descriptor, i, isWrite: false, _messages[i].Message.VectorCount, out error);
            if (length < 0)
            {
                return i == 0 ? -1 : i;
            }

            _messages[i].Length = (uint)length;
        }

        return Count;
    }

    /// <summary>Lets go of the frames' memory, and is empty. What was received stays known.</summary>
    public void Release()
    {
        for (int i = 0; i < _pinCount; i++)
        {
            _pins[i].Dispose();
        }

        (Count, _vectorCount, _pinCount) = (0, 0, 0);
    }

    private BatchedMessage* Messages => (BatchedMessage*)Marshal.UnsafeAddrOfPinnedArrayElement(_messages, 0);

    private static byte* Pointer(byte[] pinned) => (byte*)Marshal.UnsafeAddrOfPinnedArrayElement(pinned, 0);

    private static nint Transfer(SafeHandle descriptor, Message message, bool isWrite, nuint count, out int error)
    {
        while (true)
        {
            nint result = isWrite ? Uio.WriteVectors(descriptor, message.Vectors, (int)count) : Uio.ReadVectors(descriptor, message.Vectors, (int)count);
            error = result < 0 ? Marshal.GetLastPInvokeError() : 0;
            if (error != Errno.Interrupted)
            {
                return result;
            }
        }
    }

    private nint Transfer(SafeHandle descriptor, int index, bool isWrite, nuint count, out int error) =>
        Transfer(descriptor, _messages[index].Message, isWrite, count, out error);

    private void AddVector(byte* start, int length) => _vectors[_vectorCount++] = new IoVector { Base = start, Length = (nuint)length };

    /// <summary>Room for a frame of many pieces, once nothing else is in the batch.</summary>
    private bool TryGrow(int needed)
    {
        if (Count != 0)
        {
            return false;
        }

        _vectors = GC.AllocateArray<IoVector>(needed, pinned: true);
        _pins = new MemoryHandle[needed];
        return true;
    }
}
