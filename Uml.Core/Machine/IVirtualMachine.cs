using Uml.Core.Bus;
using Uml.Core.Cpu;
using Uml.Core.Memory;

namespace Uml.Core.Machine;

/// <summary>The states of a machine's life cycle.</summary>
public enum MachineState
{
    /// <summary>Built and not started; registers and memory may be set up.</summary>
    Created,

    /// <summary>The guest runs.</summary>
    Running,

    /// <summary>The guest stands still between two instructions; registers and memory may be read and written.</summary>
    Paused,

    /// <summary>Ended, for the reason that <see cref="IVirtualMachine.WaitForExitAsync"/> returns. Final.</summary>
    Stopped,
}

/// <summary>A Linux machine as an object. Made by <c>VirtualMachineBuilder</c>.</summary>
/// <remarks>
/// Any number of machines live in one process and share nothing. Whatever its guest does, a machine never ends the process.
/// Members may be called from any thread; life-cycle calls are serialised.
/// </remarks>
public interface IVirtualMachine : IAsyncDisposable
{
    /// <summary>The name given by <see cref="MachineOptions.Name"/>.</summary>
    string Name { get; }

    /// <summary>The machine's state.</summary>
    MachineState State { get; }

    /// <summary>The machine's own services: its devices, channels and options.</summary>
    IServiceProvider Services { get; }

    /// <summary>
    /// Guest RAM. While the machine is <see cref="MachineState.Running"/> it can be read, but what it holds changes meanwhile; writing, and
    /// asking for a lease to write, throw <see cref="InvalidOperationException"/> then, except on the machine's thread: pause first. After
    /// disposal members throw <see cref="ObjectDisposedException"/>; leases can be used until they are disposed.
    /// </summary>
    IGuestMemory Memory { get; }

    /// <summary>The registers of each virtual CPU. To be used while the machine is not <see cref="MachineState.Running"/>.</summary>
    IReadOnlyList<ProcessorRegisters> Processors { get; }

    /// <summary>Guest time.</summary>
    IMachineClock Clock { get; }

    /// <summary>
    /// The devices. While the machine is not <see cref="MachineState.Running"/> some may be plugged in and unplugged, and by
    /// <see cref="InvokeAsync"/> while it is.
    /// </summary>
    IMachineDevices Devices { get; }

    /// <summary>
    /// Guest instructions retired so far, each repetition of a REP instruction counted; while the machine runs, as of the last slice.
    /// </summary>
    ulong InstructionsRetired { get; }

    /// <summary>
    /// The statistics of all virtual CPUs, summed; while the machine runs, as of the last slice. The numbers are consistent with each
    /// other. Callable from any thread, and after the machine was disposed.
    /// </summary>
    CpuStatistics GetCpuStatistics();

    /// <summary>Loads the kernel, if there is one, and runs the machine.</summary>
    /// <exception cref="MachineConfigurationException">
    /// The kernel, its initrd, command line or memory do not fit together; the message says what to do.
    /// </exception>
    /// <exception cref="InvalidOperationException">The machine was started before.</exception>
    /// <exception cref="OperationCanceledException">
    /// The start was cancelled, and can be tried again; or the machine was stopped while it was loading.
    /// </exception>
    Task StartAsync(CancellationToken cancellationToken = default);

    /// <summary>Stops the guest between two instructions. Does nothing when it is paused already.</summary>
    /// <exception cref="InvalidOperationException">The machine is not running.</exception>
    Task PauseAsync(CancellationToken cancellationToken = default);

    /// <summary>Resumes a paused guest.</summary>
    /// <exception cref="InvalidOperationException">The machine is not paused.</exception>
    Task ResumeAsync(CancellationToken cancellationToken = default);

    /// <summary>
    /// Does something between two instructions of the guest, who goes on behind it: devices may be plugged in and unplugged then. Done on the
    /// machine's thread while the guest runs; on the calling one when it does not, and it is not started, paused or resumed meanwhile.
    /// </summary>
    /// <param name="action">
    /// What is done: soon, since the guest stands still, and without waiting for calls like this one, or that start, pause or resume the
    /// machine. What it throws is thrown here, and does not end the machine.
    /// </param>
    /// <param name="cancellationToken">Gives it up if it has not begun.</param>
    /// <exception cref="OperationCanceledException">It was cancelled, and was not done.</exception>
    Task InvokeAsync(Action action, CancellationToken cancellationToken = default);

    /// <summary>
    /// Ends the machine with <see cref="MachineExitReason.HostStop"/>, within a second and whatever the guest or a load that is under way does.
    /// Does nothing when it has stopped already.
    /// </summary>
    /// <remarks>
    /// Disposing ends the machine too and takes no longer. When a device or service of the program holds up the machine's thread, or the
    /// host does not come back from reading a file, that thread is left behind: the exit's message says so, and the guest's memory is freed
    /// when the thread returns.
    /// </remarks>
    Task StopAsync(CancellationToken cancellationToken = default);

    /// <summary>Waits until the machine has stopped.</summary>
    Task<MachineExit> WaitForExitAsync(CancellationToken cancellationToken = default);
}
