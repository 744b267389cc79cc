using Uml.Differential.Tests.Generation;

namespace Uml.Differential.Tests.Running;

/// <summary>
/// Ends the process when one case does not end: on the processor itself nothing else can, signals are blocked there. The message tells
/// how to replay the case.
/// </summary>
internal sealed class Watchdog : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    private readonly Timer _timer;
    private volatile TestCase? _current;
    private TestCase? _seen;

    public Watchdog() => _timer = new Timer(_ => Look(), null, s_patience, s_patience);

    public void Watch(TestCase? test) => _current = test;

    public void Dispose() => _timer.Dispose();

    private void Look()
    {
        TestCase? current = _current;
        if (current is not null && current == _seen)
        {
            Environment.FailFast($"A differential test case does not end:\n{CaseReport.Write(current, "", "", [])}");
        }

        _seen = current;
    }
}
