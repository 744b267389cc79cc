namespace Uml.Fuzz.Running;

/// <summary>Ends the process when a case does not come back, after telling which one.</summary>
internal sealed class HangWatch : IDisposable
{
    private readonly Lock _sync = new();
    private readonly TimeSpan _limit;
    private readonly Action<FuzzCase> _report;
    private readonly Timer _timer;
    private FuzzCase? _case;
    private long _began;

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
            if (_case is { } hanging && Environment.TickCount64 - _began > _limit.TotalMilliseconds)
            {
                _report(hanging);
                Environment.FailFast($"Case 0x{hanging.Seed:x} hangs.");
            }
        }
    }
}
