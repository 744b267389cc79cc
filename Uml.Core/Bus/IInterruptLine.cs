namespace Uml.Core.Bus;

/// <summary>A wire from a device to an interrupt controller's input. Disposing it drives it low and gives it back.</summary>
public interface IInterruptLine : IDisposable
{
    /// <summary>What drives it.</summary>
    string Name { get; }

    /// <summary>The level that was driven last. Part of the state of the device that drives it.</summary>
    bool IsAsserted { get; }

    /// <summary>Drives the level. Edge-triggered inputs act on the change from false to true. Called on the machine's thread.</summary>
    void Set(bool asserted);

    /// <summary>Takes a level that was saved, without an edge: what the interrupt controllers made of it is restored with them.</summary>
    void Restore(bool asserted);
}

/// <summary>Where devices find the platform's interrupt inputs.</summary>
public interface IInterruptRouter
{
    /// <summary>
    /// A line to a global system interrupt (ACPI specification, 5.2.13). Each call gives a line of its own; the input is asserted while
    /// any of its lines is, so that devices can share it. Whoever asked disposes it.
    /// </summary>
    /// <param name="name">What drives it, in messages.</param>
    /// <param name="globalSystemInterrupt">The input.</param>
    /// <exception cref="ArgumentOutOfRangeException">The platform has no such input.</exception>
    IInterruptLine GetLine(string name, int globalSystemInterrupt);

    /// <summary>Delivers a message-signalled interrupt (Intel SDM vol. 3, 12.11).</summary>
    void SendMessage(ulong address, uint data);
}
