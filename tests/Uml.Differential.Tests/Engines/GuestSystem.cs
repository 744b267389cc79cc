using System.Runtime.InteropServices;
using Uml.Core.Cpu.State;
using Uml.Differential.Tests.Native;

namespace Uml.Differential.Tests.Engines;

/// <summary>
/// The least of an operating system around test programs: page tables that map what <see cref="Layout"/> says, descriptor tables with
/// Linux's user segments, and for each exception a handler that halts with the exception's frame on its stack.
/// </summary>
internal sealed unsafe class GuestSystem
{
    public const ulong RamSize = 1 << 20;
    public const ulong CodePhysical = 0x4_0000, DataPhysical = 0x5_0000;

    private const ulong SystemPhysical = 0x6_0000;

    /// <summary>Supervisor pages, out of reach of test programs: descriptors and TSS, IDT, handlers, stack.</summary>
    private const ulong System = 0x7800_0000, Gdt = System, Tss = System + 0x800, Idt = System + 0x1000, Handlers = System + 0x2000;
    private const ulong StackTop = System + 0x4000;
    private const int SystemPages = 4, HandlerStride = 16, TssSize = 0x68;
    private const ushort KernelCode = 0x10, TaskState = 0x40, GdtLimit = 0x4F;

    private readonly BareGuest _guest;

    /// <param name="guest">Where to set it up.</param>
    /// <param name="hasCode32">There is a segment for 32-bit code.</param>
    /// <param name="writableCode">Test programs may write to their code page.</param>
    public GuestSystem(BareGuest guest, bool hasCode32, bool writableCode = false)
    {
        _guest = guest;
        const ulong used = 0x60, present = 1 | used, write = 2, user = 4, noExecute = 1UL << 63;
        guest.Map(Layout.Code, CodePhysical, present | user | (writableCode ? write : 0));
        ulong physical = DataPhysical;
        foreach (Window window in Layout.Windows)
        {
            for (int offset = 0; offset < window.Size; offset += Layout.PageSize)
            {
                guest.Map(window.Start + (ulong)offset, physical, present | user | noExecute | (window.Writable ? write : 0));
                physical += Layout.PageSize;
            }
        }

        for (ulong i = 0; i < SystemPages; i++)
        {
            guest.Map(System + (i * Layout.PageSize), SystemPhysical + (i * Layout.PageSize), present | write);
        }

        Memory(CodePhysical, Layout.PageSize).Fill(BareGuest.Hlt);
        WriteDescriptors(hasCode32);
        WriteInterruptTable();
    }

    public Span<byte> Memory(ulong physical, int length) => _guest.Ram.TryGetSpan(new(physical), length, out Span<byte> span)
        ? span
        : throw new ArgumentOutOfRangeException(nameof(physical));

    /// <summary>Sets control registers and descriptor tables as they are when user code runs.</summary>
    public static void Enter(CpuState* s, int bitness, ulong gsBase)
    {
        s->Cpl = 3;
        s->Cr0 = 0x8005_0033; // PG AM WP NE ET MP PE, as Linux sets it
        s->Cr2 = 0;
        s->Cr3 = BareGuest.PageTables;
        s->Cr4 = (1 << 5) | (1 << 7) | (1 << 9) | (1 << 10) | (1 << 16) | (1 << 18); // PAE PGE OSFXSR OSXMMEXCPT FSGSBASE OSXSAVE
        s->Xcr0 = HostProcessor.HasAvx ? 7u : 3u; // x87, SSE, AVX
        s->Efer = 0xD01; // NXE LMA LME SCE
        s->GdtBase = Gdt;
        s->GdtLimit = GdtLimit;
        s->IdtBase = Idt;
        s->IdtLimit = 0xFFF;
        s->Halted = false;
        s->InterruptShadow = false;
        s->Engine->Poll = 0;

        const ushort user = SegmentRegister.Present | SegmentRegister.DplMask | SegmentRegister.S | SegmentRegister.G | 1;
        var data = new SegmentRegister { Selector = Layout.UserData, Limit = uint.MaxValue, Attributes = user | 2 | SegmentRegister.Db };
        SegmentRegister code = data;
        code.Selector = bitness == 32 ? Layout.UserCode32 : Layout.UserCode64;
        code.Attributes = (ushort)(user | 0xA | (bitness == 32 ? SegmentRegister.Db : SegmentRegister.L));
        s->Segments[(int)SegmentIndex.Cs] = code;
        s->Segments[(int)SegmentIndex.Ss] = data;
        s->Segments[(int)SegmentIndex.Ds] = bitness == 32 ? data : default;
        s->Segments[(int)SegmentIndex.Es] = bitness == 32 ? data : default;
        s->Segments[(int)SegmentIndex.Fs] = default;
        s->Segments[(int)SegmentIndex.Gs] = new SegmentRegister { Base = gsBase };
        s->Segments[(int)SegmentIndex.Ldtr] = default;
        s->Segments[(int)SegmentIndex.Tr] = new SegmentRegister
        {
            Selector = TaskState,
            Base = Tss,
            Limit = TssSize - 1,
            Attributes = SegmentRegister.Present | 0xB,
        };
    }

