using System.Diagnostics.Metrics;
using Uml.Core.Cpu;

namespace Uml.Core.Machine;

/// <summary>The metrics of a machine, on the meter "Uml.Core".</summary>
internal sealed class MachineMetrics : IDisposable
{
    private readonly Meter? _owned;
    private readonly CpuMetrics _cpu;
    private readonly Counter<long> _exits;
    private readonly UpDownCounter<int> _running;
    private readonly KeyValuePair<string, object?> _name;

    /// <param name="factory">Creates the meter; null gives the machine a meter of its own.</param>
    /// <param name="machineName">The tag that identifies the machine.</param>
    public MachineMetrics(IMeterFactory? factory, string machineName)
    {
        Meter meter = factory?.Create("Uml.Core") ?? (_owned = new Meter("Uml.Core"));
        _name = new("uml.machine.name", machineName);
        _cpu = new CpuMetrics(meter, _name);
        _exits = meter.CreateCounter<long>("uml.machine.exits", "{exit}", "Machines that ended, by reason.");
        _running = meter.CreateUpDownCounter<int>("uml.machine.running", "{machine}", "Machines that are started and have not ended.");
    }

    public void Started() => _running.Add(1, _name);

    /// <summary>Reports the statistics of the virtual CPUs.</summary>
    public void Report(in CpuStatistics totals) => _cpu.Report(in totals);

    public void Ended(MachineExit exit, bool wasStarted)
    {
        if (wasStarted)
        {
            _running.Add(-1, _name);
        }

        _exits.Add(1, _name, new("uml.machine.exit.reason", exit.Reason.ToString()));
    }

    public void Dispose() => _owned?.Dispose();
}
