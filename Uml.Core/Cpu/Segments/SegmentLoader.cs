using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Segments;

/// <summary>
/// Loads segment registers with the checks of MOV, POP and the far transfers (Intel SDM vol. 3, 5.6 to 5.8). The caller calls
/// <see cref="Paging.Mmu.UpdateMode"/> afterwards where the mode may have changed.
/// </summary>
// SAFETY: s is a live processor's state. References to segment registers are used during the call; the inline array checks indices.
internal static unsafe class SegmentLoader
{
    /// <summary>Loads DS, ES, FS, GS or SS as MOV and POP do.</summary>
    public static bool Load(CpuState* s, SegmentIndex index, ushort selector)
    {
        if (Segmentation.IsRealStyle(s))
        {
            LoadReal(s, index, selector);
            return true;
        }

        if (DescriptorTables.IsNull(selector))
        {
            return LoadNull(s, index, selector);
        }

        if (!DescriptorTables.Read(s, selector, out Descriptor descriptor))
        {
            return false;
        }

        uint error = DescriptorTables.Error(selector);
        int rpl = selector & 3;
        if (index == SegmentIndex.Ss)
        {
            if (rpl != s->Cpl || descriptor.Dpl != s->Cpl || !descriptor.IsWritableData)
            {
                return Fault.FailGP(s, error);
            }
        }
        else if (!descriptor.IsReadable || (!descriptor.IsConformingCode && (rpl > descriptor.Dpl || s->Cpl > descriptor.Dpl)))
        {
            return Fault.FailGP(s, error);
        }

        if (!descriptor.IsPresent)
        {
            return Fault.Fail(s, index == SegmentIndex.Ss ? ExceptionVector.SS : ExceptionVector.NP, error);
        }

        if (!DescriptorTables.MarkAccessed(s, selector, ref descriptor))
        {
            return false;
        }

        s->Segments[(int)index] = descriptor.ToSegment(selector);
        return true;
    }

    /// <summary>Loads any segment register in real-address or virtual-8086 mode.</summary>
    public static void LoadReal(CpuState* s, SegmentIndex index, ushort selector)
    {
        ref SegmentRegister segment = ref s->Segments[(int)index];
        segment.Selector = selector;
        segment.Base = (ulong)selector << 4;
        if ((s->Mode & CpuMode.Virtual8086) != 0)
        {
            SetVirtual8086(ref segment);
        }
        else if (!segment.IsUsable || index == SegmentIndex.Cs)
        {
            // Real mode leaves limit and attributes unchanged (Intel SDM vol. 3, 10.9.2), which "unreal" mode relies on; only a segment
            // that protected mode left unusable gets real-mode values.
            segment.Attributes = RealAttributes;
            segment.Limit = ushort.MaxValue;
        }
    }

    /// <summary>Present, writable, accessed data: what reset gives every segment.</summary>
    public const ushort RealAttributes = 0x93;

    /// <summary>
    /// Gives a segment the fixed limit and rights of virtual-8086 mode (Intel SDM vol. 3, 21.2.1), its base from the selector.
    /// </summary>
    public static void SetVirtual8086(ref SegmentRegister segment)
    {
        segment.Base = (ulong)segment.Selector << 4;
        segment.Limit = ushort.MaxValue;
        segment.Attributes = 0xF3;
    }

    /// <summary>A null selector: allowed for DS to GS, and for SS only in 64-bit mode below CPL 3 (Intel SDM vol. 2, MOV).</summary>
    private static bool LoadNull(CpuState* s, SegmentIndex index, ushort selector)
    {
        if (index == SegmentIndex.Ss && ((s->Mode & CpuMode.Long64) == 0 || s->Cpl == 3 || (selector & 3) != s->Cpl))
        {
            return Fault.FailGP(s);
        }

        s->Segments[(int)index] = new SegmentRegister { Selector = selector };
        return true;
    }

    /// <summary>
    /// Reads the descriptor of a far transfer's code segment, with the checks that all of them make: not null, a code segment, not both L
    /// and D.
    /// </summary>
    public static bool ReadCode(CpuState* s, ushort selector, out Descriptor descriptor, uint ext = 0)
    {
        descriptor = default;
        if (DescriptorTables.IsNull(selector))
        {
            return Fault.FailGP(s, ext);
        }

        if (!DescriptorTables.Read(s, selector, out descriptor, ExceptionVector.GP, ext))
        {
            return false;
        }

        return (descriptor.IsCode && !IsBothLongAnd32(s, descriptor)) || Fault.FailGP(s, DescriptorTables.Error(selector, ext));
    }

    /// <summary>
    /// The last checks before a code segment is loaded: present, the target within it or canonical; sets its accessed bit.
    /// </summary>
    public static bool CheckTarget(CpuState* s, ushort selector, ref Descriptor descriptor, ulong rip, uint ext = 0)
    {
        if (!descriptor.IsPresent)
        {
            return Fault.Fail(s, ExceptionVector.NP, DescriptorTables.Error(selector, ext));
        }

        bool inside = IsLongCode(s, descriptor) ? Canonical.Is(rip) : rip <= descriptor.Limit;
        return inside ? DescriptorTables.MarkAccessed(s, selector, ref descriptor) : Fault.FailGP(s, ext);
    }

    /// <summary>Loads CS and RIP, both checked already, and sets CPL.</summary>
    public static void CommitCode(CpuState* s, ushort selector, Descriptor descriptor, int cpl, ulong rip)
    {
        SegmentRegister segment = descriptor.ToSegment((ushort)((selector & ~3) | cpl));
        if (IsLongCode(s, descriptor))
        {
            // 64-bit mode ignores the base of CS (vol. 3, 3.2.4), but the engine adds it.
            segment.Base = 0;
        }

        s->Segments[(int)SegmentIndex.Cs] = segment;
        s->Cpl = (byte)cpl;
        s->Rip = rip;
    }

    /// <summary>A 64-bit code segment: CS.L counts in IA-32e mode only.</summary>
    public static bool IsLongCode(CpuState* s, Descriptor descriptor) => (s->Mode & CpuMode.LongActive) != 0 && descriptor.IsLong;

    private static bool IsBothLongAnd32(CpuState* s, Descriptor descriptor) => IsLongCode(s, descriptor) && descriptor.IsDefault32;

    /// <summary>The null SS that a change to an inner privilege level loads in IA-32e mode.</summary>
    public static SegmentRegister NullStack(int cpl) => new() { Selector = (ushort)cpl };

    /// <summary>
    /// After a return to an outer level, makes data segments unusable that the new level must not use, and null selectors 0
    /// (Intel SDM vol. 2, IRET and RET, RETURN-TO-OUTER-PRIVILEGE-LEVEL).
    /// </summary>
    public static void DropInnerSegments(CpuState* s)
    {
        for (int i = 0; i <= (int)SegmentIndex.Gs; i++)
        {
            ref SegmentRegister segment = ref s->Segments[i];
            bool conforming = segment.IsCode && (segment.Attributes & 4) != 0;
            bool allowed = segment.IsUsable && (conforming || segment.Dpl >= s->Cpl);
            if (i is (int)SegmentIndex.Cs or (int)SegmentIndex.Ss || allowed)
            {
                continue;
            }

            // The base stays: processors keep that of FS and GS.
            segment.Selector = 0;
            segment.Attributes = 0;
            segment.Limit = 0;
        }
    }
}
