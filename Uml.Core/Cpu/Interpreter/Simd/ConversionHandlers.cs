using System.Runtime.Intrinsics;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Simd;

/// <summary>A conversion from one type to another; false when an unmasked exception was raised.</summary>
internal interface IFloatConversion<TFrom, TTo>
    where TFrom : unmanaged
    where TTo : unmanaged
{
    static abstract bool Apply(TFrom source, ref uint mxcsr, out TTo result);
}

/// <summary>
/// Conversions. The result replaces as many bytes of the destination as it has; general registers take unsigned integers, of which a
/// 32-bit one clears the upper half.
/// </summary>
// SAFETY: handlers: the handler contract (Op); a source or result is read as another type of at most its size from a local.
internal static unsafe class ConversionHandlers<TOperation, TFrom, TTo>
    where TOperation : struct, IFloatConversion<TFrom, TTo>
    where TFrom : unmanaged
    where TTo : unmanaged
{
    /// <summary>From a register.</summary>
    public static Op* Register(CpuState* s, Op* op) => Apply(s, op, Operand.Reg<TFrom>(s, op->R1));

    /// <summary>From memory, aligned if it is a whole vector.</summary>
    public static Op* Memory(CpuState* s, Op* op) => Load(s, op, out TFrom source) ? Apply(s, op, source) : null;

    /// <summary>From a register to an MMX register.</summary>
    public static Op* ToMmx(CpuState* s, Op* op) =>
        Enablement.IsX87ErrorPending(s) ? Enablement.RaiseX87Error(s) : WriteMmx(s, op, Operand.Reg<TFrom>(s, op->R1));

    /// <summary>From memory to an MMX register.</summary>
    public static Op* MemoryToMmx(CpuState* s, Op* op)
    {
        if (Enablement.IsX87ErrorPending(s))
        {
            return Enablement.RaiseX87Error(s);
        }

        return Load(s, op, out TFrom source) ? WriteMmx(s, op, source) : null;
    }

    /// <summary>From an MMX register; the form with a memory operand does not access the x87 unit.</summary>
    public static Op* FromMmx(CpuState* s, Op* op)
    {
        if (Enablement.IsX87ErrorPending(s))
        {
            return Enablement.RaiseX87Error(s);
        }

        Mmx.Enter(s); // before numeric exceptions, as processors do (measured: Zen 3)
        return Apply(s, op, Operand.Reg<TFrom>(s, op->R1));
    }

    private static bool Load(CpuState* s, Op* op, out TFrom source)
    {
        if (sizeof(TFrom) != 16)
        {
            return Operand.Load(s, op, out source);
        }

        bool ok = Operand.LoadAligned(s, op, out Vector128<byte> vector);
        source = *(TFrom*)&vector;
        return ok;
    }

    private static Op* Apply(CpuState* s, Op* op, TFrom source)
    {
        if (!TOperation.Apply(source, ref s->Mxcsr, out TTo result))
        {
            return Enablement.RaiseSimdError(s);
        }

        if (typeof(TTo) == typeof(float))
        {
            CpuState.At<TTo>(s, op->R0) = result; // the rest of the vector stays
        }
        else
        {
            Operand.SetReg(s, op->R0, result);
        }

        return op + 1;
    }

    private static Op* WriteMmx(CpuState* s, Op* op, TFrom source)
    {
        Mmx.Enter(s); // as above
        if (!TOperation.Apply(source, ref s->Mxcsr, out TTo result))
        {
            return Enablement.RaiseSimdError(s);
        }

        Mmx.Write(s, op->R0, *(ulong*)&result);
        return op + 1;
    }
}
