using Iced.Intel;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Semantics;

namespace Uml.Core.Cpu.Interpreter.Integer;

// SAFETY: as in IntegerBinder.cs; R0 of ENTER is a nesting level of at most 31 and no offset.
internal static unsafe partial class IntegerBinder
{
    private static Handler BindFlow(in Instruction i, Op* op)
    {
        if (i.IsJccShortOrNear || i.IsSetccOrCmov())
        {
            return BindCondition(in i);
        }

        // By kind, not mnemonic: MOVSD and CMPSD are SSE instructions too. INS and OUTS are the system side's.
        if (i.IsStringInstruction)
        {
            return BindString(in i, op);
        }

        return i.Mnemonic switch
        {
            Mnemonic.Jmp => BindJump(in i, op),
            Mnemonic.Call => BindCall(in i, op),
            Mnemonic.Ret => BindReturn(in i),
            Mnemonic.Push or Mnemonic.Pop or Mnemonic.Leave or Mnemonic.Enter => BindStack(in i, op),
            Mnemonic.Pusha => &StackHandlers<ushort>.PushAll,
            Mnemonic.Pushad => &StackHandlers<uint>.PushAll,
            Mnemonic.Popa => &StackHandlers<ushort>.PopAll,
            Mnemonic.Popad => &StackHandlers<uint>.PopAll,
            Mnemonic.Loop or Mnemonic.Loope or Mnemonic.Loopne or Mnemonic.Jcxz or Mnemonic.Jecxz or Mnemonic.Jrcxz => BindLoop(in i),
            _ => BindMisc(in i),
        };
    }

    private static bool IsSetccOrCmov(this in Instruction i) =>
        i.Mnemonic is >= Mnemonic.Seta and <= Mnemonic.Sets or >= Mnemonic.Cmova and <= Mnemonic.Cmovs;

    private static Handler BindCondition(in Instruction i) => i.ConditionCode switch
    {
        ConditionCode.o => BindCondition<IfO>(in i),
        ConditionCode.no => BindCondition<Unless<IfO>>(in i),
        ConditionCode.b => BindCondition<IfB>(in i),
        ConditionCode.ae => BindCondition<Unless<IfB>>(in i),
        ConditionCode.e => BindCondition<IfE>(in i),
        ConditionCode.ne => BindCondition<Unless<IfE>>(in i),
        ConditionCode.be => BindCondition<IfBe>(in i),
        ConditionCode.a => BindCondition<Unless<IfBe>>(in i),
        ConditionCode.s => BindCondition<IfS>(in i),
        ConditionCode.ns => BindCondition<Unless<IfS>>(in i),
        ConditionCode.p => BindCondition<IfP>(in i),
        ConditionCode.np => BindCondition<Unless<IfP>>(in i),
        ConditionCode.l => BindCondition<IfL>(in i),
        ConditionCode.ge => BindCondition<Unless<IfL>>(in i),
        ConditionCode.le => BindCondition<IfLe>(in i),
        ConditionCode.g => BindCondition<Unless<IfLe>>(in i),
        _ => null,
    };

    private static Handler BindCondition<TCondition>(in Instruction i) where TCondition : struct, ICondition
    {
        if (i.IsJccShortOrNear)
        {
            return &ConditionHandlers<TCondition>.Jump;
        }

        if (i.OpCount == 1)
        {
            return i.Op0Kind == OpKind.Memory ? &ConditionHandlers<TCondition>.SetMem : &ConditionHandlers<TCondition>.SetReg;
        }

        bool memory = i.Op1Kind == OpKind.Memory;
        return i.Op0Register.GetSize() switch
        {
            2 => memory ? &ConditionalMoveHandlers<TCondition, ushort>.RegMem : &ConditionalMoveHandlers<TCondition, ushort>.RegReg,
            4 => memory ? &ConditionalMoveHandlers<TCondition, uint>.RegMem : &ConditionalMoveHandlers<TCondition, uint>.RegReg,
            _ => memory ? &ConditionalMoveHandlers<TCondition, ulong>.RegMem : &ConditionalMoveHandlers<TCondition, ulong>.RegReg,
        };
    }

