using Uml.Devices.Platform;

namespace Uml.Devices.Interrupts;

/// <content>The register file and the rules of access to it.</content>
internal sealed partial class LocalApic
{
    // IA32_APIC_BASE (Intel SDM vol. 3, 12.4.4 and 12.12.1).
    private const ulong BaseAddress = MemoryMap.LocalApicStart;
    private const ulong BaseIsBootProcessor = 1 << 8;
    private const ulong BaseX2Apic = 1 << 10;
    private const ulong BaseEnabled = 1 << 11;

    // Version 0x14, six local vectors, EOI broadcasts can be suppressed (Intel SDM vol. 3, 12.4.8).
    private const uint VersionValue = 0x14 | ((LocalVectorCount - 1) << 16) | (1 << 24);
    private const int LocalVectorCount = 6;

    private const uint SpuriousSoftwareEnabled = 1 << 8;
    private const uint SpuriousSuppressEoiBroadcast = 1 << 12;
    private const uint SpuriousMask = 0x13FF;
    private const uint LvtMasked = 1 << 16;
    private const uint LvtReadOnly = (1 << 12) | (1 << 14);
    private const uint LvtDeliveryMode = 7 << LvtDeliveryModeShift;
    private const int LvtDeliveryModeShift = 8;
    private const int LvtTimerModeShift = 17;

    // Error status register (Intel SDM vol. 3, 12.5.3).
    private const uint ErrorSentIllegalVector = 1 << 5;
    private const uint ErrorReceivedIllegalVector = 1 << 6;
    private const uint ErrorIllegalRegister = 1 << 7;

    // Reserved in x2APIC mode: bits 13, 16, 17 and 20 to 31 (Intel SDM vol. 3, 12.12.9).
    private const ulong CommandReserved = 0xFFF3_2000;

    private readonly uint[] _localVectors = new uint[LocalVectorCount];
    private ulong _base;
    private byte _xApicId;
    private byte _taskPriority;
    private uint _spuriousVector;
    private uint _xApicLogicalDestination;
    private uint _destinationFormat;
    private uint _errorStatus;
    private uint _pendingErrors;
    private ulong _interruptCommand;

    private bool IsX2Apic => (_base & BaseX2Apic) != 0;

    private uint ApicId => IsX2Apic ? (uint)_processor.Index : _xApicId;

    // In x2APIC mode it follows from the ID: the cluster in the upper half, one flag in the lower (Intel SDM vol. 3, 12.12.10.2).
    private uint LogicalDestination => IsX2Apic ? ((ApicId >> 4) << 16) | (1u << (int)(ApicId & 0xF)) : _xApicLogicalDestination;

    private bool IsFlatModel => _destinationFormat >> 28 == 0xF;

    // The writable bits of the six local vector table entries, from the timer to the error entry (Intel SDM vol. 3, figure 12-8).
    private static ReadOnlySpan<uint> LocalVectorMasks => [0x7_00FF, 0x1_07FF, 0x1_07FF, 0x1_A7FF, 0x1_A7FF, 0x1_00FF];

    /// <summary>Reads IA32_APIC_BASE.</summary>
    public ulong ReadBase() => _base;

    /// <summary>Writes IA32_APIC_BASE.</summary>
    /// <returns>False for reserved bits, a forbidden change of mode, or an address other than the one this board decodes.</returns>
    public bool TryWriteBase(ulong value)
    {
        const ulong Mode = BaseEnabled | BaseX2Apic;
        if (!IsBase(value))
        {
            return false;
        }

        // Allowed: off and xAPIC both ways, xAPIC to x2APIC, x2APIC to off (Intel SDM vol. 3, 12.12.5).
        ulong from = _base & Mode;
        ulong to = value & Mode;
        if (to == BaseX2Apic || (to == Mode && from == 0) || (from == Mode && to == BaseEnabled))
        {
            return false;
        }

        _base = value;
        if (to == 0 && from != 0)
        {
            Reset();
        }
        else if (to == Mode && from != Mode)
        {
            _interruptCommand = (uint)_interruptCommand;
        }

        UpdateRequest();
        return true;
    }

    private static bool IsBase(ulong value) => (value & ~(BaseEnabled | BaseX2Apic | BaseIsBootProcessor)) == BaseAddress;

    /// <summary>Reads IA32_TSC_DEADLINE (Intel SDM vol. 3, 12.5.4.1).</summary>
    public ulong ReadTscDeadline() => _timer.TscDeadline;

    /// <summary>Writes IA32_TSC_DEADLINE.</summary>
    public void WriteTscDeadline(ulong value) => _timer.TscDeadline = value;

