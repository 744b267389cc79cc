using Uml.Core.Bus;
using Uml.Core.Clock;
using Uml.Core.Memory;

namespace Uml.Core.Machine;

/// <summary>The machine as its devices see it.</summary>
internal sealed class MachineContext(
    IMachineBus bus, IGuestMemory memory, MachineClock clock, IReadOnlyList<IProcessor> processors, MachineLoop loop) : IMachineContext
{
    public event Action? Quiescing;

    public IMachineBus Bus => bus;

    public IGuestMemory Memory => memory;

    public IMachineClock Clock => clock;

    public IReadOnlyList<IProcessor> Processors => processors;

    public void RequestExit(MachineExit exit)
    {
        ArgumentNullException.ThrowIfNull(exit);
        loop.RequestExit(exit);
    }

    public void Post(Action action)
    {
        ArgumentNullException.ThrowIfNull(action);
        loop.Post(action);
    }

    /// <summary>Lets devices hand over what they hold back.</summary>
    public void Quiesce() => Quiescing?.Invoke();
}