    /// <summary>Takes the exception frame a handler halted with apart (Intel SDM vol. 3, 6.14.2): the state of the interrupted program.</summary>
    public void ReadFrame(CpuState* s, ref MachineSnapshot state, out ushort cs)
    {
        ulong handler = s->Rip - 1 - Handlers;
        if (handler % HandlerStride != 0 || handler / HandlerStride > 255)
        {
            throw new InvalidOperationException($"The processor halted at 0x{s->Rip:x}, which is no exception handler.");
        }

        state.Vector = (int)(handler / HandlerStride);
        bool hasError = state.Vector is 8 or (>= 10 and <= 14) or 17;
        ulong frame = s->Gpr[4] - System + SystemPhysical;
        ReadOnlySpan<ulong> words = MemoryMarshal.Cast<byte, ulong>(Memory(frame, hasError ? 48 : 40));
        state.ErrorCode = hasError ? (uint)words[0] : 0;
        words = hasError ? words[1..] : words;
        state.Rip = words[0];
        cs = (ushort)words[1];
        state.Rflags = words[2];
        state.Gprs[4] = words[3];
        state.Cr2 = s->Cr2;
    }

    private void WriteDescriptors(bool hasCode32)
    {
        Span<ulong> gdt = MemoryMarshal.Cast<byte, ulong>(Memory(SystemPhysical, 0x50));
        gdt[KernelCode / 8] = BareGuest.Descriptor(0, 0xFFFFF, 0x9B, 0xA);
        gdt[0x18 / 8] = BareGuest.Descriptor(0, 0xFFFFF, 0x93, 0xC);
        gdt[Layout.UserCode32 / 8] = hasCode32 ? BareGuest.Descriptor(0, 0xFFFFF, 0xFB, 0xC) : 0;
        gdt[Layout.UserData / 8] = BareGuest.Descriptor(0, 0xFFFFF, 0xF3, 0xC);
        gdt[Layout.UserCode64 / 8] = BareGuest.Descriptor(0, 0xFFFFF, 0xFB, 0xA);

        Span<byte> task = Memory(SystemPhysical + (Tss - System), TssSize);
        MemoryMarshal.Write(task[4..], StackTop); // RSP0
        MemoryMarshal.Write(task[0x66..], (ushort)TssSize); // I/O permission bitmap: none
    }

    private void WriteInterruptTable()
    {
        Memory(SystemPhysical + (Handlers - System), Layout.PageSize).Fill(BareGuest.Hlt);
        Span<byte> table = Memory(SystemPhysical + (Idt - System), Layout.PageSize);
        for (int vector = 0; vector < 256; vector++)
        {
            ulong handler = Handlers + ((ulong)vector * HandlerStride);
            int privilege = vector is 3 or 4 ? 3 : 0; // INT3 and INTO are for everyone
            (ulong low, ulong high) = BareGuest.Gate64(handler, 0x8E | (privilege << 5), 0, KernelCode);
            MemoryMarshal.Write(table[(vector * 16)..], low);
            MemoryMarshal.Write(table[((vector * 16) + 8)..], high);
        }
    }
}
