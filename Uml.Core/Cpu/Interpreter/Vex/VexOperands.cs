using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Vex;

/// <summary>The last source of a VEX instruction, register or memory. A register's offset is in <see cref="Op.R2"/>.</summary>
// SAFETY: handlers: the handler contract (Op). VexBinder has put a register's offset into R2 before VexRegister is used with a width that
// this register has.
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

/// <summary>An operand that holds a value for each lane, one behind the other.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct LanePair<T>
    where T : unmanaged
{
    public T Lower, Upper;
}
