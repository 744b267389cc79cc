using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Semantics.Float;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu;

/// <content>The x87 unit, but for its stack, and MXCSR.</content>
// SAFETY: the state is taken under Access, which whoever frees it, or lets the machine run, waits for; see ProcessorRegisters.State.
public sealed unsafe partial class ProcessorRegisters
{
    private const ushort OpcodeMask = 0x7FF;

    /// <summary>MXCSR (Intel SDM vol. 1, 10.2.3).</summary>
    /// <exception cref="RegisterValueException">One of bits 31 to 16 is set.</exception>
    public uint Mxcsr
    {
        get => Get<uint>(static s => &s->Mxcsr);
        set
        {
            RegisterValueException.ThrowIf((value & ~StateComponents.MxcsrMask) != 0 ? RegisterRefusal.ReservedBits : RegisterRefusal.None, value);
            Set(static s => &s->Mxcsr, value);
        }
    }

    /// <summary>
    /// The x87 control word (Intel SDM vol. 1, 8.1.5). Reserved bits keep their fixed values when written, and ES and B of the status word follow the
    /// masks, as FLDCW has it.
    /// </summary>
    public ushort FpuControlWord
    {
        get => Get<ushort>(static s => &s->X87.ControlWord);
        set
        {
            lock (Access)
            {
                X87.LoadControlWord(ref State->X87, value);
            }
        }
    }

    /// <summary>
    /// The x87 status word (Intel SDM vol. 1, 8.1.3). Its TOP says which register ST(0) is; ES and B follow from exceptions and masks.
    /// </summary>
    public ushort FpuStatusWord
    {
        get => Get<ushort>(static s => &s->X87.StatusWord);
        set
        {
            lock (Access)
            {
                State->X87.StatusWord = value;
                X87.UpdateSummary(ref State->X87);
            }
        }
    }

    /// <summary>Which of R0 to R7 hold a value, a bit each: the tag word as FXSAVE abridges it (Intel SDM vol. 1, 10.5.1.1).</summary>
    public byte FpuTags { get => Get<byte>(static s => &s->X87.ValidTags); set => Set(static s => &s->X87.ValidTags, value); }

    /// <summary>FOP: the opcode of the last x87 instruction that is not a control one (Intel SDM vol. 1, 8.1.9).</summary>
    /// <exception cref="RegisterValueException">It has more than 11 bits.</exception>
    public ushort FpuOpcode
    {
        get => Get<ushort>(static s => &s->X87.LastOpcode);
        set
        {
            RegisterValueException.ThrowIf((value & ~OpcodeMask) != 0 ? RegisterRefusal.ReservedBits : RegisterRefusal.None, value);
            Set(static s => &s->X87.LastOpcode, value);
        }
    }

    /// <summary>FIP: where that instruction is (Intel SDM vol. 1, 8.1.8).</summary>
    public ulong FpuInstructionPointer
    {
        get => Get<ulong>(static s => &s->X87.InstructionPointer);
        set => Set(static s => &s->X87.InstructionPointer, value);
    }

    /// <summary>FCS: the selector to <see cref="FpuInstructionPointer"/>.</summary>
    public ushort FpuInstructionSelector
    {
        get => Get<ushort>(static s => &s->X87.CodeSegment);
        set => Set(static s => &s->X87.CodeSegment, value);
    }

    /// <summary>FDP: where the operand of that instruction is (Intel SDM vol. 1, 8.1.8).</summary>
    public ulong FpuDataPointer { get => Get<ulong>(static s => &s->X87.DataPointer); set => Set(static s => &s->X87.DataPointer, value); }

    /// <summary>FDS: the selector to <see cref="FpuDataPointer"/>.</summary>
    public ushort FpuDataSelector
    {
        get => Get<ushort>(static s => &s->X87.DataSegment);
        set => Set(static s => &s->X87.DataSegment, value);
    }
}
