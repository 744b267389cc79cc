using System.Runtime.CompilerServices;
using System.Security.Authentication;
using Uml.Storage.Nbd.Protocol;

namespace Uml.Storage.Nbd.Server;

/// <summary>A connection of one client: one loop reads requests, another sends replies, and requests are carried out in between.</summary>
internal sealed class NbdServerConnection(NbdServerOptions options, Stream stream) : INbdMessageSource
{
    /// <summary>How long replies may take when the server ends or the client has taken its leave.</summary>
    private static readonly TimeSpan LastReplies = TimeSpan.FromSeconds(2);

    private readonly Lock _lock = new();
    private readonly Stack<NbdServerRequest> _unused = new();
    private readonly Queue<NbdServerRequest> _toSend = new();

    /// <summary>Wakes the reading loop when a request has ended.</summary>
    private readonly NbdSignal _ended = new();
    private NbdServerLink _link = null!;
    private TaskCompletionSource? _deviceIdle;
    private int _underWay, _atDevice;
    private bool _isEnding;
    private long _bytesUnderWay;

    public NbdSignal Signal { get; } = new();

    public bool IsClosed { get; private set; }

    /// <summary>Serves the client until it goes, or the server ends. Exceptions are defects, of the server or of the device.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        Stream used = stream;
        try
        {
            using CancellationTokenSource limit = new(options.HandshakeTimeout, options.TimeProvider);
            using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, stop);
            if (await new NbdServerHandshake(options, stream).RunAsync(either.Token).ConfigureAwait(false) is { } link)
            {
                (_link, used) = (link, link.Stream);
                await TransmitAsync(stop).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (IsEnd(e))
        {
            // The client is gone, is too slow, or does not keep to the protocol: it is disconnected, and nobody else is concerned.
        }
        finally
        {
            await used.DisposeAsync().ConfigureAwait(false);
            await stream.DisposeAsync().ConfigureAwait(false);
        }
    }

    public INbdMessage? TryTake()
    {
        lock (_lock)
        {
            return _toSend.TryDequeue(out NbdServerRequest? request) ? request : null;
        }
    }

    public void OnSent(INbdMessage message) => End((NbdServerRequest)message);

    /// <summary>A request was carried out, and is to be answered.</summary>
    public void OnDone(NbdServerRequest request)
    {
        lock (_lock)
        {
            _toSend.Enqueue(request);
            if (--_atDevice == 0)
            {
                _deviceIdle?.SetResult();
            }
        }

        Signal.Set();
    }

    /// <summary>Whether the connection has ended: errors of the network and of the protocol, of encryption, and those of what was closed meanwhile.</summary>
    private static bool IsEnd(Exception e) => e is IOException or OperationCanceledException or AuthenticationException or ObjectDisposedException;

    /// <summary>Passes on why a loop has ended, unless the connection has.</summary>
    private static async Task EndAsync(Task loop)
    {
        try
        {
            await loop.ConfigureAwait(false);
        }
        catch (Exception e) when (IsEnd(e))
        {
            // As in RunAsync: nobody else is concerned.
        }
    }

    private async Task TransmitAsync(CancellationToken stop)
    {
        Task sending = NbdSender.RunAsync(_link.Stream, this);
        Task reading = ReadAsync(stop);
        using CancellationTokenRegistration stopping = stop.UnsafeRegister(static connection => ((NbdServerConnection)connection!).EndReading(), this);
        await Task.WhenAny(sending, reading).ConfigureAwait(false);
        EndReading();
        if (!reading.IsCompletedSuccessfully && !stop.IsCancellationRequested)
        {
            await _link.Stream.DisposeAsync().ConfigureAwait(false);
        }

        await reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

        // The device works on the requests' memory until the last has ended, whatever the client does.
        await WaitForDeviceAsync().ConfigureAwait(false);
        IsClosed = true;
        Signal.Set();
        await Task.WhenAny(sending, Task.Delay(LastReplies, options.TimeProvider, CancellationToken.None)).ConfigureAwait(false);
        await _link.Stream.DisposeAsync().ConfigureAwait(false);
        await EndAsync(sending).ConfigureAwait(false);
        await EndAsync(reading).ConfigureAwait(false);
    }

    private void EndReading()
    {
        lock (_lock)
        {
            _isEnding = true;
        }

        _ended.Set();
    }

    private Task WaitForDeviceAsync()
    {
        lock (_lock)
        {
            _deviceIdle = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            if (_atDevice == 0)
            {
                _deviceIdle.SetResult();
            }

            return _deviceIdle.Task;
        }
    }

    /// <summary>Reads requests until the client takes its leave.</summary>
    private async Task ReadAsync(CancellationToken stop)
    {
        NbdReader reader = _link.Reader;
        while (true)
        {
            while (reader.Available < NbdRequestHeader.Size)
            {
                reader.Commit(await _link.Stream.ReadAsync(reader.Prepare(NbdRequestHeader.Size), stop).ConfigureAwait(false));
            }

            uint magic = NbdRequestHeader.ReadMagic(reader.Peek(4));
            if (magic != NbdProtocol.RequestMagic)
            {
                throw new NbdProtocolException($"a request begins with {magic:X8}H");
            }

            NbdRequestHeader header = NbdRequestHeader.Read(reader.Take(NbdRequestHeader.Size));
            if (header.Command == NbdCommand.Disconnect)
            {
                return;
            }

            bool hasData = header.Command is NbdCommand.Read or NbdCommand.Write;
            if (header.Command == NbdCommand.Write && header.Length > options.MaximumRequestSize)
            {
                throw new NbdProtocolException($"a write has {header.Length} bytes, of at most {options.MaximumRequestSize}");
            }

            int length = hasData && header.Length <= options.MaximumRequestSize ? (int)header.Length : 0;
            NbdServerRequest request = await TakeAsync(length).ConfigureAwait(false);
            request.Set(header, length);
            if (header.Command == NbdCommand.Write)
            {
                try
                {
                    await reader.ReadAsync(request.Data, stop).ConfigureAwait(false);
                }
                catch
                {
                    End(request);
                    throw;
                }
            }

            Begin(request);
        }
    }

    /// <summary>Waits until another request may be under way.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<NbdServerRequest> TakeAsync(int length)
    {
        while (true)
        {
            lock (_lock)
            {
                if (_isEnding)
                {
                    throw new OperationCanceledException("the connection ends");
                }

                if (_underWay < options.MaximumRequests && _bytesUnderWay + length <= 2L * options.MaximumRequestSize)
                {
                    _underWay++;
                    _bytesUnderWay += length;
                    return _unused.TryPop(out NbdServerRequest? unused) ? unused : new NbdServerRequest(this, _link, options.MaximumRequestSize);
                }
            }

            await _ended.WaitAsync().ConfigureAwait(false);
        }
    }

    private void Begin(NbdServerRequest request)
    {
        lock (_lock)
        {
            _atDevice++;
        }

        request.Start();
    }

    private void End(NbdServerRequest request)
    {
        lock (_lock)
        {
            _underWay--;
            _bytesUnderWay -= request.Data.Length;
            request.Release();
            _unused.Push(request);
        }

        _ended.Set();
    }
}
