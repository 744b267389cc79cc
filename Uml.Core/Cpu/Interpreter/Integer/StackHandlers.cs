using System.Runtime.CompilerServices;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Integer;

/// <summary>PUSH, POP, CALL, RET, ENTER, LEAVE at one operand width.</summary>
// SAFETY: handlers: the handler contract (Op). The array on the stack has as many values as the loops count; jump targets are canonical, or
// within the segment, before Flow.Jump.
internal static unsafe class StackHandlers<T>
    where T : unmanaged
{
    private const int Rsp = 4, Rbp = 5;

    public static Op* PushReg(CpuState* s, Op* op) => Stack.Push(s, Operand.Reg<T>(s, op->R0)) ? op + 1 : null;

    public static Op* PushImm(CpuState* s, Op* op) => Stack.Push(s, Operand.Narrow<T>((ulong)op->Imm)) ? op + 1 : null;

    public static Op* PushMem(CpuState* s, Op* op) => Operand.Load(s, op, out T value) && Stack.Push(s, value) ? op + 1 : null;

    public static Op* PopReg(CpuState* s, Op* op)
    {
        if (!Stack.Peek(s, 0, out T value))
        {
            return null;
        }

        Stack.Drop(s, (ulong)sizeof(T));
        Operand.SetReg(s, op->R0, value);
        return op + 1;
    }

    /// <summary>A destination addressed through RSP uses RSP after the pop (Intel SDM vol. 2, POP).</summary>
    public static Op* PopMem(CpuState* s, Op* op)
    {
        if (!Stack.Peek(s, 0, out T value))
        {
            return null;
        }

        ulong before = s->Gpr[Rsp];
        Stack.Drop(s, (ulong)sizeof(T));
        if (Operand.Store(s, op, value))
        {
            return op + 1;
        }

        s->Gpr[Rsp] = before;
        return null;
    }

    public static Op* CallDirect(CpuState* s, Op* op) =>
        Stack.Push(s, Operand.Narrow<T>(Flow.Next(s, op))) ? Flow.Follow(s, op) : null;

    public static Op* CallReg(CpuState* s, Op* op) => Call(s, op, Operand.Get<T>(s, op->R0));

    public static Op* CallMem(CpuState* s, Op* op) => Operand.Load(s, op, out T target) ? Call(s, op, Operand.Widen(target)) : null;

    public static Op* JumpReg(CpuState* s, Op* op) => Jump(s, Operand.Get<T>(s, op->R0));

    public static Op* JumpMem(CpuState* s, Op* op) => Operand.Load(s, op, out T target) ? Jump(s, Operand.Widen(target)) : null;

    /// <summary>Near RET; <see cref="Op.Imm"/> bytes of arguments are dropped.</summary>
    public static Op* Return(CpuState* s, Op* op)
    {
        if (!Stack.Peek(s, 0, out T target) || !IsTarget(s, Operand.Widen(target)))
        {
            return null;
        }

        Stack.Drop(s, (ulong)sizeof(T) + (ulong)op->Imm);
        return Flow.Jump(s, Operand.Widen(target));
    }

    public static Op* Leave(CpuState* s, Op* op)
    {
        ulong before = s->Gpr[Rsp];
        Stack.SetPointer(s, s->Gpr[Rbp] & s->StackMask);
        if (!Stack.Peek(s, 0, out T value))
        {
            s->Gpr[Rsp] = before;
            return null;
        }

        Stack.Drop(s, (ulong)sizeof(T));
        Operand.SetReg(s, (ushort)CpuState.GprOffset(Rbp), value);
        return op + 1;
    }

    /// <summary>ENTER: <see cref="Op.Imm"/> is the frame size, <see cref="Op.R0"/> the nesting level modulo 32.</summary>
    public static Op* EnterFrame(CpuState* s, Op* op)
    {
        ulong rsp = s->Gpr[Rsp];
        ulong rbp = s->Gpr[Rbp];
        int level = op->R0;
        if (!Stack.Push(s, Operand.Narrow<T>(rbp)))
        {
            return null;
        }

        ulong frame = s->Gpr[Rsp];
        bool ok = true;
        for (int i = 1; i < level && ok; i++)
        {
            ok = Stack.Linear(s, (rbp - (ulong)(i * sizeof(T))) & s->StackMask, sizeof(T), write: false, out ulong linear) &&
                Operand.LoadAt(s, linear, SegmentIndex.Ss, out T display) &&
                Stack.Push(s, display);
        }

        ok = ok && (level == 0 || Stack.Push(s, Operand.Narrow<T>(frame)));
        ulong top = (s->Gpr[Rsp] - (ulong)op->Imm) & s->StackMask;

        // The new top of the stack has to be writable (Intel SDM vol. 2, ENTER).
        ok = ok && Stack.Linear(s, top, sizeof(T), write: true, out ulong probe) &&
            Paging.Mmu.ProbeWrite(s, probe, sizeof(T), SegmentIndex.Ss);
        if (!ok)
        {
            s->Gpr[Rsp] = rsp;
            return null;
        }

        Operand.Set<T>(s, (ushort)CpuState.GprOffset(Rbp), frame);
        Stack.SetPointer(s, top);
        return op + 1;
    }

    /// <summary>PUSHA/PUSHAD.</summary>
    public static Op* PushAll(CpuState* s, Op* op)
    {
        ulong rsp = s->Gpr[Rsp];
        for (int i = 0; i < 8; i++)
        {
            ulong value = i == Rsp ? rsp : s->Gpr[i];
            if (!Stack.Push(s, Operand.Narrow<T>(value)))
            {
                s->Gpr[Rsp] = rsp;
                return null;
            }
        }

        return op + 1;
    }

    /// <summary>POPA/POPAD: the saved stack pointer is skipped.</summary>
    public static Op* PopAll(CpuState* s, Op* op)
    {
        T* values = stackalloc T[8];
        for (int i = 0; i < 8; i++)
        {
            if (!Stack.Peek(s, (ulong)(i * sizeof(T)), out values[7 - i]))
            {
                return null;
            }
        }

        for (int i = 0; i < 8; i++)
        {
            if (i != Rsp)
            {
                Operand.SetReg(s, (ushort)CpuState.GprOffset(i), values[i]);
            }
        }

        Stack.Drop(s, (ulong)(8 * sizeof(T)));
        return op + 1;
    }

    private static Op* Call(CpuState* s, Op* op, ulong target) =>
        IsTarget(s, target) && Stack.Push(s, Operand.Narrow<T>(Flow.Next(s, op))) ? Flow.Jump(s, target) : null;

    private static Op* Jump(CpuState* s, ulong target) => IsTarget(s, target) ? Flow.Jump(s, target) : null;

    /// <summary>A target outside the code segment, or not canonical, faults at the jump itself.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsTarget(CpuState* s, ulong target)
    {
        bool inside = sizeof(T) == 8
            ? (ulong)((long)(target << 16) >> 16) == target
            : target <= s->Segments[(int)SegmentIndex.Cs].Limit || (s->Mode & CpuMode.Long64) != 0;
        return inside || Fault.FailGP(s);
    }
}
