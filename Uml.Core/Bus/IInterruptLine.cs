namespace Uml.Core.Bus;

/// <summary>A wire from a device to an interrupt controller's input. Disposing it drives it low and releases it.</summary>
public interface IInterruptLine : IDisposable
{
    /// <summary>The name of the device or function that drives it.</summary>
    string Name { get; }

    /// <summary>The current level, which is part of the state of the device that drives it.</summary>
    bool IsAsserted { get; }

    /// <summary>Drives the level. Edge-triggered inputs act on the change from false to true. Called on the machine's thread.</summary>
    void Set(bool asserted);

    /// <summary>Restores a saved level without an edge: the interrupt controllers restore the effects of the edge themselves.</summary>
    void Restore(bool asserted);
}

/// <summary>The platform's interrupt inputs.</summary>
public interface IInterruptRouter
{
    /// <summary>
    /// A line to a global system interrupt (ACPI specification, 5.2.13). Each call gives a line of its own; the input is asserted while any
    /// of its lines is, so that devices can share it. The caller disposes it.
    /// </summary>
    /// <param name="name">The name of what drives it, for messages.</param>
    /// <param name="globalSystemInterrupt">The input.</param>
    /// <exception cref="ArgumentOutOfRangeException">The platform has no such input.</exception>
    IInterruptLine GetLine(string name, int globalSystemInterrupt);

    /// <summary>Delivers a message-signalled interrupt (Intel SDM vol. 3, 12.11).</summary>
    void SendMessage(ulong address, uint data);
}
