using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Semantics.Simd;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Simd;

/// <summary>PTEST, CRC32 and INSERTPS from memory, which have operand forms of their own.</summary>
// SAFETY: handlers: the handler contract (Op); a reference to a register is used before the handler returns.
internal static unsafe class VectorMisc
{
    /// <summary>PTEST xmm, xmm.</summary>
    public static Op* Test(CpuState* s, Op* op) => Test(s, op, Operand.Reg<Vector128<byte>>(s, op->R1));

    /// <summary>PTEST xmm, m128.</summary>
    public static Op* TestMemory(CpuState* s, Op* op) =>
        Operand.LoadAligned(s, op, out Vector128<byte> source) ? Test(s, op, source) : null;

    /// <summary>INSERTPS xmm, m32, imm8: the immediate's source field is ignored.</summary>
    public static Op* InsertSingleMemory(CpuState* s, Op* op)
    {
        if (!Operand.Load(s, op, out uint source))
        {
            return null;
        }

        ref Vector128<byte> destination = ref CpuState.At<Vector128<byte>>(s, op->R0);
        destination = InsertSingle.Apply(destination, Vector128.CreateScalar(source).AsByte(), (byte)(op->Imm & 0x3F));
        return op + 1;
    }

    /// <summary>CRC32 r, r.</summary>
    public static Op* Crc<T>(CpuState* s, Op* op)
        where T : unmanaged
    {
        Accumulate(s, op, Operand.Reg<T>(s, op->R1));
        return op + 1;
    }

    /// <summary>CRC32 r, m.</summary>
    public static Op* CrcMemory<T>(CpuState* s, Op* op)
        where T : unmanaged
    {
        if (!Operand.Load(s, op, out T value))
        {
            return null;
        }

        Accumulate(s, op, value);
        return op + 1;
    }

    /// <summary>The polynomial 11EDC6F41h over the low doubleword of the destination; the result is zero-extended.</summary>
    private static void Accumulate<T>(CpuState* s, Op* op, T value)
        where T : unmanaged
    {
        uint crc = Operand.Reg<uint>(s, op->R0);
        uint result = sizeof(T) switch
        {
            1 => BitOperations.Crc32C(crc, Unsafe.BitCast<T, byte>(value)),
            2 => BitOperations.Crc32C(crc, Unsafe.BitCast<T, ushort>(value)),
            4 => BitOperations.Crc32C(crc, Unsafe.BitCast<T, uint>(value)),
            _ => BitOperations.Crc32C(crc, Unsafe.BitCast<T, ulong>(value)),
        };
        Operand.SetReg(s, op->R0, result);
    }

    private static Op* Test(CpuState* s, Op* op, Vector128<byte> source)
    {
        Vector128<byte> destination = Operand.Reg<Vector128<byte>>(s, op->R0);
        uint flags = (source & destination) == Vector128<byte>.Zero ? Flags.ZF : 0;
        flags |= Vector128.AndNot(source, destination) == Vector128<byte>.Zero ? Flags.CF : 0;
        Flags.SetStatus(s, flags);
        return op + 1;
    }
}
