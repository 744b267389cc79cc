using Iced.Intel;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Translate;

/// <summary>Decides how each instruction of a block is translated.</summary>
/// <param name="features">What the guest's processor has.</param>
/// <param name="host">What the host's has.</param>
/// <param name="readsTime">The guest's time-stamp counter can be made of the host's.</param>
/// <param name="counters">Where instructions are counted that the decoder took for others before.</param>
internal sealed unsafe class Planner(CpuFeatures features, CpuFeatures host, bool readsTime, CpuCounters* counters)
{
    /// <summary>The six arithmetic flags.</summary>
    public const RflagsBits Status = RflagsBits.OF | RflagsBits.SF | RflagsBits.ZF | RflagsBits.AF | RflagsBits.CF | RflagsBits.PF;

    // SAFETY: block and operation are the caller's, read during the call only; the counters are in the processor's state, which outlives its engine.
    private readonly CpuFeatures _features = features;
    private readonly CpuFeatures _host = host;
    private readonly CpuCounters* _counters = counters;
    private readonly VectorForms _vectors = new(features & host);
    private readonly InstructionInfoFactory _factory = new();
    private readonly FormEncodings _forms = new();

    /// <summary>Fills in everything but what becomes of flags.</summary>
    public void Describe(ref Plan plan, Block* block, Op* op)
    {
        ref Instruction i = ref plan.Instruction;
        bool isLong = (block->Mode & CpuMode.Long64) != 0;
        plan.Word = (byte)(isLong ? sizeof(ulong) : sizeof(uint));
        plan.Encoding = Encoding.Of(in i, in _forms[i.Code], isLong);
        InstructionInfo info = _factory.GetInfo(in i);
        bool agrees = (ushort)i.Code == op->Code && i.Length == op->Length;
        if (!agrees)
        {
            _counters->EncodingMismatches++;
        }

        plan.Form = !op->IsImplemented || !agrees || !plan.Encoding.IsKnown || (plan.Encoding.IsMemory && (op->Address & AddressFlags.SegmentCheck) != 0)
            ? Form.Handler
            : Classify(ref plan, block->Mode, in info);
        if (plan.Form == Form.Handler)
        {
            GiveUp(ref plan);
            return;
        }

        plan.Needs = i.RflagsRead & Status;
        plan.Changes = i.RflagsModified & Status;
        if (IsShiftByRegister(in i))
        {
            // A count of zero changes no flag (Intel SDM vol. 2, SAL/SAR/SHL/SHR, SHLD).
            plan.Needs = Status;
        }

        CollectRegisters(ref plan, in info);
        bool touchesMemory = plan.Use != OperandUse.None;
        plan.Observes = touchesMemory || plan.Form is Form.Divide or Form.ClearInterrupt or Form.SetInterrupt or Form.SwapGs or Form.TimeStamp;
        plan.Clobbers = plan.Observes;
        if (i.Mnemonic == Mnemonic.Tzcnt && (_features & CpuFeatures.Bmi1) == 0)
        {
            // A processor without BMI1 takes the prefix for none.
            plan.Encoding.Form.Opcode.Repeat = 0;
        }
    }

    /// <summary>Leaves an instruction to its handler.</summary>
    public static void GiveUp(ref Plan plan)
    {
        plan.Form = Form.Handler;
        plan.Needs = plan.Changes = Status;
        plan.Writes = plan.Reads = ushort.MaxValue;
        plan.Observes = plan.Clobbers = true;
        plan.Use = OperandUse.None;
    }

    private static bool IsShiftByRegister(in Instruction i) => i.Mnemonic switch
    {
        Mnemonic.Shl or Mnemonic.Sal or Mnemonic.Shr or Mnemonic.Sar or Mnemonic.Rol or Mnemonic.Ror or Mnemonic.Rcl or Mnemonic.Rcr
            => i.Op1Kind == OpKind.Register || (i.Immediate8 & 31) == 0,
        Mnemonic.Shld or Mnemonic.Shrd => i.Op2Kind == OpKind.Register || (i.Immediate8 & 31) == 0,
        _ => false,
    };

