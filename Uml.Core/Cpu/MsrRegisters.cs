using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Uml.Core.Cpu.Control;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu;

/// <summary>
/// The model-specific registers of a virtual CPU by their numbers (Intel SDM vol. 4, table 2-2), those among them that have no property, the
/// MTRRs, too. Registers of devices (local APIC, TSC deadline, KVM's clock) belong to these and their states.
/// </summary>
// SAFETY: the state is taken under Access, which whoever frees it, or lets the machine run, waits for; see ProcessorRegisters.State.
public sealed unsafe class MsrRegisters
{
    private readonly ProcessorRegisters _registers;

    internal MsrRegisters(ProcessorRegisters registers) => _registers = registers;

    /// <summary>
    /// Numbers of all that hold something: to read them all and write them again is to copy them. IA32_TIME_STAMP_COUNTER is not among them;
    /// it is guest time plus IA32_TSC_ADJUST.
    /// </summary>
    public static ImmutableArray<uint> Stored { get; } =
    [
        MsrNumber.TscAdjust, MsrNumber.SysenterCs, MsrNumber.SysenterEsp, MsrNumber.SysenterEip, MsrNumber.McgStatus, MsrNumber.MiscEnable,
        MsrNumber.DebugCtl, MsrNumber.Pat, .. MemoryTypeRanges.Numbers, MsrNumber.Efer, MsrNumber.Star, MsrNumber.LStar, MsrNumber.CStar,
        MsrNumber.FMask, MsrNumber.FsBase, MsrNumber.GsBase, MsrNumber.KernelGsBase, MsrNumber.TscAux,
    ];

    /// <summary>One register. Writing it does what WRMSR does, but for IA32_EFER: see <see cref="ProcessorRegisters.Efer"/>.</summary>
    /// <param name="number">Its number, as in ECX.</param>
    /// <exception cref="ArgumentOutOfRangeException">The processor itself has no such register.</exception>
    /// <exception cref="RegisterValueException">The register cannot hold the value or cannot be written.</exception>
    /// <exception cref="InvalidOperationException">The machine runs.</exception>
    public ulong this[uint number]
    {
        get
        {
            lock (_registers.Access)
            {
                return ModelSpecificRegisters.TryReadOwn(_registers.State, number, out ulong value) ? value : throw Unknown(number);
            }
        }

        set => Write(number, value, $"MSR 0x{number:X}");
    }

    /// <summary>Writes a register that has a property.</summary>
    internal void Write(uint number, ulong value, [CallerMemberName] string name = "")
    {
        if (number == MsrNumber.Efer)
        {
            _registers.Efer = value;
            return;
        }

        lock (_registers.Access)
        {
            CpuState* state = _registers.State;
            RegisterRefusal refusal = ModelSpecificRegisters.WriteOwn(state, number, value);
            if (refusal == RegisterRefusal.NotWritable && !ModelSpecificRegisters.TryReadOwn(state, number, out _))
            {
                throw Unknown(number);
            }

            RegisterValueException.ThrowIf(refusal, value, name);
        }
    }

    private static ArgumentOutOfRangeException Unknown(uint number) =>
        new(nameof(number), number, $"MSR 0x{number:X} is none of the processor's own; a device may have it.");
}
