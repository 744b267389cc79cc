using Uml.Core.Bus;
using Uml.Core.Memory;

namespace Uml.Core.Machine;

/// <summary>
/// Something that belongs to a machine: a device, a chip, a firmware table. Registered as a singleton in the builder's
/// <c>Services</c>; attached in order of registration when the machine is built. Disposed with the machine when it
/// implements <see cref="IDisposable"/> or <see cref="IAsyncDisposable"/>.
/// </summary>
public interface IMachineDevice
{
    /// <summary>Claims addresses and connects to the machine, which is not running yet.</summary>
    void Attach(IMachineContext machine);
}

/// <summary>The machine as its devices see it.</summary>
public interface IMachineContext
{
    /// <summary>Address spaces.</summary>
    IMachineBus Bus { get; }

    /// <summary>Guest RAM for direct memory access.</summary>
    IGuestMemory Memory { get; }

    /// <summary>Guest time and timers.</summary>
    IMachineClock Clock { get; }

    /// <summary>The virtual CPUs.</summary>
    IReadOnlyList<IProcessor> Processors { get; }

    /// <summary>
    /// Ends the machine for the given reason at the next instruction boundary. The first request wins. Callable from any thread.
    /// </summary>
    void RequestExit(MachineExit exit);

    /// <summary>
    /// Runs an action on the machine's thread between two instructions, waking an idle guest. Callable from any thread;
    /// actions run in order. After the machine has stopped they are dropped.
    /// </summary>
    void Post(Action action);

    /// <summary>
    /// Raised on the machine's thread when it is about to wait for work, to pause or to stop: the moment for devices to hand over
    /// what they hold back to batch it, such as console output. Subscribed before the machine starts; handlers do not throw.
    /// </summary>
    event Action? Quiescing;
}
