namespace Uml.Fuzz.Running;

/// <summary>Ends the process when a case does not come back, after telling which one.</summary>
internal sealed class HangWatch : IDisposable
{
    /// <summary>A host with more to do than this one process: waiting is no hang before so many limits have passed. Ours.</summary>
    private const int Patience = 5;

    private readonly Lock _sync = new();
    private readonly TimeSpan _limit;
    private readonly Action<FuzzCase> _report;
    private readonly Timer _timer;
    private FuzzCase? _case;
    private long _began;
    private TimeSpan _cpuTime;

    public HangWatch(TimeSpan limit, Action<FuzzCase> report)
    {
        _limit = limit;
        _report = report;
        _timer = new Timer(_ => Look(), null, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1));
    }

    public void Begin(FuzzCase current)
    {
        lock (_sync)
        {
            _case = current;
            _began = Environment.TickCount64;
            _cpuTime = ResourceUse.CpuTime();
        }
    }

    public void End()
    {
        lock (_sync)
        {
            _case = null;
        }
    }

    public void Dispose() => _timer.Dispose();

    private void Look()
    {
        lock (_sync)
        {
            var waited = TimeSpan.FromMilliseconds(Environment.TickCount64 - _began);
            bool ran = ResourceUse.CpuTime() - _cpuTime > _limit / 2;
            if (_case is { } hanging && waited > (ran ? _limit : _limit * Patience))
            {
                _report(hanging);
                Environment.FailFast($"Case 0x{hanging.Seed:x} hangs.");
            }
        }
    }
}
