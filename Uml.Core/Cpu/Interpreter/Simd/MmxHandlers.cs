using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Semantics.Float;
using Uml.Core.Cpu.Semantics.Simd;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Simd;

/// <summary>MMX registers: the significands of the x87 registers (Intel SDM vol. 1, 9.2.1 and 9.5.1).</summary>
// SAFETY: handlers: the handler contract (Op). An MMX register is the significand of an x87 one: 8 bytes to read, a whole Float80 to write.
internal static unsafe class Mmx
{
    /// <summary>Every MMX instruction but EMMS marks all registers as in use and sets TOP to 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Enter(CpuState* s) => X87.EnterMmx(ref s->X87);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Read(CpuState* s, ushort offset) => CpuState.At<ulong>(s, offset);

    /// <summary>Writes a register; sign and exponent become all ones, so that as an x87 value it is a NaN or infinity.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write(CpuState* s, ushort offset, ulong value)
    {
        CpuState.At<Float80>(s, offset) = new Float80(0xFFFF, value);
        Enter(s);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Vector(ulong value) => Vector128.CreateScalar(value).AsByte();
}

/// <summary>
/// Operand forms of MMX instructions, which compute the low halves of the XMM forms. A pending x87 exception is raised first.
/// </summary>
internal static unsafe class MmxHandlers<TOperation>
    where TOperation : struct, IVectorBinary
{
    /// <summary>mm, mm.</summary>
    public static Op* Register(CpuState* s, Op* op) =>
        Enablement.IsX87ErrorPending(s) ? Enablement.RaiseX87Error(s) : Apply(s, op, Mmx.Read(s, op->R1));

    /// <summary>mm, m64, or m32 for the low unpacks.</summary>
    public static Op* Memory<T>(CpuState* s, Op* op)
        where T : unmanaged
    {
        if (Enablement.IsX87ErrorPending(s))
        {
            return Enablement.RaiseX87Error(s);
        }

        return Operand.Load(s, op, out T source) ? Apply(s, op, Vector128.CreateScalar(source).AsUInt64().ToScalar()) : null;
    }

    /// <summary>mm, imm8 as the source: shifts.</summary>
    public static Op* Immediate(CpuState* s, Op* op) =>
        Enablement.IsX87ErrorPending(s) ? Enablement.RaiseX87Error(s) : Apply(s, op, (byte)op->Imm);

    private static Op* Apply(CpuState* s, Op* op, ulong source)
    {
        Vector128<byte> result = TOperation.Apply(Mmx.Vector(Mmx.Read(s, op->R0)), Mmx.Vector(source));
        Mmx.Write(s, op->R0, result.AsUInt64().ToScalar());
        return op + 1;
    }
}

/// <summary>As <see cref="MmxHandlers{TOperation}"/>, for instructions with an immediate byte besides.</summary>
internal static unsafe class MmxImmediateHandlers<TOperation>
    where TOperation : struct, IVectorImmediate
{
    /// <summary>mm, mm, imm8.</summary>
    public static Op* Register(CpuState* s, Op* op) =>
        Enablement.IsX87ErrorPending(s) ? Enablement.RaiseX87Error(s) : Apply(s, op, Mmx.Read(s, op->R1));

    /// <summary>mm, m64, imm8.</summary>
    public static Op* Memory(CpuState* s, Op* op)
    {
        if (Enablement.IsX87ErrorPending(s))
        {
            return Enablement.RaiseX87Error(s);
        }

        return Operand.Load(s, op, out ulong source) ? Apply(s, op, source) : null;
    }

    private static Op* Apply(CpuState* s, Op* op, ulong source)
    {
        Vector128<byte> result = TOperation.Apply(Mmx.Vector(Mmx.Read(s, op->R0)), Mmx.Vector(source), (byte)op->Imm);
        Mmx.Write(s, op->R0, result.AsUInt64().ToScalar());
        return op + 1;
    }
}
