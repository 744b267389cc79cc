using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using System.Runtime.CompilerServices;
using Uml.Storage.Blocks;
using Uml.Storage.Nbd.Protocol;

namespace Uml.Storage.Nbd.Server;

/// <summary>
/// A request of a client, used again and again with its memory. It checks what is asked for, has the device do it, and is the reply to itself.
/// </summary>
internal sealed class NbdServerRequest : INbdMessage
{
    /// <summary>Memory that stays with a request; larger data has it only while it is needed. A choice of ours.</summary>
    private const int KeptSize = 256 << 10;

    private readonly NbdServerConnection _connection;
    private readonly NbdExport _export;
    private readonly IFlushable? _flushable;
    private readonly IDiscardable? _discardable;
    private readonly IZeroable? _zeroable;
    private readonly bool _isStructured;
    private readonly int _maximum;
    private readonly Action _advance;
    private ConfiguredValueTaskAwaitable.ConfiguredValueTaskAwaiter _awaiter;
    private byte[] _kept = [];
    private byte[]? _rented;
    private NbdRequestHeader _header;
    private uint _error;

    public NbdServerRequest(NbdServerConnection connection, NbdServerLink link, int maximum)
    {
        (_connection, _export, _isStructured, _maximum) = (connection, link.Export, link.IsStructured, maximum);
        _flushable = _export.Device.GetCapability<IFlushable>();
        _discardable = _export.Device.GetCapability<IDiscardable>();
        _zeroable = _export.Device.GetCapability<IZeroable>();
        _advance = Advance;
    }

    /// <summary>What is read or written.</summary>
    public Memory<byte> Data { get; private set; }

    public BlockBuffers Payload => HasPayload ? Data : default(BlockBuffers);

    private bool HasPayload => _header.Command == NbdCommand.Read && _error == NbdErrors.None;

    public void Set(NbdRequestHeader header, int length)
    {
        (_header, _error) = (header, NbdErrors.None);
        if (length > KeptSize)
        {
            Data = (_rented = ArrayPool<byte>.Shared.Rent(length)).AsMemory(0, length);
            return;
        }

        if (length > _kept.Length)
        {
            _kept = new byte[BitOperations.RoundUpToPowerOf2((uint)length)];
        }

        Data = _kept.AsMemory(0, length);
    }

    /// <summary>Begins to carry it out. The connection is notified when it has ended, maybe before this returns.</summary>
    [SuppressMessage("Reliability", "CA2012", Justification = "It is taken once, by Advance.")]
    public void Start()
    {
        try
        {
            _error = Check();
            if (_error == NbdErrors.None)
            {
                _awaiter = Begin().ConfigureAwait(false).GetAwaiter();
            }
        }
        catch (Exception e)
        {
            Fail(e);
            return;
        }

        if (_error != NbdErrors.None)
        {
            _connection.OnDone(this);
        }
        else if (_awaiter.IsCompleted)
        {
            Advance();
        }
        else
        {
            _awaiter.UnsafeOnCompleted(_advance);
        }
    }

    /// <summary>Gives back what is not kept.</summary>
    public void Release()
    {
        Data = default;
        if (_rented is not null)
        {
            ArrayPool<byte>.Shared.Return(_rented);
            _rented = null;
        }
    }

    public int WriteHeader(Span<byte> bytes)
    {
        if (_header.Command != NbdCommand.Read || !_isStructured)
        {
            return new NbdSimpleReply(_error, _header.Cookie).Write(bytes);
        }

        if (_error != NbdErrors.None)
        {
            // The number, and no words behind it: the device's could tell a client about the host.
            int size = new NbdChunkHeader(true, NbdChunk.Error, _header.Cookie, 6).Write(bytes);
            BinaryPrimitives.WriteUInt32BigEndian(bytes[size..], _error);
            BinaryPrimitives.WriteUInt16BigEndian(bytes[(size + 4)..], 0);
            return size + 6;
        }

        if (Data.Length == 0)
        {
            return new NbdChunkHeader(true, NbdChunk.None, _header.Cookie, 0).Write(bytes);
        }

        int header = new NbdChunkHeader(true, NbdChunk.Data, _header.Cookie, 8 + (uint)Data.Length).Write(bytes);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[header..], _header.Offset);
        return header + 8;
    }

    /// <summary>"Request types" and "Error values".</summary>
    private uint Check()
    {
        NbdCommandFlags allowed = _flushable is null ? NbdCommandFlags.None : NbdCommandFlags.Fua;
        (bool isThere, bool isWrite) = (true, true);
        switch (_header.Command)
        {
            case NbdCommand.Read:
                allowed |= _isStructured ? NbdCommandFlags.DontFragment : NbdCommandFlags.None;
                isWrite = false;
                break;
            case NbdCommand.Write:
                break;
            case NbdCommand.Flush:
                (isThere, isWrite) = (_flushable is not null && _header is { Offset: 0, Length: 0 }, false);
                break;
            case NbdCommand.Trim:
                isThere = _discardable is not null;
                break;
            case NbdCommand.WriteZeroes:
                allowed |= NbdCommandFlags.NoHole;
                isThere = _zeroable is not null;
                break;
            default:
                return NbdErrors.Invalid;
        }

        ulong length = (ulong)_export.Device.Length, mask = (uint)_export.Device.Limits.LogicalBlockSize - 1;
        bool hasData = _header.Command is NbdCommand.Read or NbdCommand.Write;
        return !isThere || (_header.Flags & ~allowed) != 0 || (hasData && _header.Length > _maximum) ? NbdErrors.Invalid
            : isWrite && !_export.IsWritable ? NbdErrors.NotPermitted
            : _header.Offset > length || _header.Length > length - _header.Offset ? isWrite ? NbdErrors.NoSpace : NbdErrors.Invalid
            : ((_header.Offset | _header.Length) & mask) != 0 ? NbdErrors.Invalid
            : NbdErrors.None;
    }

    private ValueTask Begin()
    {
        ValueTask task = Send();
        bool isChange = _header.Command is NbdCommand.Write or NbdCommand.Trim or NbdCommand.WriteZeroes;
        return isChange && (_header.Flags & NbdCommandFlags.Fua) != 0 ? WriteThrough.FlushBehindAsync(task, _flushable!) : task;
    }

    private ValueTask Send()
    {
        long offset = (long)_header.Offset, length = _header.Length;
        switch (_header.Command)
        {
            case NbdCommand.Read: return _export.Device.ReadAsync(offset, Data);
            case NbdCommand.Write: return _export.Device.WriteAsync(offset, Data);
            case NbdCommand.Trim: return _discardable!.DiscardAsync(offset, length);
            case NbdCommand.WriteZeroes: return _zeroable!.WriteZeroesAsync(offset, length, (_header.Flags & NbdCommandFlags.NoHole) == 0);
            default: return _flushable!.FlushAsync();
        }
    }

    private void Advance()
    {
        try
        {
            _awaiter.GetResult();
        }
        catch (Exception e)
        {
            Fail(e);
            return;
        }

        _connection.OnDone(this);
    }

    /// <summary>Whatever the device threw, this request has failed, and nothing else.</summary>
    private void Fail(Exception failure)
    {
        _error = NbdErrors.FromException(failure);
        _connection.OnDone(this);
    }
}
