using System.Runtime.Intrinsics;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Semantics.Simd;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Simd;

/// <summary>SSE4.2 string comparisons; their memory operands need no alignment.</summary>
// SAFETY: handlers: the handler contract (Op); implicit operands and results are RAX, RDX, RCX and XMM0, by constant offsets.
internal static unsafe class StringCompareHandlers
{
    /// <summary>PCMPISTRI, PCMPISTRM.</summary>
    public static Op* Implicit<TResult>(CpuState* s, Op* op)
        where TResult : struct, IStringResult => Implicit<TResult>(s, op, Operand.Reg<Vector128<byte>>(s, op->R1));

    /// <summary>PCMPISTRI, PCMPISTRM with a memory operand.</summary>
    public static Op* ImplicitMemory<TResult>(CpuState* s, Op* op)
        where TResult : struct, IStringResult =>
        Operand.Load(s, op, out Vector128<byte> b) ? Implicit<TResult>(s, op, b) : null;

    /// <summary>PCMPESTRI, PCMPESTRM; <typeparamref name="TLength"/> is int, or long with REX.W.</summary>
    public static Op* Explicit<TResult, TLength>(CpuState* s, Op* op)
        where TResult : struct, IStringResult
        where TLength : unmanaged => Explicit<TResult, TLength>(s, op, Operand.Reg<Vector128<byte>>(s, op->R1));

    /// <summary>PCMPESTRI, PCMPESTRM with a memory operand.</summary>
    public static Op* ExplicitMemory<TResult, TLength>(CpuState* s, Op* op)
        where TResult : struct, IStringResult
        where TLength : unmanaged =>
        Operand.Load(s, op, out Vector128<byte> b) ? Explicit<TResult, TLength>(s, op, b) : null;

    private static Op* Implicit<TResult>(CpuState* s, Op* op, Vector128<byte> b)
        where TResult : struct, IStringResult
    {
        byte immediate = (byte)op->Imm;
        Vector128<byte> a = Operand.Reg<Vector128<byte>>(s, op->R0);
        Finish<TResult>(s, a, StringCompare.ImplicitLength(a, immediate), b, StringCompare.ImplicitLength(b, immediate), immediate);
        return op + 1;
    }

    private static Op* Explicit<TResult, TLength>(CpuState* s, Op* op, Vector128<byte> b)
        where TResult : struct, IStringResult
        where TLength : unmanaged
    {
        byte immediate = (byte)op->Imm;
        long a = sizeof(TLength) == 4 ? (int)s->Gpr[Gpr.Rax] : (long)s->Gpr[Gpr.Rax];
        long d = sizeof(TLength) == 4 ? (int)s->Gpr[Gpr.Rdx] : (long)s->Gpr[Gpr.Rdx];
        Finish<TResult>(
            s,
            Operand.Reg<Vector128<byte>>(s, op->R0),
            StringCompare.ExplicitLength(a, immediate),
            b,
            StringCompare.ExplicitLength(d, immediate),
            immediate);
        return op + 1;
    }

    private static void Finish<TResult>(CpuState* s, Vector128<byte> a, int aLength, Vector128<byte> b, int bLength, byte immediate)
        where TResult : struct, IStringResult
    {
        uint result = StringCompare.Compare(a, aLength, b, bLength, immediate);
        int count = StringCompare.ElementCount(immediate);
        uint flags = result != 0 ? Flags.CF : 0;
        flags |= bLength < count ? Flags.ZF : 0;
        flags |= aLength < count ? Flags.SF : 0;
        flags |= (result & 1) != 0 ? Flags.OF : 0;
        Flags.SetStatus(s, flags);
        TResult.Write(s, result, immediate);
    }

    /// <summary>Where a string comparison leaves its result.</summary>
    internal interface IStringResult
    {
        static abstract void Write(CpuState* s, uint result, byte immediate);
    }

    /// <summary>PCMPxSTRI: an index in ECX.</summary>
    internal readonly struct Index : IStringResult
    {
        public static void Write(CpuState* s, uint result, byte immediate) => s->Gpr[Gpr.Rcx] = StringCompare.Index(result, immediate);
    }

    /// <summary>PCMPxSTRM: a mask in XMM0.</summary>
    internal readonly struct Mask : IStringResult
    {
        public static void Write(CpuState* s, uint result, byte immediate) =>
            CpuState.At<Vector128<byte>>(s, CpuState.VectorsOffset) = StringCompare.Mask(result, immediate);
    }

    /// <summary>VPCMPxSTRM: a mask in YMM0, whose upper half becomes zero.</summary>
    internal readonly struct VexMask : IStringResult
    {
        public static void Write(CpuState* s, uint result, byte immediate) =>
            VectorLanes.Write(s, (ushort)CpuState.VectorsOffset, StringCompare.Mask(result, immediate));
    }
}
