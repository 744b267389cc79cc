using Uml.Core.Bus;
using Uml.Core.Memory;
using Uml.Core.Snapshots;

namespace Uml.Core.Machine;

/// <summary>
/// Something that belongs to a machine: a device, a chip, a firmware table. Registered as a singleton in the builder's
/// <c>Services</c>; attached in order of registration when the machine is built. Disposed with the machine when it
/// implements <see cref="IDisposable"/> or <see cref="IAsyncDisposable"/>.
/// </summary>
/// <remarks>
/// <para>
/// Its life: <see cref="Attach"/>, <see cref="Reset"/> for the state after power-on, then the guest's accesses, further resets when the
/// guest reboots, and <see cref="Detach"/> when it is unplugged, after which it may be attached again. Members are called on the machine's
/// thread, or while the machine does not run.
/// </para>
/// <para>
/// A device that keeps no state derives from <see cref="StatelessDevice"/>. <c>DeviceConformance</c> in Uml.Hosting tests all of this.
/// </para>
/// </remarks>
public interface IMachineDevice : IStateful
{
    /// <summary>
    /// The device's name, unique in its machine and the same in every run, such as "pit" or "serial0": lower-case letters, digits,
    /// '-', '.' and '_', at most 64. Saved states are kept under it.
    /// </summary>
    string Id { get; }

    /// <summary>
    /// Claims addresses and connects to the machine, whose guest does not run meanwhile. What is taken from <paramref name="machine"/>
    /// (addresses, timers, <see cref="IMachineContext.Own{T}"/>, events) is released automatically at the end of <see cref="Detach"/>, and when
    /// this method throws. <see cref="Detach"/> is not called then: claim addresses, which may be taken, before connecting to other devices.
    /// </summary>
    void Attach(IMachineContext machine);

    /// <summary>Disconnects from other devices: an unplugged device has no effect any more.</summary>
    /// <exception cref="InvalidOperationException">Others depend on it, and are detached first: it stays attached, and has changed nothing.</exception>
    void Detach();

    /// <summary>
    /// Sets the state after power-on, in order of attaching: when all devices of a machine are attached, when this one was plugged in later,
    /// and when the guest has rebooted. Drives interrupt lines low and disarms timers.
    /// </summary>
    void Reset();
}

/// <summary>The machine as one of its devices sees it. All that a device gets from here is released when the device is detached.</summary>
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

    /// <summary>The devices that are attached, this one included, in order of attaching.</summary>
    IReadOnlyList<IMachineDevice> Devices { get; }

    /// <summary>
    /// Disposes something when the device is detached, such as an interrupt line. It is referenced until then: what comes and goes with
    /// requests is disposed by the device itself. Timers and claims need no call; they are forgotten when the device disposes them.
    /// </summary>
    /// <returns>The same.</returns>
    T Own<T>(T resource)
        where T : IDisposable;

    /// <summary>
    /// Ends the machine for the given reason at the next instruction boundary. The first request wins. Callable from any thread.
    /// With <see cref="MachineExitReason.Reboot"/> the machine is reset instead when <see cref="MachineOptions.OnReboot"/> says so.
    /// </summary>
    void RequestExit(MachineExit exit);

    /// <summary>
    /// Runs an action on the machine's thread between two instructions, waking an idle guest. Callable from any thread;
    /// actions run in order. After the machine has stopped, or the device was detached, they are dropped.
    /// </summary>
    void Post(Action action);

    /// <summary>
    /// Raised on the machine's thread when it is about to wait for work, to pause or to stop: devices flush what they have buffered, such
    /// as console output. Subscribed before the machine starts; handlers do not throw.
    /// </summary>
    event Action? Quiescing;
}