    private static Handler BindJump(in Instruction i, Op* op)
    {
        if (i.IsJmpShortOrNear)
        {
            op->Imm = 0;
            return &JumpHandlers.Direct;
        }

        if (!i.IsJmpNearIndirect)
        {
            return null;
        }

        bool memory = i.Op0Kind == OpKind.Memory;
        return WidthOf(in i) switch
        {
            2 => memory ? &StackHandlers<ushort>.JumpMem : &StackHandlers<ushort>.JumpReg,
            4 => memory ? &StackHandlers<uint>.JumpMem : &StackHandlers<uint>.JumpReg,
            _ => memory ? &StackHandlers<ulong>.JumpMem : &StackHandlers<ulong>.JumpReg,
        };
    }

    private static Handler BindCall(in Instruction i, Op* op)
    {
        if (i.IsCallNear)
        {
            op->Imm = 0;
            return i.Op0Kind switch
            {
                OpKind.NearBranch16 => &StackHandlers<ushort>.CallDirect,
                OpKind.NearBranch32 => &StackHandlers<uint>.CallDirect,
                _ => &StackHandlers<ulong>.CallDirect,
            };
        }

        if (!i.IsCallNearIndirect)
        {
            return null;
        }

        bool memory = i.Op0Kind == OpKind.Memory;
        return WidthOf(in i) switch
        {
            2 => memory ? &StackHandlers<ushort>.CallMem : &StackHandlers<ushort>.CallReg,
            4 => memory ? &StackHandlers<uint>.CallMem : &StackHandlers<uint>.CallReg,
            _ => memory ? &StackHandlers<ulong>.CallMem : &StackHandlers<ulong>.CallReg,
        };
    }

    private static Handler BindReturn(in Instruction i) => i.Code switch
    {
        Code.Retnw or Code.Retnw_imm16 => &StackHandlers<ushort>.Return,
        Code.Retnd or Code.Retnd_imm16 => &StackHandlers<uint>.Return,
        _ => &StackHandlers<ulong>.Return,
    };

    private static Handler BindStack(in Instruction i, Op* op)
    {
        if (i.OpCount > 0 && i.Op0Kind == OpKind.Register && i.Op0Register.IsSegmentRegister())
        {
            return null;
        }

        if (i.Mnemonic == Mnemonic.Enter)
        {
            op->Imm = i.Immediate16;
            op->R0 = (ushort)(i.Immediate8_2nd & 31);
        }

        int width = i.StackPointerIncrement switch
        {
            _ when i.Mnemonic == Mnemonic.Enter => i.Code == Code.Enterq_imm16_imm8 ? 8 : i.Code == Code.Enterd_imm16_imm8 ? 4 : 2,
            _ when i.Mnemonic == Mnemonic.Leave => i.Code == Code.Leaveq ? 8 : i.Code == Code.Leaved ? 4 : 2,
            var by => Math.Abs(by),
        };
        return width switch
        {
            2 => BindStack<ushort>(in i),
            4 => BindStack<uint>(in i),
            _ => BindStack<ulong>(in i),
        };
    }

    private static Handler BindStack<T>(in Instruction i) where T : unmanaged => i.Mnemonic switch
    {
        Mnemonic.Leave => &StackHandlers<T>.Leave,
        Mnemonic.Enter => &StackHandlers<T>.EnterFrame,
        Mnemonic.Pop => i.Op0Kind == OpKind.Memory ? &StackHandlers<T>.PopMem : &StackHandlers<T>.PopReg,
        _ => i.Op0Kind switch
        {
            OpKind.Memory => &StackHandlers<T>.PushMem,
            OpKind.Register => &StackHandlers<T>.PushReg,
            _ => &StackHandlers<T>.PushImm,
        },
    };

