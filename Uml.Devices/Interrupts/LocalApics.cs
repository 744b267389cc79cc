using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Snapshots;
using Uml.Devices.Platform;

namespace Uml.Devices.Interrupts;

/// <summary>The local APICs of a machine, one for each processor: connects their registers to the buses.</summary>
/// <remarks>The same addresses access the local APIC of the processor that makes the access (Intel SDM vol. 3, 12.4.1).</remarks>
internal sealed class LocalApics(ApicBus bus) : IMachineDevice, IBusDevice, IMsrDevice
{
    private const uint BaseMsr = 0x1B;
    private const uint TscDeadlineMsr = 0x6E0;
    private const uint FirstX2ApicMsr = 0x800;
    private const uint X2ApicMsrCount = 0x100;

    private LocalApic[] _apics = [];
    private PicPair? _external;

    /// <inheritdoc/>
    public string Id => "apic";

    /// <inheritdoc/>
    public void Attach(IMachineContext machine)
    {
        // Refused perhaps, before there is anything to be taken back.
        machine.Bus.MapMemory(new(MemoryMap.LocalApicStart), MemoryMap.LocalApicLength, this);
        machine.Bus.MapMsrs(BaseMsr, 1, this);
        machine.Bus.MapMsrs(TscDeadlineMsr, 1, this);
        machine.Bus.MapMsrs(FirstX2ApicMsr, X2ApicMsrCount, this);
        _apics = new LocalApic[machine.Processors.Count];
        for (int i = 0; i < _apics.Length; i++)
        {
            _apics[i] = new LocalApic(machine.Processors[i], bus, machine.Clock);
            machine.Processors[i].ConnectLocalApic(_apics[i]);
            bus.Connect(_apics[i]);
        }

        if (_external is { } external)
        {
            _apics[0].ConnectExternal(external);
        }
    }

    /// <inheritdoc/>
    public void Detach()
    {
        foreach (LocalApic apic in _apics)
        {
            bus.Disconnect(apic);
            apic.Disconnect();
        }

        _apics = [];
    }

    /// <inheritdoc/>
    public void Reset()
    {
        foreach (LocalApic apic in _apics)
        {
            apic.PowerOn();
        }
    }

    /// <inheritdoc/>
    public void SaveState(StateWriter state)
    {
        state.WriteVersion(1);
        state.Write(_apics.Length);
        foreach (LocalApic apic in _apics)
        {
            apic.SaveState(state);
        }
    }

    /// <inheritdoc/>
    public void RestoreState(StateReader state)
    {
        state.ReadVersion(newest: 1);
        state.ReadInt32(_apics.Length, _apics.Length);
        foreach (LocalApic apic in _apics)
        {
            apic.RestoreState(state);
        }
    }

    /// <summary>Wires an 8259 pair to the boot processor's LINT0.</summary>
    public void ConnectExternal(PicPair pics)
    {
        _external = pics;
        if (_apics.Length > 0)
        {
            _apics[0].ConnectExternal(pics);
        }
    }

    /// <summary>Cuts that wire.</summary>
    public void DisconnectExternal()
    {
        _external = null;
        if (_apics.Length > 0)
        {
            _apics[0].DisconnectExternal();
        }
    }

    /// <inheritdoc/>
    public ulong Read(IProcessor processor, ulong offset, int size) => _apics[processor.Index].ReadMemory(offset, size);

    /// <inheritdoc/>
    public void Write(IProcessor processor, ulong offset, int size, ulong value) => _apics[processor.Index].WriteMemory(offset, size, value);

    /// <inheritdoc/>
    public bool TryReadMsr(IProcessor processor, uint index, out ulong value)
    {
        var apic = _apics[processor.Index];
        switch (index)
        {
            case BaseMsr:
                value = apic.ReadBase();
                return true;
            case TscDeadlineMsr:
                value = apic.ReadTscDeadline();
                return true;
            default:
                return apic.TryReadMsr((int)(index - FirstX2ApicMsr), out value);
        }
    }

    /// <inheritdoc/>
    public bool TryWriteMsr(IProcessor processor, uint index, ulong value)
    {
        var apic = _apics[processor.Index];
        switch (index)
        {
            case BaseMsr:
                return apic.TryWriteBase(value);
            case TscDeadlineMsr:
                apic.WriteTscDeadline(value);
                return true;
            default:
                return apic.TryWriteMsr((int)(index - FirstX2ApicMsr), value);
        }
    }
}
