using Uml.Core.Clock;
using Uml.Core.Cpu;

namespace Uml.Core.Machine;

/// <summary>
/// The machine's thread: runs the virtual CPUs in turn, and between slices runs timers and posted actions, pauses and stops. A request may
/// come from any thread; it sets <see cref="_pending"/> and requests attention of the CPUs.
/// </summary>
internal sealed class MachineLoop
{
    private readonly MachineCpus _cpus;
    private readonly MachineClock _clock;
    private readonly IMachineLoopObserver _observer;

    /// <summary>Guards everything below, and is what an idle or paused loop waits on.</summary>
    private readonly object _sync = new();
    private readonly Queue<PostedAction> _actions = new();
    private MachineExit? _exit;
    private bool _pauseRequested;
    private bool _started;
    private bool _ended;
    private TaskCompletionSource? _paused;
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Whether there are requests; read without the lock before each slice.</summary>
    private volatile bool _pending;

    /// <summary>Whether the guest must not run another instruction: an exit or a pause is requested.</summary>
    private volatile bool _urgent;
    private Thread? _thread;

    public MachineLoop(MachineCpus cpus, MachineClock clock, IMachineLoopObserver observer)
    {
        _cpus = cpus;
        _clock = clock;
        _observer = observer;
    }

    /// <summary>Whether the caller is on the machine's thread.</summary>
    public bool IsCurrentThread => Thread.CurrentThread == _thread;

    /// <summary>Completes when the machine's thread has ended, or will never begin.</summary>
    public Task Completion => _completion.Task;

    /// <summary>The first exit that was requested.</summary>
    public MachineExit? RequestedExit
    {
        get
        {
            lock (_sync)
            {
                return _exit;
            }
        }
    }

    /// <summary>Starts the thread. It is a background thread: a forgotten machine does not keep the process alive.</summary>
    /// <param name="name">The thread's name.</param>
    /// <param name="onStarting">Called under the lock before the thread begins; must not call code of the user's.</param>
    /// <returns>False when the machine ended before.</returns>
    public bool TryStart(string name, Action onStarting)
    {
        lock (_sync)
        {
            if (_ended)
            {
                return false;
            }

            _started = true;
            onStarting();
            _thread = new Thread(Run) { Name = name, IsBackground = true };
            _thread.Start();
            return true;
        }
    }

    /// <summary>Requests an exit; the first request wins.</summary>
    public void RequestExit(MachineExit exit)
    {
        lock (_sync)
        {
            if (_exit is not null)
            {
                return;
            }

            _exit = exit;
            _urgent = true;
            Wake();
        }
    }

    /// <summary>Queues an action for the machine's thread.</summary>
    public void Post(PostedAction action)
    {
        lock (_sync)
        {
            if (_ended)
            {
                return;
            }

            _actions.Enqueue(action);
            Wake();
        }
    }

    /// <summary>Whether a paused loop stays paused until <see cref="Resume"/>.</summary>
    public bool IsPauseRequested
    {
        get
        {
            lock (_sync)
            {
                return _pauseRequested;
            }
        }
    }

    /// <summary>Requests a pause.</summary>
    /// <returns>Completes when the loop is paused or has ended.</returns>
    public Task PauseAsync()
    {
        lock (_sync)
        {
            if (_ended)
            {
                return _completion.Task;
            }

            _pauseRequested = true;
            _urgent = true;
            _paused ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            Wake();
            return _paused.Task;
        }
    }

    /// <summary>Resumes a loop that is paused or about to pause.</summary>
    public void Resume()
    {
        lock (_sync)
        {
            _pauseRequested = false;
            _urgent = _exit is not null;
            _paused?.TrySetResult();
            _paused = null;
            Monitor.PulseAll(_sync);
        }
    }

    /// <summary>Ends a loop that has an exit requested and was never started; the caller notifies the observer then.</summary>
    /// <returns>Whether it ended now.</returns>
    public bool TryEndUnstarted()
    {
        lock (_sync)
        {
            if (_started || _ended || _exit is null)
            {
                return false;
            }

            _ended = true;
            _actions.Clear();
            _completion.SetResult();
            return true;
        }
    }

    private void Wake()
    {
        _pending = true;

        // The machine's own thread serves requests before it runs the guest; requesting attention from there would make the guest exit
        // before its first instruction, again and again if a device posts from each action.
        if (_cpus.IsInGuest || Thread.CurrentThread != _thread)
        {
            _cpus.RequestAttention();
        }

        Monitor.PulseAll(_sync);
    }

    private void Run()
    {
        try
        {
            _clock.Resume();
            RunSlices();
            _observer.OnQuiescing();
        }
        catch (HostServiceException e)
        {
            Fail(new MachineExit(MachineExitReason.ServiceFailure, 0, e.Message, e.InnerException ?? e));
        }
#pragma warning disable CA1031 // Whatever goes wrong on this thread ends this machine, and never the process.
        catch (Exception e)
#pragma warning restore CA1031
        {
            Fail(new MachineExit(
                MachineExitReason.InternalError, 0, $"A defect in the virtual machine or one of its devices ended it: {e.GetType()}: {e.Message}", e));
        }

        _clock.Pause();
        End();
        _completion.SetResult();
    }

    /// <summary>Ends the loop for a failure. When an exit was already requested, the failure's message is appended to it.</summary>
    private void Fail(MachineExit failure)
    {
        lock (_sync)
        {
            _exit = _exit is not { } first
                ? failure
                : first with { Message = $"{first.Message} {failure.Message}", Exception = first.Exception ?? failure.Exception };
        }
    }

