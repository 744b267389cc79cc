namespace Uml.Core.Machine;

/// <summary>Why a machine stopped.</summary>
public enum MachineExitReason
{
    /// <summary>The guest switched the machine off (ACPI S5).</summary>
    PowerOff,

    /// <summary>The guest asked for a reset (ACPI reset register, port 0xCF9, keyboard controller), and <see cref="MachineOptions.OnReboot"/> lets reboots end the machine.</summary>
    Reboot,

    /// <summary>The guest wrote its status to the debug-exit port 0xF4.</summary>
    DebugExit,

    /// <summary>The guest kernel panicked and did not go on.</summary>
    Panic,

    /// <summary>A fault while delivering a double fault (Intel SDM vol. 3, 6.15, #DF): the guest shut its processor down.</summary>
    TripleFault,

    /// <summary>The guest halted with interrupts off and nothing left to wake it.</summary>
    Halted,

    /// <summary>The host stopped the machine.</summary>
    HostStop,

    /// <summary>A defect in the virtual machine itself or in a device; see <see cref="MachineExit.Exception"/>.</summary>
    InternalError,

    /// <summary>
    /// A service of the program that hosts the machine failed, such as a console channel; <see cref="MachineExit.Message"/> names it, and
    /// <see cref="MachineExit.Exception"/> is what it threw.
    /// </summary>
    ServiceFailure,
}

/// <summary>How and why a machine ended.</summary>
/// <param name="Reason">The cause.</param>
/// <param name="Status">The guest's own status: the value written to the debug-exit port; 0 otherwise.</param>
/// <param name="Message">A description, as a sentence.</param>
/// <param name="Exception">What was thrown, with <see cref="MachineExitReason.InternalError"/> and <see cref="MachineExitReason.ServiceFailure"/>.</param>
public sealed record MachineExit(MachineExitReason Reason, uint Status, string Message, Exception? Exception = null);
