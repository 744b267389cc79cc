namespace Uml.Core.Machine;

/// <content>Actions of the owner between two instructions of the guest.</content>
internal sealed partial class VirtualMachine
{
    public async Task InvokeAsync(Action action, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(action);
        if (_loop.IsCurrentThread)
        {
            action();
            return;
        }

        // While it is held the guest is neither started, paused nor resumed.
        await _gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            // Behind a pause that was cancelled the machine may look paused, and be about to go on.
            if (_state == MachineState.Running || (_state == MachineState.Paused && !_loop.IsPauseRequested))
            {
                await PostAndWaitAsync(new Invocation(action), cancellationToken).ConfigureAwait(false);
            }
            else
            {
                action();
            }
        }
        finally
        {
            _gate.Release();
        }
    }

    private async Task PostAndWaitAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        _loop.Post(new PostedAction(invocation.Run));
        try
        {
            await Task.WhenAny(invocation.Completion, _exited.Task).WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (invocation.TryTake())
        {
            throw;
        }
        catch (OperationCanceledException)
        {
            // It has begun, and ends soon: its result is the call's.
        }

        // A machine that ends drops what was posted.
        invocation.Run();
        await invocation.Completion.ConfigureAwait(false);
    }

    /// <summary>An action that is done once, by who takes it first; what it throws is the caller's, and not the end of the machine.</summary>
    private sealed class Invocation(Action action)
    {
        private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _isTaken;

        public Task Completion => _completion.Task;

        public bool TryTake() => Interlocked.Exchange(ref _isTaken, 1) == 0;

        public void Run()
        {
            if (!TryTake())
            {
                return;
            }

            try
            {
                action();
                _completion.SetResult();
            }
#pragma warning disable CA1031 // Whatever it throws is thrown to whoever asked for it.
            catch (Exception e)
#pragma warning restore CA1031
            {
                _completion.SetException(e);
            }
        }
    }
}