    private static void CollectRegisters(ref Plan plan, in InstructionInfo info)
    {
        foreach (UsedRegister used in info.GetUsedRegisters())
        {
            if (!used.Register.IsGPR())
            {
                continue;
            }

            int bit = 1 << used.Register.GetFullRegister().GetNumber();
            if (used.Access is not OpAccess.Read and not OpAccess.CondRead)
            {
                plan.Writes |= (ushort)bit;
            }

            // Writing 8 or 16 bits keeps the others; writing 32 clears them.
            if (used.Access != OpAccess.Write || used.Register.GetSize() < 4)
            {
                plan.Reads |= (ushort)bit;
            }
        }
    }

    private Form Classify(ref Plan plan, CpuMode mode, in InstructionInfo info)
    {
        ref Instruction i = ref plan.Instruction;
        Form form = i.FlowControl == FlowControl.Next ? ClassifySequential(ref plan, mode) : ClassifyFlow(ref plan);
        if (form is Form.Plain or Form.Divide or Form.LoadControlWord && plan.Encoding.IsMemory && !PlanMemory(ref plan, in info))
        {
            return Form.Handler;
        }

        return form;
    }

    private static Form ClassifyFlow(ref Plan plan)
    {
        ref Instruction i = ref plan.Instruction;
        if (i.Op0Kind == OpKind.NearBranch64 && (long)i.NearBranchTarget != (int)(long)i.NearBranchTarget)
        {
            // Farther from the page than a displacement reaches, as one of nearly 2 GiB from within it may be.
            return Form.Handler;
        }

        if (i.Code is Code.Jmp_rel8_64 or Code.Jmp_rel32_64 or Code.Jmp_rel8_32 or Code.Jmp_rel32_32)
        {
            return Form.Jump;
        }

        if (i.IsJccShortOrNear && i.Op0Kind is OpKind.NearBranch64 or OpKind.NearBranch32)
        {
            return Form.JumpIf;
        }

        if (i.Code is Code.Call_rel32_64 or Code.Call_rel32_32)
        {
            return UseStack(ref plan, OperandUse.Write, Form.Call);
        }

        if (i.Code is Code.Jmp_rm64 or Code.Call_rm64 or Code.Jmp_rm32 or Code.Call_rm32)
        {
            plan.Use = OperandUse.Read;
            plan.MemorySize = plan.Word;
            return i.Mnemonic == Mnemonic.Jmp ? Form.JumpIndirect : Form.CallIndirect;
        }

        return i.Code is Code.Retnq or Code.Retnq_imm16 or Code.Retnd or Code.Retnd_imm16 ? UseStack(ref plan, OperandUse.Read, Form.Return) : Form.Handler;
    }

    private static Form UseStack(ref Plan plan, OperandUse use, Form form)
    {
        plan.Use = use;
        plan.MemorySize = plan.Word;
        return form;
    }

