namespace Uml.Core.Machine;

/// <summary>
/// A service that may refine the reason why a machine ends: a console that has seen the kernel panic turns the reboot that follows into
/// <see cref="MachineExitReason.Panic"/>. Registered in the builder's <c>Services</c>.
/// </summary>
public interface IMachineExitInterpreter
{
    /// <summary>Called once, on the machine's thread, when the guest will not run again.</summary>
    /// <param name="exit">The reason so far.</param>
    /// <returns>The same reason, or a more precise one.</returns>
    MachineExit Interpret(MachineExit exit);
}
