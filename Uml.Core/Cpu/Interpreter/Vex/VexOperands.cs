using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Vex;

/// <summary>Where the last source of a VEX instruction comes from. The binder puts a register's offset into <see cref="Op.R2"/>.</summary>
internal unsafe interface IVexSource
{
    static abstract bool Load<T>(CpuState* s, Op* op, out T value)
        where T : unmanaged;
}

/// <summary>A vector or general register.</summary>
internal readonly unsafe struct VexRegister : IVexSource
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Load<T>(CpuState* s, Op* op, out T value)
        where T : unmanaged
    {
        value = Operand.Reg<T>(s, op->R2);
        return true;
    }
}

/// <summary>Memory, which needs no alignment (Intel SDM vol. 1, 14.9).</summary>
internal readonly unsafe struct VexMemory : IVexSource
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Load<T>(CpuState* s, Op* op, out T value)
        where T : unmanaged => Operand.Load(s, op, out value);
}

/// <summary>Registers of VEX instructions.</summary>
// SAFETY: register operands are offsets within CpuState that the decoder made.
internal static unsafe class VectorLanes
{
    public const int UpperLane = 16;

    /// <summary>Writes an XMM register as VEX instructions do: bits 255:128 become zero (Intel SDM vol. 1, 14.1.3).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write<T>(CpuState* s, ushort register, Vector128<T> value)
    {
        CpuState.At<Vector128<byte>>(s, register) = value.AsByte();
        CpuState.At<Vector128<byte>>(s, register + UpperLane) = Vector128<byte>.Zero;
    }

    /// <summary>Writes both lanes of a YMM register.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write<T>(CpuState* s, ushort register, Vector128<T> lower, Vector128<T> upper)
    {
        CpuState.At<Vector128<byte>>(s, register) = lower.AsByte();
        CpuState.At<Vector128<byte>>(s, register + UpperLane) = upper.AsByte();
    }

    /// <summary>Bits 127:0 of a register.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> Lower<T>(CpuState* s, ushort register) => CpuState.At<Vector128<byte>>(s, register).As<byte, T>();

    /// <summary>Bits 255:128 of a register.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> Upper<T>(CpuState* s, ushort register) =>
        CpuState.At<Vector128<byte>>(s, register + UpperLane).As<byte, T>();
}

/// <summary>An operand that holds a value for each lane, one behind the other.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct LanePair<T>
    where T : unmanaged
{
    public T Lower, Upper;
}
