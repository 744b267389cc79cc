namespace Uml.Core.Bus;

/// <summary>One virtual CPU as its local APIC and platform devices see it.</summary>
public interface IProcessor
{
    /// <summary>Zero-based number; also the initial APIC ID.</summary>
    int Index { get; }

    /// <summary>
    /// Drives the INTR pin: true while the local APIC holds an interrupt whose priority class allows delivery. The processor
    /// calls <see cref="ILocalApic.AcknowledgeInterrupt"/> when it takes the interrupt. Callable from any thread.
    /// </summary>
    void SetInterruptRequest(bool asserted);

    /// <summary>Pends a non-maskable interrupt (Intel SDM vol. 3, 6.7). Callable from any thread.</summary>
    void RaiseNmi();

    /// <summary>Connects the local APIC, before the machine starts; null disconnects it.</summary>
    void ConnectLocalApic(ILocalApic? localApic);

    /// <summary>
    /// Sets one CPUID leaf on top of the CPU model's own, such as the hypervisor leaves at 0x40000000.
    /// Called before the machine starts.
    /// </summary>
    /// <param name="leaf">EAX on input.</param>
    /// <param name="values">What the instruction returns; null removes the leaf.</param>
    void SetCpuid(uint leaf, CpuidValues? values);
}

/// <summary>The registers CPUID returns.</summary>
public readonly record struct CpuidValues(uint Eax, uint Ebx, uint Ecx, uint Edx);

/// <summary>The local APIC as the processor sees it (Intel SDM vol. 3, chapter 12). Called on the machine's thread only.</summary>
public interface ILocalApic
{
    /// <summary>Takes the highest-priority deliverable interrupt: moves it from IRR to ISR, or has an external controller acknowledge it.</summary>
    /// <returns>The vector, or -1 when none is deliverable (the processor then goes on). Only external controllers have vectors below 16.</returns>
    int AcknowledgeInterrupt();

    /// <summary>The task-priority class as CR8 shows it, 0 to 15 (Intel SDM vol. 3, 12.8.6).</summary>
    byte TaskPriority { get; set; }

    /// <summary>IA32_APIC_BASE (Intel SDM vol. 3, 12.4.4): lets CPUID.1:EDX.APIC follow the enable bit.</summary>
    bool IsEnabled { get; }
}