    private Form ClassifySequential(ref Plan plan, CpuMode mode)
    {
        ref Instruction i = ref plan.Instruction;
        switch (i.Code)
        {
            case Code.Push_r64 or Code.Push_r32: return UseStack(ref plan, OperandUse.Write, Form.Push);
            case Code.Pushq_imm32 or Code.Pushq_imm8 or Code.Pushd_imm32 or Code.Pushd_imm8: return UseStack(ref plan, OperandUse.Write, Form.PushImmediate);
            case Code.Pop_r64 or Code.Pop_r32: return UseStack(ref plan, OperandUse.Read, Form.Pop);
            case Code.Push_rm64 or Code.Push_rm32 when plan.Encoding.IsMemory: return UseStack(ref plan, OperandUse.Read, Form.PushMemory);
            case Code.Pushfq or Code.Pushfd: return UseStack(ref plan, OperandUse.Write, Form.PushFlags);
            case Code.Cli: return Form.ClearInterrupt;
            case Code.Sti: return Form.SetInterrupt;
            case Code.Swapgs: return Form.SwapGs;
            case Code.Rdtsc or Code.Rdtscp: return readsTime ? Form.TimeStamp : Form.Handler;
            case Code.Mov_r32m16_Sreg or Code.Mov_r64m16_Sreg: return plan.Encoding.IsMemory ? Form.Handler : Form.ReadSegment;
            case Code.Bt_rm32_r32 or Code.Bt_rm64_r64 when plan.Encoding.IsMemory:
                plan.Use = OperandUse.Read;
                plan.MemorySize = (byte)(plan.Encoding.Wide ? 8 : 4);

                // An address-size prefix cuts the sum with the bit's offset, which the emitted form adds behind the cut.
                return GuestRegisters.Host(plan.Encoding.Reg) == GuestRegisters.None || plan.Encoding.AddressSize ? Form.Handler : Form.BitTest;
            case Code.Movsb_m8_m8 or Code.Movsw_m16_m16 or Code.Movsd_m32_m32 or Code.Movsq_m64_m64
                or Code.Stosb_m8_AL or Code.Stosw_m16_AX or Code.Stosd_m32_EAX or Code.Stosq_m64_RAX:
                plan.Use = OperandUse.Write;
                plan.MemorySize = (byte)i.MemorySize.GetSize();
                return ClassifyString(in plan);
            case Code.Leaveq or Code.Leaved: return UseStack(ref plan, OperandUse.Read, Form.LeaveFrame);
            case Code.Lea_r32_m or Code.Lea_r64_m: return Form.Lea;
        }

        if (X87Forms.Is(in i, in plan.Encoding))
        {
            plan.IsVector = true;
            plan.Needed = Flavor.X87;
            return X87Forms.Classify(in i, mode);
        }

        if (VectorForms.Is(in i))
        {
            plan.IsVector = true;
            plan.Needed = Flavor.Vector;
            return _vectors.IsNative(in i, mode) ? Form.Plain : Form.Handler;
        }

        return IntegerForms.Classify(in i, in plan.Encoding, _features, _host);
    }

    /// <summary>How a string instruction is translated.</summary>
    private static Form ClassifyString(in Plan plan)
    {
        ref readonly Instruction i = ref plan.Instruction;
        OpKind destination = plan.IsLong ? OpKind.MemoryESRDI : OpKind.MemoryESEDI;
        bool isPlain = i.Op0Kind == destination && !(i.SegmentPrefix is Register.FS or Register.GS) && (plan.IsLong || i.SegmentPrefix != Register.CS);
        return !(i.HasRepPrefix || i.HasRepnePrefix) || !isPlain ? Form.Handler
            : i.Mnemonic is Mnemonic.Movsb or Mnemonic.Movsw or Mnemonic.Movsd or Mnemonic.Movsq ? Form.StringMove : Form.StringStore;
    }

    /// <summary>What the memory operand is used for; false when translated code cannot access it.</summary>
    private static bool PlanMemory(ref Plan plan, in InstructionInfo info)
    {
        ref Instruction i = ref plan.Instruction;
        int size = i.MemorySize.GetSize();
        if (size is not (1 or 2 or 4 or 8 or 10 or 16 or 32))
        {
            return false;
        }

        plan.MemorySize = (byte)size;
        plan.Aligned = i.Mnemonic == Mnemonic.Cmpxchg16b || (plan.IsVector && VectorForms.IsAligned(in i, in plan.Encoding, size));
        for (int n = 0; n < i.OpCount; n++)
        {
            if (i.GetOpKind(n) == OpKind.Memory)
            {
                plan.Use = info.GetOpAccess(n) switch
                {
                    OpAccess.Read or OpAccess.CondRead => OperandUse.Read,
                    OpAccess.Write => OperandUse.Write,
                    OpAccess.ReadWrite or OpAccess.ReadCondWrite or OpAccess.CondWrite => OperandUse.Update,
                    _ => OperandUse.None,
                };
            }
        }

        return plan.Use != OperandUse.None;
    }
}