    private void End()
    {
        MachineExit exit;
        TaskCompletionSource? paused;
        lock (_sync)
        {
            _ended = true;
            _actions.Clear();
            exit = _exit!;
            paused = _paused;
        }

        _observer.OnEnded(exit);
        paused?.TrySetResult();
    }

    private void RunSlices()
    {
        while (!_pending || Serve())
        {
            _clock.RunDueTimers();
            if (_urgent)
            {
                continue;
            }

            CpuThread cpu = _cpus.Current;
            RunResult result = cpu.RunSlice();
            _observer.OnSlice(_cpus.Statistics);
            _cpus.EndTurn(result);
            if (result == RunResult.Shutdown)
            {
                RequestExit(cpu.TripleFault());
            }
            else if (result == RunResult.Halted && _cpus.AreHalted)
            {
                Idle();
            }
        }
    }

    /// <summary>Serves the pending requests.</summary>
    /// <returns>False when the loop has to end.</returns>
    private bool Serve()
    {
        // Only the actions queued so far, so that a device that posts from a posted action does not keep the guest from running.
        int remaining = -1;
        while (true)
        {
            PostedAction action;
            StandStill();
            lock (_sync)
            {
                if (_exit is not null)
                {
                    return false;
                }

                if (_pauseRequested)
                {
                    continue;
                }

                remaining = remaining < 0 ? _actions.Count : remaining;
                if (remaining-- == 0)
                {
                    _pending = _actions.Count != 0;
                    return true;
                }

                action = _actions.Dequeue();
            }

            action.Run();
        }
    }

    /// <summary>Serves a request to pause. The observer is not called under the lock, because its loggers and consoles may block.</summary>
    private void StandStill()
    {
        lock (_sync)
        {
            if (!_pauseRequested || _exit is not null)
            {
                return;
            }
        }

        _clock.Pause();
        _observer.OnQuiescing();

        // Every request is completed, even one that comes before this thread has seen a resume.
        while (WaitForPauseRequest() is { } paused)
        {
            _observer.OnPaused();
            paused.TrySetResult();
        }

        _observer.OnResumed();
        _clock.Resume();
    }

    /// <summary>Waits for a request to pause that is to be completed.</summary>
    /// <returns>The request to complete; null when the guest is resumed or has to end.</returns>
    private TaskCompletionSource? WaitForPauseRequest()
    {
        lock (_sync)
        {
            while (_pauseRequested && _exit is null && _paused is null)
            {
                Monitor.Wait(_sync);
            }

            TaskCompletionSource? paused = _pauseRequested && _exit is null ? _paused : null;
            _paused = paused is null ? _paused : null;
            return paused;
        }
    }

    /// <summary>Waits, or skips time, while all CPUs are halted.</summary>
    private void Idle()
    {
        if (!_cpus.CanBeWoken)
        {
            RequestExit(new MachineExit(
                MachineExitReason.Halted, 0, "The guest halted its processor with interrupts off; nothing can wake it."));
            return;
        }

        _observer.OnQuiescing();
        ulong? deadline = _clock.NextDeadline;
        if (deadline is { } skipped && !_clock.SleepsWhenIdle)
        {
            _clock.SkipTo(skipped);
            return;
        }

        Sleep(deadline);
        _clock.EndIdle();
    }

    private void Sleep(ulong? deadline)
    {
        // The longest sleep is far below the limits of the waits; the loop comes back and sleeps again.
        const ulong longest = 60_000_000_000;
        ulong now = _clock.Nanoseconds;
        ulong nanoseconds = deadline is { } end ? Math.Min(end - Math.Min(now, end), longest) : longest;
        if (_clock is RealTimeClock { FollowsHost: false, Provider: var provider })
        {
            using ITimer alarm = provider.CreateTimer(
                static loop => ((MachineLoop)loop!).WakeIdle(), this, TimeSpan.FromMicroseconds(Math.Ceiling(nanoseconds / 1000.0)), Timeout.InfiniteTimeSpan);
            WaitUntilPending(Timeout.Infinite);
        }
        else if (nanoseconds >= 1_000_000)
        {
            WaitUntilPending((int)(nanoseconds / 1_000_000));
        }
        else
        {
            // The host's waits have a resolution of milliseconds: the rest is spent yielding.
            while (!_pending && _clock.Nanoseconds - now < nanoseconds)
            {
                Thread.Yield();
            }
        }
    }

    private void WakeIdle()
    {
        lock (_sync)
        {
            Wake();
        }
    }

    private void WaitUntilPending(int milliseconds)
    {
        lock (_sync)
        {
            if (!_pending)
            {
                Monitor.Wait(_sync, milliseconds);
            }
        }
    }
}

/// <summary>Notifications of the loop to its machine, on the machine's thread.</summary>
internal interface IMachineLoopObserver
{
    /// <summary>A slice ended.</summary>
    void OnSlice(in CpuStatistics statistics);

    /// <summary>The guest is about to wait, to pause or to stop.</summary>
    void OnQuiescing();

    /// <summary>The guest stands still.</summary>
    void OnPaused();

    /// <summary>The guest goes on.</summary>
    void OnResumed();

    /// <summary>The loop has ended. Called once.</summary>
    void OnEnded(MachineExit exit);
}
