using Uml.Storage.Blocks;
using Uml.Storage.Nbd.Protocol;

namespace Uml.Storage.Nbd.Client;

/// <summary>Keeps a connection to an export: runs it, and makes another when it is lost.</summary>
internal sealed class NbdSession : IAsyncDisposable
{
    private static readonly TimeSpan MaximumDelay = TimeSpan.FromSeconds(5), DisconnectTimeout = TimeSpan.FromSeconds(5);

    private readonly NbdConnector _connector;
    private readonly NbdClientOptions _options;
    private readonly NbdClient _client;
    private readonly NbdExportInfo _export;
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _stopping = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _run;
    private TimeSpan _delay;

    /// <summary>When the connection was lost, if there was no reply since.</summary>
    private long _lostAt;
    private volatile bool _isLost;

    public NbdSession(NbdConnector connector, NbdClientOptions options, NbdClient client, NbdLink link)
    {
        (_connector, _options, _client, _export) = (connector, options, client, link.Export);
        client.Replied = () => _isLost = false;
        _run = RunAsync(link);
    }

    /// <summary>Waits for requests under way, takes leave, and closes the connection.</summary>
    public async ValueTask DisposeAsync()
    {
        await Task.WhenAny(_client.WaitUntilIdleAsync(), Task.Delay(DisconnectTimeout, _options.TimeProvider)).ConfigureAwait(false);
        await _stop.CancelAsync().ConfigureAwait(false);
        _stopping.SetResult();
        await _run.ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task RunAsync(NbdLink first)
    {
        NbdLink? link = first;
        while (link is not null)
        {
            (string reason, bool isBroken) = await RunLinkAsync(link).ConfigureAwait(false);
            if (!_isLost)
            {
                (_isLost, _lostAt, _delay) = (true, _options.TimeProvider.GetTimestamp(), TimeSpan.Zero);
            }

            link = null;
            if (isBroken || _options.ReconnectTimeout == TimeSpan.Zero)
            {
                _client.Fail(reason);
            }
            else if (!_stop.IsCancellationRequested)
            {
                link = await ReconnectAsync(reason).ConfigureAwait(false);
            }
        }

        if (_stop.IsCancellationRequested)
        {
            _client.Fail("the device was closed");
        }
    }

    /// <summary>Uses a connection until it is gone.</summary>
    /// <returns>Why it is, and whether the server broke the protocol: such a server is not given data again.</returns>
    private async Task<(string Reason, bool IsBroken)> RunLinkAsync(NbdLink link)
    {
        NbdJournal.Entry[] lost = _client.BeginReplay();
        Task sending = NbdSender.RunAsync(link.Stream, _client);
        Task receiving = new NbdReplies(_client, link).RunAsync();
        Task replaying = ReplayAsync(lost);
        Task ended = await Task.WhenAny(sending, receiving, _stopping.Task).ConfigureAwait(false);
        _client.Close();
        if (ended == _stopping.Task)
        {
            await Task.WhenAny(sending, Task.Delay(DisconnectTimeout, _options.TimeProvider)).ConfigureAwait(false);
            await TakeLeaveAsync(link, sending).ConfigureAwait(false);
        }

        link.Dispose();
        string sent = await ReasonAsync(sending).ConfigureAwait(false), received = await ReasonAsync(receiving).ConfigureAwait(false);
        bool isBroken = receiving.Exception?.InnerException is NbdProtocolException;
        string reason = isBroken ? $"the server does not keep to the protocol: {received}" : ended == sending ? sent : received;
        _client.Suspend(reason);
        await replaying.ConfigureAwait(false);
        return (reason, isBroken);
    }

    private async Task ReplayAsync(NbdJournal.Entry[] lost)
    {
        try
        {
            await _client.ReplayAsync(lost).ConfigureAwait(false);
            _client.Begin(_options.ReconnectTimeout);
        }
        catch (BlockIOException e) when (e.Error == BlockError.Gone)
        {
            // This connection is lost as well; the next one begins from the start.
        }
    }

    /// <summary>NBD_CMD_DISC, to which there is no reply.</summary>
    private static async Task TakeLeaveAsync(NbdLink link, Task sending)
    {
        if (sending.IsCompletedSuccessfully)
        {
            byte[] request = new byte[NbdRequestHeader.Size];
            new NbdRequestHeader(NbdCommandFlags.None, NbdCommand.Disconnect, 0, 0, 0).Write(request);
            await ReasonAsync(link.Stream.WriteAsync(request).AsTask()).ConfigureAwait(false);
        }
    }

    /// <summary>Why a loop ended, whose connection is gone or about to be.</summary>
    private static async Task<string> ReasonAsync(Task loop)
    {
        try
        {
            await loop.ConfigureAwait(false);
            return "the connection was closed";
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException or InvalidOperationException)
        {
            return e.Message;
        }
    }

    private async Task<NbdLink?> ReconnectAsync(string reason)
    {
        while (!_stop.IsCancellationRequested)
        {
            TimeSpan left = _options.ReconnectTimeout - _options.TimeProvider.GetElapsedTime(_lostAt);
            bool isOver = left <= TimeSpan.Zero;
            if (isOver)
            {
                _client.Fail($"there is no connection for {_options.ReconnectTimeout.TotalSeconds:0.###} s: {reason}");
            }

            try
            {
                TimeSpan delay = !isOver && left < _delay ? left : _delay;
                await Task.Delay(delay, _options.TimeProvider, _stop.Token).ConfigureAwait(false);
                _delay = _delay == TimeSpan.Zero ? _options.ReconnectDelay : _delay * 2 < MaximumDelay ? _delay * 2 : MaximumDelay;
                TimeSpan timeout = !isOver && left < _options.ConnectTimeout ? left : _options.ConnectTimeout;
                return Check(await _connector.ConnectAsync(timeout, _stop.Token).ConfigureAwait(false));
            }
            catch (DiskImageException e)
            {
                _client.Fail(e.Message);
                return null;
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return null;
            }
            catch (IOException e)
            {
                reason = e.Message;
            }
        }

        return null;
    }

    /// <summary>An export that comes back has to be the one that was opened.</summary>
    private NbdLink Check(NbdLink link)
    {
        NbdExportInfo now = link.Export;
        if (now with { IsStructured = _export.IsStructured } == _export)
        {
            return link;
        }

        link.Dispose();
        throw new DiskImageException(
            $"{_connector.End} has {now.Length} bytes ({now.Flags}, blocks of {now.Limits.LogicalBlockSize} to {now.MaximumBlock}) after it came back, and had "
            + $"{_export.Length} ({_export.Flags}, blocks of {_export.Limits.LogicalBlockSize} to {_export.MaximumBlock}): open it again if that is meant.");
    }
}
