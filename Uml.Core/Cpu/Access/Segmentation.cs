using System.Runtime.CompilerServices;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Access;

/// <summary>Segment arithmetic and checks of memory operands (Intel SDM vol. 3, 5.3 to 5.5).</summary>
// SAFETY: handlers: the handler contract (Op). Segments are indexed by SegmentIndex, which the inline array checks.
internal static unsafe class Segmentation
{
    /// <summary>Turns a memory operand's address sum into a linear address as <see cref="Op.Address"/> asks.</summary>
    public static bool Adjust(CpuState* s, Op* op, int size, bool write, ref ulong address)
    {
        AddressFlags flags = op->Address;
        if ((flags & (AddressFlags.Wrap32 | AddressFlags.Wrap16)) != 0)
        {
            address = (flags & AddressFlags.Wrap32) != 0 ? (uint)address : (ushort)address;
        }

        if ((flags & AddressFlags.SegmentCheck) != 0 && !Check(s, op->Segment, (uint)address, size, write))
        {
            return false;
        }

        if ((flags & AddressFlags.SegmentBase) != 0)
        {
            address += s->Segments[(int)op->Segment].Base;
            if ((s->Mode & CpuMode.Long64) == 0)
            {
                address = (uint)address;
            }
        }

        return true;
    }

    /// <summary>The linear address of an offset in a segment, checked as the current mode asks: for implicit operands.</summary>
    public static bool Linear(CpuState* s, SegmentIndex segment, ulong offset, int size, bool write, out ulong linear)
    {
        if ((s->Mode & CpuMode.Long64) != 0)
        {
            linear = segment >= SegmentIndex.Fs ? offset + s->Segments[(int)segment].Base : offset;
            return true;
        }

        linear = (uint)(s->Segments[(int)segment].Base + offset);
        return Check(s, segment, (uint)offset, size, write);
    }

    /// <summary>Real-address or virtual-8086 mode: selectors are paragraph numbers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsRealStyle(CpuState* s) => (s->Mode & (CpuMode.Protected | CpuMode.Virtual8086)) != CpuMode.Protected;

    /// <summary>Checks type and limit; records #SS(0) for the stack segment, else #GP(0).</summary>
    private static bool Check(CpuState* s, SegmentIndex index, uint offset, int size, bool write)
    {
        ref SegmentRegister segment = ref s->Segments[(int)index];
        if (InLimit(segment, offset, (uint)size) && (IsRealStyle(s) || Allows(segment, write)))
        {
            return true;
        }

        return Fault.Fail(s, index == SegmentIndex.Ss ? ExceptionVector.SS : ExceptionVector.GP, 0);
    }

    /// <summary>The segment's type allows the access: no write to code or read-only data, no read of execute-only code.</summary>
    private static bool Allows(in SegmentRegister segment, bool write)
    {
        if (!segment.IsUsable)
        {
            return false;
        }

        return write ? (segment.Attributes & 0xA) == 2 : (segment.Attributes & 0xA) != 8;
    }

    /// <summary>All bytes of an access lie within the limit; an expand-down segment is valid above it (Intel SDM vol. 3, 5.3).</summary>
    public static bool InLimit(in SegmentRegister segment, uint offset, uint size)
    {
        ulong last = (ulong)offset + size - 1;
        bool expandDown = (segment.Attributes & (SegmentRegister.S | 0xC)) == (SegmentRegister.S | 4);
        if (!expandDown)
        {
            return last <= segment.Limit;
        }

        uint top = (segment.Attributes & SegmentRegister.Db) != 0 ? uint.MaxValue : ushort.MaxValue;
        return offset > segment.Limit && last <= top;
    }
}
