using Uml.Core.Snapshots;

namespace Uml.Devices.Interrupts;

/// <content>Saving and restoring.</content>
internal sealed partial class LocalApic
{
    /// <inheritdoc/>
    public void SaveState(StateWriter state)
    {
        state.Write(_base);
        _requested.SaveState(state);
        _inService.SaveState(state);
        _levelTriggered.SaveState(state);
        state.Write(_xApicId);
        state.Write(_taskPriority);
        state.Write(_spuriousVector);
        state.Write(_xApicLogicalDestination);
        state.Write(_destinationFormat);
        state.Write(_errorStatus);
        state.Write(_pendingErrors);
        state.Write(_interruptCommand);
        foreach (uint entry in _localVectors)
        {
            state.Write(entry);
        }

        state.Write(_externalRequests);
        state.Write(_requestsInterrupt);
        _timer.SaveState(state);
    }

    /// <inheritdoc/>
    public void RestoreState(StateReader state)
    {
        _base = ReadBase(state);
        _requested = VectorSet.Restore(state);
        _inService = VectorSet.Restore(state);
        _levelTriggered = VectorSet.Restore(state);
        _xApicId = state.ReadByte();
        _taskPriority = state.ReadByte();
        _spuriousVector = state.ReadUInt32(maximum: SpuriousMask);
        _xApicLogicalDestination = state.ReadUInt32();
        _destinationFormat = state.ReadUInt32();
        _errorStatus = state.ReadUInt32();
        _pendingErrors = state.ReadUInt32();
        _interruptCommand = state.ReadUInt64();
        foreach (ref uint entry in _localVectors.AsSpan())
        {
            entry = state.ReadUInt32();
        }

        _externalRequests = state.ReadBoolean();

        // The level of the processor's pin, which is no event.
        _requestsInterrupt = state.ReadBoolean();
        _processor.SetInterruptRequest(_requestsInterrupt);
        _timer.RestoreState(state);
    }

    private static ulong ReadBase(StateReader state)
    {
        ulong value = state.ReadUInt64();
        return IsBase(value) && (value & (BaseEnabled | BaseX2Apic)) != BaseX2Apic
            ? value
            : throw state.Invalid($"0x{value:x} is no IA32_APIC_BASE of this board");
    }
}