    private static Handler BindLoop(in Instruction i)
    {
        // The counter's width is the address size, which is in the form's name.
        string form = i.Code.ToString();
        return form.EndsWith("RCX", StringComparison.Ordinal) || i.Mnemonic == Mnemonic.Jrcxz ? BindLoop<ulong>(in i)
            : form.EndsWith("ECX", StringComparison.Ordinal) || i.Mnemonic == Mnemonic.Jecxz ? BindLoop<uint>(in i)
            : BindLoop<ushort>(in i);
    }

    private static Handler BindLoop<T>(in Instruction i) where T : unmanaged => i.Mnemonic switch
    {
        Mnemonic.Loop => &LoopHandlers<T>.Loop,
        Mnemonic.Loope => &LoopHandlers<T>.LoopE,
        Mnemonic.Loopne => &LoopHandlers<T>.LoopNe,
        _ => &LoopHandlers<T>.JumpIfZero,
    };

    private static Handler BindMisc(in Instruction i) => i.Mnemonic switch
    {
        Mnemonic.Nop => &MiscHandlers.Nop,
        Mnemonic.Clc => &MiscHandlers.Clc,
        Mnemonic.Stc => &MiscHandlers.Stc,
        Mnemonic.Cmc => &MiscHandlers.Cmc,
        Mnemonic.Cld => &MiscHandlers.Cld,
        Mnemonic.Std => &MiscHandlers.Std,
        Mnemonic.Lahf => &MiscHandlers.Lahf,
        Mnemonic.Sahf => &MiscHandlers.Sahf,
        Mnemonic.Salc => &MiscHandlers.Salc,
        Mnemonic.Cbw => &MiscHandlers.Cbw,
        Mnemonic.Cwde => &MiscHandlers.Cwde,
        Mnemonic.Cdqe => &MiscHandlers.Cdqe,
        Mnemonic.Cwd => &MiscHandlers.Cwd,
        Mnemonic.Cdq => &MiscHandlers.Cdq,
        Mnemonic.Cqo => &MiscHandlers.Cqo,
        Mnemonic.Cmpxchg8b => &MiscHandlers.Cmpxchg8b,
        Mnemonic.Cmpxchg16b => &MiscHandlers.Cmpxchg16b,
        Mnemonic.Daa => &DecimalHandlers.Daa,
        Mnemonic.Das => &DecimalHandlers.Das,
        Mnemonic.Aaa => &DecimalHandlers.Aaa,
        Mnemonic.Aas => &DecimalHandlers.Aas,
        Mnemonic.Aam => &DecimalHandlers.Aam,
        Mnemonic.Aad => &DecimalHandlers.Aad,
        _ => null,
    };

    /// <summary>Hints, and fences, which order accesses that are in order here.</summary>
    public static Handler BindHint(in Instruction i) => i.Mnemonic switch
    {
        Mnemonic.Lfence or Mnemonic.Mfence or Mnemonic.Sfence or Mnemonic.Pause => &MiscHandlers.Nop,
        Mnemonic.Prefetch or Mnemonic.Prefetchw or Mnemonic.Prefetchwt1 or Mnemonic.Prefetchnta or Mnemonic.Prefetcht0
            or Mnemonic.Prefetcht1 or Mnemonic.Prefetcht2 or Mnemonic.Prefetchit0 or Mnemonic.Prefetchit1 => &MiscHandlers.Nop,

        // Encodings that are hints to processors without the feature: CET, MPX, CLDEMOTE, the reserved NOPs (Intel SDM vol. 2, NOP).
        Mnemonic.Endbr32 or Mnemonic.Endbr64 or Mnemonic.Rdsspd or Mnemonic.Rdsspq or Mnemonic.Cldemote or Mnemonic.Reservednop
            or Mnemonic.Bndcl or Mnemonic.Bndcn or Mnemonic.Bndcu or Mnemonic.Bndldx or Mnemonic.Bndmk or Mnemonic.Bndmov
            or Mnemonic.Bndstx => &MiscHandlers.Nop,
        _ => null,
    };
}
