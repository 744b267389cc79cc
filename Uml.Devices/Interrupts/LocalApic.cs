using Uml.Core.Bus;
using Uml.Core.Snapshots;

namespace Uml.Devices.Interrupts;

/// <summary>
/// The local APIC of one processor in its xAPIC and x2APIC modes (Intel SDM vol. 3, chapter 12). This file holds the flow of
/// interrupts; the register file is in the other one.
/// </summary>
/// <remarks>
/// INIT, start-up and SMI messages are dropped: the only processor there is runs already, and the board has no system management mode.
/// LINT0 of the boot processor takes the 8259 pair's output; nothing is wired to LINT1, and there are no performance-counter or thermal
/// interrupts.
/// </remarks>
internal sealed partial class LocalApic : ILocalApic, IStateful
{
    private const int LowestVector = 16;
    private const int PriorityClassMask = 0xF0;

    private readonly IProcessor _processor;
    private readonly ApicBus _bus;
    private readonly ApicTimer _timer;
    private PicPair? _external;
    private bool _externalRequests;

    private VectorSet _requested;
    private VectorSet _inService;
    private VectorSet _levelTriggered;
    private bool _requestsInterrupt;

    /// <summary>Makes the local APIC of a processor, in the state after power-up.</summary>
    public LocalApic(IProcessor processor, ApicBus bus, IMachineClock clock)
    {
        _processor = processor;
        _bus = bus;
        _timer = new ApicTimer(clock, $"apic{processor.Index}", DeliverTimer);
        PowerOn();
    }

    /// <inheritdoc/>
    public bool IsEnabled => (_base & BaseEnabled) != 0;

    /// <inheritdoc/>
    public byte TaskPriority
    {
        get => (byte)(_taskPriority >> 4);
        set
        {
            _taskPriority = (byte)(value << 4);
            UpdateRequest();
        }
    }

    /// <summary>Whether the guest has switched interrupts on in the spurious-interrupt vector register.</summary>
    public bool IsSoftwareEnabled => IsEnabled && (_spuriousVector & SpuriousSoftwareEnabled) != 0;

    /// <summary>The processor-priority register (Intel SDM vol. 3, 12.8.3.1).</summary>
    public byte ProcessorPriority
    {
        get
        {
            int servicing = Math.Max(_inService.Highest(), 0) & PriorityClassMask;
            return (_taskPriority & PriorityClassMask) >= servicing ? _taskPriority : (byte)servicing;
        }
    }

    // With the APIC switched off, the pin is the processor's INTR (Intel SDM vol. 3, 12.4.3); else the local vector decides (12.5.1).
    private bool PassesExternal => !IsEnabled
        || (LocalVector(ApicRegister.LvtLint0) & (LvtMasked | LvtDeliveryMode)) == (uint)DeliveryMode.ExtInt << LvtDeliveryModeShift;

    /// <summary>Wires an 8259 pair to LINT0, and sets the APIC up as firmware leaves it.</summary>
    public void ConnectExternal(PicPair external)
    {
        _external = external;
        external.Changed += UpdateExternal;
        EnterVirtualWire();
    }

    /// <summary>Cuts the wire to the 8259 pair.</summary>
    public void DisconnectExternal()
    {
        if (_external is { } external)
        {
            external.Changed -= UpdateExternal;
            _external = null;
            _externalRequests = false;
            UpdateRequest();
        }
    }

    /// <summary>The state after power-on, as firmware leaves it.</summary>
    public void PowerOn()
    {
        _base = BaseAddress | BaseEnabled | (_processor.Index == 0 ? BaseIsBootProcessor : 0);
        Reset();
        EnterVirtualWire();
    }

    /// <summary>Leaves the processor without interrupts and without a local APIC.</summary>
    public void Disconnect()
    {
        DisconnectExternal();
        Reset();
        _processor.ConnectLocalApic(null);
    }

    /// <inheritdoc/>
    public int AcknowledgeInterrupt()
    {
        if (_externalRequests && PassesExternal && _external is { } external)
        {
            // Its priority is not compared with anything, and it is none of those in service here (Intel SDM vol. 3, 12.5.1 and 12.8.1).
            return external.Acknowledge();
        }

        int vector = FindDeliverable();
        if (vector >= 0)
        {
            _requested.Remove(vector);
            _inService.Add(vector);
        }

        UpdateRequest();
        return vector;
    }

    /// <summary>Whether a message is for this APIC (Intel SDM vol. 3, 12.6.2 and 12.12.10).</summary>
    public bool IsDestination(in ApicMessage message)
    {
        const uint Everybody = 0xFF;
        uint destination = message.Destination;
        if (message.IsWide ? destination == uint.MaxValue : destination == Everybody && (IsX2Apic || !message.IsLogical))
        {
            return true;
        }

        if (!message.IsLogical)
        {
            return destination == ApicId;
        }

        uint mine = LogicalDestination;
        if (IsX2Apic)
        {
            return destination >> 16 == mine >> 16 && (destination & mine & 0xFFFF) != 0;
        }

        // 8-bit logical destinations: eight flags, or a cluster and four flags.
        mine >>= 24;
        return IsFlatModel
            ? (destination & mine) != 0
            : (destination >> 4 == mine >> 4 || destination >> 4 == 0xF) && (destination & mine & 0xF) != 0;
    }

