using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Segments;

/// <summary>
/// The task-state segment: stacks of inner privilege levels and the I/O permission bitmap (Intel SDM vol. 3, 8.2 and 8.7).
/// </summary>
// SAFETY: s is a live processor's state. Offsets into the TSS are checked against its limit, and only lead to guest memory
// (Mmu.ReadSystem).
internal static unsafe class TaskState
{
    /// <summary>Offset of the I/O map base, the same in 32-bit and 64-bit segments.</summary>
    private const uint IoMapBase = 102;

    /// <summary>RSPn of the 64-bit TSS.</summary>
    public static bool ReadStack64(CpuState* s, int cpl, uint ext, out ulong rsp) => Read64(s, (uint)(4 + (cpl * 8)), ext, out rsp);

    /// <summary>IST1 to IST7 of the 64-bit TSS.</summary>
    public static bool ReadInterruptStack(CpuState* s, int index, uint ext, out ulong rsp) =>
        Read64(s, (uint)(28 + (index * 8)), ext, out rsp);

    /// <summary>SSn:ESPn of the 32-bit or 16-bit TSS.</summary>
    public static bool ReadStack32(CpuState* s, int cpl, uint ext, out ushort ss, out uint esp)
    {
        ss = 0;
        esp = 0;
        ref SegmentRegister tr = ref s->Segments[(int)SegmentIndex.Tr];
        bool is32 = (tr.Attributes & 8) != 0;
        uint offset = is32 ? (uint)(4 + (cpl * 8)) : (uint)(2 + (cpl * 4));
        if (!Contains(tr, offset, is32 ? 6u : 4u))
        {
            return Fail(s, ext);
        }

        ulong address = tr.Base + offset;
        if (is32)
        {
            return Mmu.ReadSystem(s, (uint)address, out esp) && Mmu.ReadSystem(s, (uint)(address + 4), out ss);
        }

        bool ok = Mmu.ReadSystem(s, (uint)address, out ushort sp) && Mmu.ReadSystem(s, (uint)(address + 2), out ss);
        esp = sp;
        return ok;
    }

    /// <summary>
    /// The current privilege may use ports: by IOPL, else by the bitmap (Intel SDM vol. 1, 19.5). Records #GP(0) when not.
    /// </summary>
    public static bool AllowsPorts(CpuState* s, ushort port, int size)
    {
        bool checkBitmap = (s->Mode & CpuMode.Virtual8086) != 0
            || ((s->Mode & CpuMode.Protected) != 0 && s->Cpl > Flags.Iopl(s));
        return !checkBitmap || AllowedByBitmap(s, port, size);
    }

    private static bool AllowedByBitmap(CpuState* s, ushort port, int size)
    {
        ref SegmentRegister tr = ref s->Segments[(int)SegmentIndex.Tr];
        if (!tr.IsUsable || (tr.Attributes & 8) == 0 || tr.Limit < IoMapBase + 1)
        {
            return Fault.FailGP(s);
        }

        if (!Mmu.ReadSystem(s, Wrap(s, tr.Base + IoMapBase), out ushort mapBase))
        {
            return false;
        }

        // Two bytes are always read: a four-byte port can straddle them. The limit has to cover both.
        uint offset = mapBase + ((uint)port >> 3);
        if (!Contains(tr, offset, 2))
        {
            return Fault.FailGP(s);
        }

        if (!Mmu.ReadSystem(s, Wrap(s, tr.Base + offset), out ushort bits))
        {
            return false;
        }

        int mask = ((1 << size) - 1) << (port & 7);
        return (bits & mask) == 0 || Fault.FailGP(s);
    }

    private static bool Read64(CpuState* s, uint offset, uint ext, out ulong value)
    {
        value = 0;
        ref SegmentRegister tr = ref s->Segments[(int)SegmentIndex.Tr];
        return Contains(tr, offset, 8) ? Mmu.ReadSystem(s, tr.Base + offset, out value) : Fail(s, ext);
    }

    private static bool Contains(in SegmentRegister tr, uint offset, uint size) => tr.IsUsable && (ulong)offset + size - 1 <= tr.Limit;

    private static bool Fail(CpuState* s, uint ext) =>
        Fault.Fail(s, ExceptionVector.TS, DescriptorTables.Error(s->Segments[(int)SegmentIndex.Tr].Selector, ext));

    private static ulong Wrap(CpuState* s, ulong linear) => (s->Mode & CpuMode.LongActive) != 0 ? linear : (uint)linear;

    /// <summary>
    /// The stack of an inner privilege level, from the TSS, checked (Intel SDM vol. 2, INT n, INTER-PRIVILEGE-LEVEL-INTERRUPT).
    /// </summary>
    public static bool ReadInnerStack(CpuState* s, int cpl, uint ext, out SegmentRegister stack, out ulong esp)
    {
        stack = default;
        esp = 0;
        if (!ReadStack32(s, cpl, ext, out ushort selector, out uint pointer))
        {
            return false;
        }

        if (DescriptorTables.IsNull(selector))
        {
            return Fault.Fail(s, ExceptionVector.TS, ext);
        }

        if (!DescriptorTables.Read(s, selector, out Descriptor descriptor, ExceptionVector.TS, ext))
        {
            return false;
        }

        uint error = DescriptorTables.Error(selector, ext);
        if ((selector & 3) != cpl || descriptor.Dpl != cpl || !descriptor.IsWritableData)
        {
            return Fault.Fail(s, ExceptionVector.TS, error);
        }

        if (!descriptor.IsPresent)
        {
            return Fault.Fail(s, ExceptionVector.SS, error);
        }

        if (!DescriptorTables.MarkAccessed(s, selector, ref descriptor))
        {
            return false;
        }

        stack = descriptor.ToSegment(selector);
        esp = pointer;
        return true;
    }
}
