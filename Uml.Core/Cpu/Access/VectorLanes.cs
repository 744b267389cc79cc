using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Access;

/// <summary>Registers of VEX instructions.</summary>
// SAFETY: a register is the offset of a vector's slot of 32 bytes (the handler contract, see Op), so both lanes are within it.
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
