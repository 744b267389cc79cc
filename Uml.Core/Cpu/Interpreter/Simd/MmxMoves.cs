using System.Numerics;
using System.Runtime.Intrinsics;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Semantics.Float;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Simd;

/// <summary>MMX instructions that move data; each checks for a pending x87 exception first.</summary>
// SAFETY: handlers: the handler contract (Op); a word's number in the immediate is masked to 0 to 3.
internal static unsafe class MmxMoves
{
    /// <summary>MOVD, MOVQ mm, r or mm.</summary>
    public static Op* FromRegister<T>(CpuState* s, Op* op)
        where T : unmanaged, IBinaryInteger<T>
    {
        if (Enablement.IsX87ErrorPending(s))
        {
            return Enablement.RaiseX87Error(s);
        }

        Mmx.Write(s, op->R0, Operand.Widen(Operand.Reg<T>(s, op->R1)));
        return op + 1;
    }

    /// <summary>MOVD, MOVQ mm, m.</summary>
    public static Op* Load<T>(CpuState* s, Op* op)
        where T : unmanaged, IBinaryInteger<T>
    {
        if (Enablement.IsX87ErrorPending(s))
        {
            return Enablement.RaiseX87Error(s);
        }

        if (!Operand.Load(s, op, out T value))
        {
            return null;
        }

        Mmx.Write(s, op->R0, Operand.Widen(value));
        return op + 1;
    }

    /// <summary>MOVD, MOVQ r, mm.</summary>
    public static Op* ToRegister<T>(CpuState* s, Op* op)
        where T : unmanaged, IBinaryInteger<T>
    {
        if (Enablement.IsX87ErrorPending(s))
        {
            return Enablement.RaiseX87Error(s);
        }

        Operand.SetReg(s, op->R0, Operand.Reg<T>(s, op->R1));
        Mmx.Enter(s);
        return op + 1;
    }

    /// <summary>MOVD, MOVQ, MOVNTQ m, mm.</summary>
    public static Op* Store<T>(CpuState* s, Op* op)
        where T : unmanaged
    {
        if (Enablement.IsX87ErrorPending(s))
        {
            return Enablement.RaiseX87Error(s);
        }

        // A store that faults has reset TOP and not the tags, as on Intel's processors.
        ulong value = Mmx.Read(s, op->R1);
        s->X87.Top = 0;
        if (!Operand.Store(s, op, Operand.Narrow<T>(value)))
        {
            return null;
        }

        Mmx.Enter(s);
        return op + 1;
    }

    /// <summary>MOVQ2DQ xmm, mm.</summary>
    public static Op* ToVector(CpuState* s, Op* op)
    {
        if (Enablement.IsX87ErrorPending(s))
        {
            return Enablement.RaiseX87Error(s);
        }

        CpuState.At<Vector128<ulong>>(s, op->R0) = Vector128.CreateScalar(Mmx.Read(s, op->R1));
        Mmx.Enter(s);
        return op + 1;
    }

    /// <summary>PMOVMSKB r, mm.</summary>
    public static Op* MoveMask(CpuState* s, Op* op)
    {
        if (Enablement.IsX87ErrorPending(s))
        {
            return Enablement.RaiseX87Error(s);
        }

        Operand.SetReg<ulong>(s, op->R0, Mmx.Vector(Mmx.Read(s, op->R1)).ExtractMostSignificantBits());
        Mmx.Enter(s);
        return op + 1;
    }

    /// <summary>PEXTRW r, mm, imm8.</summary>
    public static Op* ExtractWord(CpuState* s, Op* op)
    {
        if (Enablement.IsX87ErrorPending(s))
        {
            return Enablement.RaiseX87Error(s);
        }

        Operand.SetReg<ulong>(s, op->R0, (ushort)(Mmx.Read(s, op->R1) >> (16 * (int)(op->Imm & 3))));
        Mmx.Enter(s);
        return op + 1;
    }

    /// <summary>PINSRW mm, r, imm8.</summary>
    public static Op* InsertWord(CpuState* s, Op* op)
    {
        if (Enablement.IsX87ErrorPending(s))
        {
            return Enablement.RaiseX87Error(s);
        }

        return Insert(s, op, Operand.Reg<ushort>(s, op->R1));
    }

    /// <summary>PINSRW mm, m16, imm8.</summary>
    public static Op* InsertWordMemory(CpuState* s, Op* op)
    {
        if (Enablement.IsX87ErrorPending(s))
        {
            return Enablement.RaiseX87Error(s);
        }

        return Operand.Load(s, op, out ushort value) ? Insert(s, op, value) : null;
    }

    /// <summary>MASKMOVQ mm, mm.</summary>
    public static Op* MaskedStore(CpuState* s, Op* op)
    {
        if (Enablement.IsX87ErrorPending(s))
        {
            return Enablement.RaiseX87Error(s);
        }

        Mmx.Enter(s); // before page faults, as processors do (measured: Zen 3)
        return VectorMoves.StoreMasked(s, op, Mmx.Vector(Mmx.Read(s, op->R1)), Mmx.Vector(Mmx.Read(s, op->R2)), 8) ? op + 1 : null;
    }

    /// <summary>EMMS: all registers empty, TOP 0 (Intel SDM vol. 3, table 13-1).</summary>
    public static Op* Leave(CpuState* s, Op* op)
    {
        if (Enablement.IsX87ErrorPending(s))
        {
            return Enablement.RaiseX87Error(s);
        }

        X87.EmptyMmx(ref s->X87);
        return op + 1;
    }

    private static Op* Insert(CpuState* s, Op* op, ushort value)
    {
        int shift = 16 * (int)(op->Imm & 3);
        Mmx.Write(s, op->R0, (Mmx.Read(s, op->R0) & ~(0xFFFFUL << shift)) | ((ulong)value << shift));
        return op + 1;
    }
}
