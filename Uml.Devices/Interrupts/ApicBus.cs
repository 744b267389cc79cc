namespace Uml.Devices.Interrupts;

/// <summary>Carries interrupt messages from I/O APIC and MSIs to the local APICs of one machine.</summary>
internal sealed class ApicBus
{
    private LocalApic[] _apics = [];

    /// <summary>Receives the vectors of level-triggered interrupts that were completed (Intel SDM vol. 3, 12.8.5).</summary>
    public event Action<byte>? EndOfInterrupt;

    /// <summary>Adds a local APIC.</summary>
    public void Connect(LocalApic apic) => _apics = [.. _apics, apic];

    /// <summary>Takes a local APIC away.</summary>
    public void Disconnect(LocalApic apic) => _apics = Array.FindAll(_apics, other => !ReferenceEquals(other, apic));

    /// <summary>Delivers to the local APICs that the destination selects.</summary>
    /// <returns>Whether a local APIC accepted the interrupt.</returns>
    public bool Deliver(in ApicMessage message)
    {
        if (message.Mode == DeliveryMode.LowestPriority)
        {
            return FindLowestPriority(message)?.Accept(message) ?? false;
        }

        bool accepted = false;
        foreach (var apic in _apics)
        {
            if (apic.IsDestination(message))
            {
                accepted |= apic.Accept(message);
            }
        }

        return accepted;
    }

    /// <summary>Delivers to all local APICs, perhaps without the sender.</summary>
    public void Broadcast(in ApicMessage message, LocalApic? except)
    {
        foreach (var apic in _apics)
        {
            if (!ReferenceEquals(apic, except))
            {
                apic.Accept(message);
            }
        }
    }

    /// <summary>Broadcasts the end of a level-triggered interrupt to the I/O APIC.</summary>
    public void BroadcastEndOfInterrupt(byte vector) => EndOfInterrupt?.Invoke(vector);

    private LocalApic? FindLowestPriority(in ApicMessage message)
    {
        LocalApic? best = null;
        foreach (var apic in _apics)
        {
            if (apic.IsSoftwareEnabled && apic.IsDestination(message) && (best is null || apic.ProcessorPriority < best.ProcessorPriority))
            {
                best = apic;
            }
        }

        return best;
    }
}
