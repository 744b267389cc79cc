using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Snapshots;
using Uml.Devices.Acpi;
using Uml.Devices.Platform;
using Uml.Devices.Power;

namespace Uml.Devices.Pci;

/// <summary>
/// The slots of bus 0 as ACPI has them: registers of ours that say which functions have come and which are to go or have gone, and one by which
/// the guest lets a function go; a general-purpose event while there is something in them; and the methods that work with them.
/// </summary>
/// <remarks>
/// Reading what has come or is to go forgets it, so that each notification happens once. The guest is never obeyed: a function stays on the bus
/// unless its machine's owner has asked for it.
/// </remarks>
internal sealed class PciSlots(GeneralPurposeEvents events) : IMachineDevice, IBusDevice
{
    // Bytes of the registers, which have 32 bits each.
    private const int Length = 12;

    // One bit for each slot, which reading clears; and the number of a slot to be let go, which reads as 0.
    private const int Arrived = 0, Leaving = 4, Eject = 8;

    // Device 0 is the bridge.
    private const uint Slots = unchecked((uint)~1);

    // Notifications (ACPI specification 6.5, 5.6.6).
    private const ulong DeviceCheck = 1, EjectRequest = 3;

    private readonly Request?[] _requests = new Request?[PciHostBridge.DeviceCount];
    private uint _arrived, _leaving;

    /// <inheritdoc/>
    public string Id => "pci-slots";

    /// <inheritdoc/>
    public void Attach(IMachineContext machine) => machine.Bus.MapPorts(PortMap.PciSlots, Length, this);

    /// <inheritdoc/>
    public void Detach()
    {
    }

    /// <summary>A function has come.</summary>
    public void Add(int slot)
    {
        _arrived |= 1u << slot;
        Update();
    }

    /// <summary>A function has gone: the guest has let it go, or is told that it has to.</summary>
    public void Remove(int slot)
    {
        uint bit = 1u << slot;
        Request? request = _requests[slot];
        _requests[slot] = null;
        _arrived &= ~bit;

        // A reminder that is not read yet is none for a function that comes to this slot next.
        _leaving = request is null || request.TrySetResult() ? _leaving | bit : _leaving & ~bit;
        Update();
    }

    /// <summary>Asks the guest to let a function go; once, however often it is called meanwhile.</summary>
    /// <returns>Completes when the guest has, or the function is gone.</returns>
    public Task RequestEject(int slot)
    {
        if (_requests[slot] is not { } request)
        {
            request = _requests[slot] = new();
            RemindToEject(slot);
        }

        request.Waiting++;
        return request.Task;
    }

    /// <summary>Asks the guest again.</summary>
    public void RemindToEject(int slot)
    {
        _leaving |= 1u << slot;
        Update();
    }

    /// <summary>Takes back what <see cref="RequestEject"/> did, and the guest has not done.</summary>
    /// <returns>How far the guest has come with it.</returns>
    public EjectProgress WithdrawEject(int slot)
    {
        uint bit = 1u << slot;
        EjectProgress progress = (_leaving & bit) == 0 ? EjectProgress.Notified
            : events.IsEnabled(GeneralPurposeEvents.PciSlots) ? EjectProgress.Signalled : EjectProgress.NotListening;
        if (--_requests[slot]!.Waiting == 0)
        {
            _requests[slot] = null;
            _leaving &= ~bit;
            Update();
        }

        return progress;
    }

    /// <inheritdoc/>
    public void Reset()
    {
        // A guest that begins anew finds what there is, and is asked again.
        (_arrived, _leaving) = (0, 0);
        for (int slot = 0; slot < _requests.Length; slot++)
        {
            _leaving |= _requests[slot] is { Task.IsCompleted: false } ? 1u << slot : 0;
        }

        Update();
    }

    /// <inheritdoc/>
    public void SaveState(StateWriter state)
    {
        state.WriteVersion(1);
        state.Write(_arrived);
        state.Write(_leaving);
    }

    /// <inheritdoc/>
    public void RestoreState(StateReader state)
    {
        state.ReadVersion(newest: 1);
        _arrived = state.ReadUInt32() & Slots;
        _leaving = state.ReadUInt32() & Slots;
    }

    /// <inheritdoc/>
    public ulong Read(IProcessor processor, ulong offset, int size)
    {
        int shift = (int)(offset % sizeof(uint)) * 8;
        uint read = (uint)(((1UL << (size * 8)) - 1) << shift);
        switch (offset & ~3UL)
        {
            case Arrived:
                return Take(ref _arrived, read) >> shift;
            case Leaving:
                return Take(ref _leaving, read) >> shift;
            default:
                return 0;
        }
    }

    /// <inheritdoc/>
    public void Write(IProcessor processor, ulong offset, int size, ulong value)
    {
        // Whoever has asked takes the function off the bus. An ejection that nobody has asked for is the guest's own affair.
        if (offset == Eject && value < (ulong)_requests.Length)
        {
            _requests[value]?.TrySetResult();
        }
    }

    /// <summary>Describes the slots in the scope of their bus, and the event's method.</summary>
    /// <param name="bus">The bus.</param>
    /// <param name="path">The bus's path.</param>
    public static void Describe(AmlWriter bus, string path)
    {
        const string ArrivedName = "PARR", LeavingName = "PLEA", EjectName = "PEJT", NotifyName = "PNTF";
        bus.PortRegisters("PREG", PortMap.PciSlots, ArrivedName, LeavingName, EjectName);
        for (int slot = 1; slot < PciHostBridge.DeviceCount; slot++)
        {
            int number = slot;
            bus.Device(GetName(slot), device =>
            {
                device.NameInteger("_ADR", (ulong)number << 16);
                device.NameInteger("_SUN", (ulong)number);
                device.Method("_EJ0", 1, method => method.Store(AmlOperand.Named("_SUN"), EjectName));
            });
        }

        bus.Method(NotifyName, 2, method =>
        {
            for (int slot = 1; slot < PciHostBridge.DeviceCount; slot++)
            {
                string name = GetName(slot);
                method.If(
                    AmlOperand.And(AmlOperand.Argument(0), AmlOperand.Integer(1UL << slot)), branch => branch.Notify(name, AmlOperand.Argument(1)));
            }
        });

        // What has gone first: another function may be in its slot by now.
        bus.Scope("\\_GPE", events => events.Method(GeneralPurposeEvents.PciSlotsMethod, 0, method =>
        {
            method.Call($"{path}.{NotifyName}", AmlOperand.Named($"{path}.{LeavingName}"), AmlOperand.Integer(EjectRequest));
            method.Call($"{path}.{NotifyName}", AmlOperand.Named($"{path}.{ArrivedName}"), AmlOperand.Integer(DeviceCheck));
        }));
    }

    private void Update() => events.Set(GeneralPurposeEvents.PciSlots, (_arrived | _leaving) != 0);

    private static string GetName(int slot) => $"S{slot:X2}_";

    private uint Take(ref uint register, uint read)
    {
        uint value = register & read;
        register &= ~read;
        Update();
        return value;
    }

    /// <summary>A request to let a function go, which may have several waiting for it.</summary>
    private sealed class Request() : TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public int Waiting { get; set; }
    }
}

/// <summary>How far a guest has come that was asked to let a function go, and has not.</summary>
internal enum EjectProgress
{
    /// <summary>It has not enabled the event.</summary>
    NotListening,

    /// <summary>It has not read what the event is about.</summary>
    Signalled,

    /// <summary>It knows, and has not done it.</summary>
    Notified,
}
