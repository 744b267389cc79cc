namespace Uml.Core.Bus;

/// <summary>A wire from a device to an interrupt controller's input.</summary>
public interface IInterruptLine
{
    /// <summary>Drives the level. Edge-triggered inputs act on the change from false to true. Called on the machine's thread.</summary>
    void Set(bool asserted);
}

/// <summary>Where devices find the platform's interrupt inputs.</summary>
public interface IInterruptRouter
{
    /// <summary>
    /// A line to a global system interrupt (ACPI specification, 5.2.13). Each call gives a line of its own; the input is asserted while
    /// any of its lines is, so that devices can share it.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The platform has no such input.</exception>
    IInterruptLine GetLine(int globalSystemInterrupt);

    /// <summary>Delivers a message-signalled interrupt (Intel SDM vol. 3, 12.11).</summary>
    void SendMessage(ulong address, uint data);
}
