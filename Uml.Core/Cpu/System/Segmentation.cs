using Uml.Core.Cpu.Interpreter;

namespace Uml.Core.Cpu;

/// <summary>Segment arithmetic and checks of memory operands.</summary>
internal static unsafe class Segmentation
{
    /// <summary>Turns a memory operand's address sum into a linear address as <see cref="Op.Address"/> asks.</summary>
    public static bool Adjust(CpuState* s, Op* op, int size, bool write, ref ulong address) => throw new NotImplementedException();

    public static bool Linear(CpuState* s, SegmentIndex segment, ulong offset, int size, bool write, out ulong linear) =>
        throw new NotImplementedException();
}
