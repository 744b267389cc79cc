using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Segments;

/// <summary>The first eight bytes of a descriptor-table entry (Intel SDM vol. 3, 3.4.5).</summary>
/// <param name="Low">The bytes, little-endian.</param>
internal readonly record struct Descriptor(ulong Low)
{
    /// <summary>Access byte and flags, packed as in <see cref="SegmentRegister.Attributes"/>.</summary>
    public ushort Attributes => (ushort)((Low >> 40) & 0xF0FF);

    public int Type => (int)(Low >> 40) & 0xF;

    public bool IsSystem => (Low & (1UL << 44)) == 0;

    public int Dpl => (int)(Low >> 45) & 3;

    public bool IsPresent => (Low & (1UL << 47)) != 0;

    public bool IsCode => (Low & (3UL << 43)) == (3UL << 43);

    public bool IsConformingCode => IsCode && (Type & 4) != 0;

    /// <summary>A data segment, or code that may be read.</summary>
    public bool IsReadable => !IsSystem && (Type & 0xA) != 8;

    public bool IsWritableData => !IsSystem && (Type & 0xA) == 2;

    public bool IsLong => (Low & (1UL << 53)) != 0;

    public bool IsDefault32 => (Low & (1UL << 54)) != 0;

    public uint Base => (uint)(((Low >> 16) & 0xFFFFFF) | ((Low >> 32) & 0xFF000000));

    /// <summary>Last valid offset, granularity applied.</summary>
    public uint Limit
    {
        get
        {
            uint raw = (uint)((Low & 0xFFFF) | ((Low >> 32) & 0xF0000));
            return (Low & (1UL << 55)) != 0 ? (raw << 12) | 0xFFF : raw;
        }
    }

    // Gates (Intel SDM vol. 3, 5.8.3 and 6.11): the same eight bytes, split otherwise.

    public ushort GateSelector => (ushort)(Low >> 16);

    public uint GateOffset => (uint)((Low & 0xFFFF) | ((Low >> 32) & 0xFFFF0000));

    /// <summary>Parameters a call gate copies.</summary>
    public int GateParameters => (int)(Low >> 32) & 0x1F;

    /// <summary>Interrupt-stack-table index of a 64-bit gate.</summary>
    public int GateStack => (int)(Low >> 32) & 7;

    /// <summary>The segment register this descriptor loads.</summary>
    public SegmentRegister ToSegment(ushort selector) =>
        new() { Base = Base, Limit = Limit, Selector = selector, Attributes = Attributes };
}

/// <summary>Types of system descriptors (Intel SDM vol. 3, table 3-2).</summary>
internal static class SystemType
{
    public const int Tss16 = 1, Ldt = 2, BusyTss16 = 3, CallGate16 = 4, TaskGate = 5, InterruptGate16 = 6, TrapGate16 = 7,
        Tss = 9, BusyTss = 11, CallGate = 12, InterruptGate = 14, TrapGate = 15;
}

/// <summary>Reads and marks entries of the GDT and the LDT.</summary>
// SAFETY: s is a live processor's state. A selector is checked against the limit of its table, and only leads to guest memory (Mmu).
internal static unsafe class DescriptorTables
{
    /// <summary>The bits of a selector an error code keeps: index and TI.</summary>
    public const ushort ErrorMask = 0xFFFC;

    /// <summary>An error code that names a selector (Intel SDM vol. 3, 6.13).</summary>
    public static uint Error(ushort selector, uint ext = 0) => (uint)(selector & ErrorMask) | ext;

    public static bool IsNull(ushort selector) => (selector & ErrorMask) == 0;

    /// <summary>The selector's entry, so many bytes of it, lies within its table.</summary>
    public static bool Contains(CpuState* s, ushort selector, uint bytes = 8)
    {
        uint last = (uint)(selector & 0xFFF8) + bytes - 1;
        if ((selector & 4) == 0)
        {
            return last <= s->GdtLimit;
        }

        ref SegmentRegister ldt = ref s->Segments[(int)SegmentIndex.Ldtr];
        return ldt.IsUsable && last <= ldt.Limit;
    }

    /// <summary>
    /// Reads a descriptor; one outside its table raises <paramref name="vector"/> with the selector and <paramref name="ext"/>.
    /// </summary>
    public static bool Read(CpuState* s, ushort selector, out Descriptor descriptor, byte vector = ExceptionVector.GP, uint ext = 0)
    {
        descriptor = default;
        if (!Contains(s, selector))
        {
            return Fault.Fail(s, vector, Error(selector, ext));
        }

        bool ok = Mmu.ReadSystem(s, Address(s, selector), out ulong low);
        descriptor = new Descriptor(low);
        return ok;
    }

    /// <summary>Reads the upper half of a 16-byte descriptor: bits 63..32 of a base or offset in its low half.</summary>
    public static bool ReadHigh(CpuState* s, ushort selector, out ulong high, byte vector = ExceptionVector.GP, uint ext = 0)
    {
        high = 0;
        if (!Contains(s, selector, 16))
        {
            return Fault.Fail(s, vector, Error(selector, ext));
        }

        return Mmu.ReadSystem(s, Wrap(s, Address(s, selector) + 8), out high);
    }

    /// <summary>Sets the accessed bit of a code or data descriptor, in the table and in the copy.</summary>
    public static bool MarkAccessed(CpuState* s, ushort selector, ref Descriptor descriptor)
    {
        if ((descriptor.Type & 1) != 0)
        {
            return true;
        }

        descriptor = new Descriptor(descriptor.Low | (1UL << 40));
        return WriteAccessByte(s, selector, descriptor);
    }

    /// <summary>Sets or clears the busy bit of a TSS descriptor.</summary>
    public static bool MarkBusy(CpuState* s, ushort selector, ref Descriptor descriptor)
    {
        descriptor = new Descriptor(descriptor.Low | (2UL << 40));
        return WriteAccessByte(s, selector, descriptor);
    }

    private static bool WriteAccessByte(CpuState* s, ushort selector, Descriptor descriptor) =>
        Mmu.WriteSystem(s, Wrap(s, Address(s, selector) + 5), (byte)(descriptor.Low >> 40));

    private static ulong Address(CpuState* s, ushort selector)
    {
        ulong table = (selector & 4) == 0 ? s->GdtBase : s->Segments[(int)SegmentIndex.Ldtr].Base;
        return Wrap(s, table + (uint)(selector & 0xFFF8));
    }

    /// <summary>Linear addresses outside IA-32e mode have 32 bits.</summary>
    private static ulong Wrap(CpuState* s, ulong linear) => (s->Mode & CpuMode.LongActive) != 0 ? linear : (uint)linear;
}
