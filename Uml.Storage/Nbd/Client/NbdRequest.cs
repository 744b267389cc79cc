using System.Threading.Tasks.Sources;
using Uml.Storage.Blocks;
using Uml.Storage.Nbd.Protocol;

namespace Uml.Storage.Nbd.Client;

/// <summary>A request to a server, used again and again. Its fields belong to <see cref="NbdClient"/>, and are used under its lock or by its reading loop.</summary>
internal sealed class NbdRequest(NbdClient client) : INbdMessage, IValueTaskSource, IThreadPoolWorkItem
{
    private readonly NbdClient _client = client;
    private ManualResetValueTaskSourceCore<bool> _result;
    private NbdRequestHeader _header;
    private BlockIOException? _failure;

    public NbdCommand Command => _header.Command;

    public NbdCommandFlags Flags => _header.Flags;

    public long Offset => (long)_header.Offset;

    public uint Length => _header.Length;

    public ulong Cookie => _header.Cookie;

    /// <summary>What is read or written; empty for others.</summary>
    public BlockBuffers Buffers { get; private set; }

    public BlockBuffers Payload => Command == NbdCommand.Write ? Buffers : default;

    public ValueTask Task => new(this, _result.Version);

    public NbdCoverage Coverage { get; } = new();

    /// <summary>Whether the sender does not need the buffers any more, and whether the reply has come. It is done when both are.</summary>
    public bool IsSent, IsReplied;

    /// <summary>The server's error, and its words.</summary>
    public uint Error;
    public string ErrorText = "";

    /// <summary>Whether room in the journal is kept for it.</summary>
    public bool HasReservation;

    /// <summary>For a flush: how many writes of the journal it covers.</summary>
    public long Covered;

    /// <summary>When the connection was first lost on which it waits; null when it was not.</summary>
    public long? LostAt;

    public void Set(NbdCommand command, NbdCommandFlags flags, long offset, uint length, BlockBuffers buffers)
    {
        _header = new NbdRequestHeader(flags, command, 0, (ulong)offset, length);
        Buffers = buffers;
        (HasReservation, LostAt, _failure) = (false, null, null);
    }

    /// <summary>Prepares it to be sent, for the first time or again.</summary>
    public void Prepare(ulong cookie)
    {
        _header = _header with { Cookie = cookie };
        (IsSent, IsReplied, Error, ErrorText) = (false, false, NbdErrors.None, "");
        Coverage.Clear();
    }

    public int WriteHeader(Span<byte> bytes) => _header.Write(bytes);

    /// <summary>Ends it; what awaits it goes on on a thread of the pool.</summary>
    public void Complete(BlockIOException? failure)
    {
        _failure = failure;
        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    void IThreadPoolWorkItem.Execute()
    {
        if (_failure is null)
        {
            _result.SetResult(true);
        }
        else
        {
            _result.SetException(_failure);
        }
    }

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _result.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _result.OnCompleted(continuation, state, token, flags);

    void IValueTaskSource.GetResult(short token)
    {
        try
        {
            _result.GetResult(token);
        }
        finally
        {
            Buffers = default;
            _failure = null;
            _result.Reset();
            _client.Return(this);
        }
    }
}