    /// <summary>RDMSR of an x2APIC register.</summary>
    /// <returns>False outside x2APIC mode and for registers that do not exist or cannot be read.</returns>
    public bool TryReadMsr(int register, out ulong value)
    {
        value = 0;
        if (!IsX2Apic || !IsImplemented(register) || register is ApicRegister.EndOfInterrupt or ApicRegister.SelfIpi)
        {
            return false;
        }

        value = register == ApicRegister.InterruptCommand ? _interruptCommand : ReadRegister(register);
        return true;
    }

    /// <summary>WRMSR of an x2APIC register.</summary>
    /// <returns>False outside x2APIC mode, for registers that cannot be written, and for reserved bits.</returns>
    public bool TryWriteMsr(int register, ulong value)
    {
        if (!IsX2Apic || !IsWritable(register) || (value & X2ApicReserved(register)) != 0)
        {
            return false;
        }

        if (register == ApicRegister.InterruptCommand)
        {
            _interruptCommand = value;
            SendCommand();
        }
        else
        {
            WriteRegister(register, (uint)value);
        }

        return true;
    }

    /// <summary>Reads the memory-mapped registers (Intel SDM vol. 3, 12.4.1). Software reads aligned doublewords.</summary>
    public ulong ReadMemory(ulong offset, int size)
    {
        if (!IsEnabled || IsX2Apic)
        {
            return ulong.MaxValue;
        }

        int register = (int)(offset >> 4);
        if (!IsImplemented(register) || register == ApicRegister.SelfIpi)
        {
            ReportError(ErrorIllegalRegister);
            return 0;
        }

        return (offset & 0xF) < sizeof(uint) ? (ulong)ReadRegister(register) >> (int)((offset & 3) * 8) : 0;
    }

    /// <summary>Writes the memory-mapped registers; only aligned doublewords have an effect.</summary>
    public void WriteMemory(ulong offset, int size, ulong value)
    {
        if (!IsEnabled || IsX2Apic || (offset & 0xF) != 0 || size != sizeof(uint))
        {
            return;
        }

        int register = (int)(offset >> 4);
        if (!IsImplemented(register) || register == ApicRegister.SelfIpi)
        {
            ReportError(ErrorIllegalRegister);
            return;
        }

        WriteRegister(register, (uint)value);
    }

    private bool IsImplemented(int register) => register switch
    {
        ApicRegister.Id or ApicRegister.Version or ApicRegister.TaskPriority or ApicRegister.ProcessorPriority => true,
        ApicRegister.EndOfInterrupt or ApicRegister.LogicalDestination or ApicRegister.SpuriousVector => true,
        >= ApicRegister.InService and <= ApicRegister.ErrorStatus => true,
        ApicRegister.InterruptCommand or (>= ApicRegister.LvtTimer and <= ApicRegister.CurrentCount) => true,
        ApicRegister.DivideConfiguration or ApicRegister.SelfIpi => true,
        ApicRegister.ArbitrationPriority or ApicRegister.RemoteRead or ApicRegister.DestinationFormat => !IsX2Apic,
        ApicRegister.InterruptCommandHigh => !IsX2Apic,
        _ => false,
    };

    private static bool IsWritable(int register) => register switch
    {
        ApicRegister.TaskPriority or ApicRegister.EndOfInterrupt or ApicRegister.SpuriousVector or ApicRegister.ErrorStatus => true,
        ApicRegister.InterruptCommand or (>= ApicRegister.LvtTimer and <= ApicRegister.InitialCount) => true,
        ApicRegister.DivideConfiguration or ApicRegister.SelfIpi => true,
        _ => false,
    };

    // EOI and ESR take zero only (Intel SDM vol. 3, 12.12.1.2 and 12.12.1.3).
    private static ulong X2ApicReserved(int register) => register switch
    {
        ApicRegister.TaskPriority or ApicRegister.SelfIpi => ~0xFFUL,
        ApicRegister.EndOfInterrupt or ApicRegister.ErrorStatus => ulong.MaxValue,
        ApicRegister.SpuriousVector => ~(ulong)SpuriousMask,
        ApicRegister.InterruptCommand => CommandReserved,
        >= ApicRegister.LvtTimer and <= ApicRegister.LvtError =>
            ~(ulong)(LocalVectorMasks[register - ApicRegister.LvtTimer] | LvtReadOnly),
        ApicRegister.InitialCount => ~(ulong)uint.MaxValue,
        ApicRegister.DivideConfiguration => ~(ulong)ApicTimer.DivideMask,
        _ => 0,
    };