    /// <summary>Takes a message addressed to this APIC.</summary>
    /// <returns>Whether it was accepted.</returns>
    public bool Accept(in ApicMessage message)
    {
        switch (message.Mode)
        {
            case DeliveryMode.Fixed or DeliveryMode.LowestPriority when IsSoftwareEnabled:
                Request(message.Vector, message.IsLevelTriggered);
                return true;
            case DeliveryMode.Nmi when IsEnabled:
                _processor.RaiseNmi();
                return true;
            default:
                return false;
        }
    }

    private void Request(byte vector, bool isLevelTriggered)
    {
        if (vector < LowestVector)
        {
            ReportError(ErrorReceivedIllegalVector);
            return;
        }

        _requested.Add(vector);
        if (isLevelTriggered)
        {
            _levelTriggered.Add(vector);
        }
        else
        {
            _levelTriggered.Remove(vector);
        }

        UpdateRequest();
    }

    private int FindDeliverable()
    {
        int vector = _requested.Highest();
        bool isDeliverable = IsEnabled && (vector & PriorityClassMask) > (ProcessorPriority & PriorityClassMask);
        return vector >= 0 && isDeliverable ? vector : -1;
    }

    private void UpdateRequest()
    {
        bool requests = (_externalRequests && PassesExternal) || FindDeliverable() >= 0;
        if (requests != _requestsInterrupt)
        {
            _requestsInterrupt = requests;
            _processor.SetInterruptRequest(requests);
        }
    }

    /// <summary>The output of the 8259 pair may have changed.</summary>
    private void UpdateExternal()
    {
        bool rose = _external!.IsRequesting && !_externalRequests;
        _externalRequests = _external.IsRequesting;
        if (rose && IsEnabled && !PassesExternal)
        {
            // As a fixed interrupt or NMI, an edge whatever the trigger mode says: nothing else is wired to the pin.
            DeliverLocal(ApicRegister.LvtLint0);
        }

        UpdateRequest();
    }

    private void EndInterrupt()
    {
        int vector = _inService.Highest();
        if (vector < 0)
        {
            return;
        }

        _inService.Remove(vector);
        if (_levelTriggered.Contains(vector) && (_spuriousVector & SpuriousSuppressEoiBroadcast) == 0)
        {
            _bus.BroadcastEndOfInterrupt((byte)vector);
        }

        UpdateRequest();
    }

    /// <summary>Virtual-wire mode lets the 8259 pair's interrupts through as they are (MultiProcessor Specification 1.4, 3.6.2.2).</summary>
    private void EnterVirtualWire()
    {
        if (_external is not null)
        {
            WriteRegister(ApicRegister.SpuriousVector, _spuriousVector | SpuriousSoftwareEnabled);
            WriteRegister(ApicRegister.LvtLint0, (uint)DeliveryMode.ExtInt << LvtDeliveryModeShift);
        }
    }

    private void DeliverTimer() => DeliverLocal(ApicRegister.LvtTimer);

    /// <summary>Delivers an interrupt of the APIC's own sources as its local vector table says (Intel SDM vol. 3, 12.5.1).</summary>
    private void DeliverLocal(int register)
    {
        uint entry = LocalVector(register);
        if ((entry & LvtMasked) != 0)
        {
            return;
        }

        // Timer and error entries have no delivery mode: their bits are zero, which means fixed.
        Accept(new ApicMessage(0, false, true, (DeliveryMode)((entry & LvtDeliveryMode) >> LvtDeliveryModeShift), (byte)entry, IsLevelTriggered: false));
    }

    private void ReportError(uint error)
    {
        // An error that is pending does not interrupt again, which also ends the recursion of an error entry that is itself wrong.
        if ((_pendingErrors & error) == 0)
        {
            _pendingErrors |= error;
            DeliverLocal(ApicRegister.LvtError);
        }
    }

    /// <summary>Sends the message in the interrupt command register (Intel SDM vol. 3, 12.6.1).</summary>
    private void SendCommand()
    {
        const ulong LogicalDestinationMode = 1 << 11;
        const ulong LevelAsserted = 1 << 14;
        const ulong LevelTriggerMode = 1 << 15;
        const int ShorthandShift = 18;

        var message = new ApicMessage(
            Destination: (uint)(IsX2Apic ? _interruptCommand >> 32 : _interruptCommand >> 56),
            IsLogical: (_interruptCommand & LogicalDestinationMode) != 0,
            IsWide: IsX2Apic,
            Mode: (DeliveryMode)((_interruptCommand >> 8) & 7),
            Vector: (byte)_interruptCommand,
            IsLevelTriggered: false);
        if (message.Mode is DeliveryMode.Fixed or DeliveryMode.LowestPriority && message.Vector < LowestVector)
        {
            ReportError(ErrorSentIllegalVector);
            return;
        }

        if (message.Mode == DeliveryMode.Init && (_interruptCommand & (LevelAsserted | LevelTriggerMode)) == LevelTriggerMode)
        {
            // INIT level de-assert is history (Intel SDM vol. 3, 12.6.1).
            return;
        }

        switch ((_interruptCommand >> ShorthandShift) & 3)
        {
            case 0:
                _bus.Deliver(message);
                break;
            case 1:
                Accept(message);
                break;
            case 2:
                _bus.Broadcast(message, except: null);
                break;
            default:
                _bus.Broadcast(message, except: this);
                break;
        }
    }
}