    private uint ReadRegister(int register) => register switch
    {
        ApicRegister.Id => IsX2Apic ? ApicId : (uint)_xApicId << 24,
        ApicRegister.Version => VersionValue,
        ApicRegister.TaskPriority => _taskPriority,
        ApicRegister.ProcessorPriority => ProcessorPriority,
        ApicRegister.LogicalDestination => LogicalDestination,
        ApicRegister.DestinationFormat => _destinationFormat,
        ApicRegister.SpuriousVector => _spuriousVector,
        >= ApicRegister.InService and < ApicRegister.TriggerMode => _inService[register - ApicRegister.InService],
        >= ApicRegister.TriggerMode and < ApicRegister.InterruptRequest => _levelTriggered[register - ApicRegister.TriggerMode],
        >= ApicRegister.InterruptRequest and < ApicRegister.ErrorStatus => _requested[register - ApicRegister.InterruptRequest],
        ApicRegister.ErrorStatus => _errorStatus,
        ApicRegister.InterruptCommand => (uint)_interruptCommand,
        ApicRegister.InterruptCommandHigh => (uint)(_interruptCommand >> 32),
        >= ApicRegister.LvtTimer and <= ApicRegister.LvtError => _localVectors[register - ApicRegister.LvtTimer],
        ApicRegister.InitialCount => _timer.InitialCount,
        ApicRegister.CurrentCount => _timer.CurrentCount,
        ApicRegister.DivideConfiguration => _timer.DivideConfiguration,
        _ => 0,
    };

    private void WriteRegister(int register, uint value)
    {
        switch (register)
        {
            case ApicRegister.Id:
                _xApicId = (byte)(value >> 24);
                break;
            case ApicRegister.TaskPriority:
                _taskPriority = (byte)value;
                UpdateRequest();
                break;
            case ApicRegister.EndOfInterrupt:
                EndInterrupt();
                break;
            case ApicRegister.LogicalDestination:
                _xApicLogicalDestination = value & 0xFF00_0000;
                break;
            case ApicRegister.DestinationFormat:
                _destinationFormat = value | 0x0FFF_FFFF;
                break;
            case ApicRegister.SpuriousVector:
                WriteSpuriousVector(value);
                break;
            case ApicRegister.ErrorStatus:
                _errorStatus = _pendingErrors;
                _pendingErrors = 0;
                break;
            case ApicRegister.InterruptCommand:
                // Delivery is immediate: the status bit 12 always reads idle.
                _interruptCommand = (_interruptCommand & 0xFFFF_FFFF_0000_0000) | (value & 0x000C_EFFF);
                SendCommand();
                break;
            case ApicRegister.InterruptCommandHigh:
                _interruptCommand = (uint)_interruptCommand | ((ulong)(value & 0xFF00_0000) << 32);
                break;
            case >= ApicRegister.LvtTimer and <= ApicRegister.LvtError:
                WriteLocalVector(register - ApicRegister.LvtTimer, value);
                break;
            case ApicRegister.InitialCount:
                _timer.InitialCount = value;
                break;
            case ApicRegister.DivideConfiguration:
                _timer.DivideConfiguration = value & ApicTimer.DivideMask;
                break;
            case ApicRegister.SelfIpi:
                SendSelf((byte)value);
                break;
        }
    }

    private void SendSelf(byte vector)
    {
        if (vector < LowestVector)
        {
            ReportError(ErrorSentIllegalVector);
        }
        else
        {
            Accept(new ApicMessage(ApicId, false, true, DeliveryMode.Fixed, vector, IsLevelTriggered: false));
        }
    }

    private void WriteSpuriousVector(uint value)
    {
        _spuriousVector = value & SpuriousMask;
        if (!IsSoftwareEnabled)
        {
            // Switched off, the local vectors are masked and stay so (Intel SDM vol. 3, 12.4.7.2).
            foreach (ref uint entry in _localVectors.AsSpan())
            {
                entry |= LvtMasked;
            }

            UpdateRequest();
        }
    }

    private void WriteLocalVector(int index, uint value)
    {
        value &= LocalVectorMasks[index];
        _localVectors[index] = IsSoftwareEnabled ? value : value | LvtMasked;
        if (index == 0)
        {
            _timer.Mode = (ApicTimerMode)((value >> LvtTimerModeShift) & 3);
        }

        UpdateRequest();
    }

    private uint LocalVector(int register) => _localVectors[register - ApicRegister.LvtTimer];

    /// <summary>The state after power-up (Intel SDM vol. 3, 12.4.7.1), except for IA32_APIC_BASE.</summary>
    private void Reset()
    {
        _requested = default;
        _inService = default;
        _levelTriggered = default;
        _xApicId = (byte)_processor.Index;
        _taskPriority = 0;
        _spuriousVector = 0xFF;
        _xApicLogicalDestination = 0;
        _destinationFormat = uint.MaxValue;
        _errorStatus = 0;
        _pendingErrors = 0;
        _interruptCommand = 0;
        Array.Fill(_localVectors, LvtMasked);
        _timer.Reset();
        UpdateRequest();
    }
}
