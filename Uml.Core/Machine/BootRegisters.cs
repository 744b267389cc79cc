using Uml.Core.Boot;
using Uml.Core.Cpu;
using Uml.Core.Cpu.State;

namespace Uml.Core.Machine;

/// <summary>Puts a CPU into the state that a boot protocol starts in.</summary>
internal static class BootRegisters
{
    public static void Enter(ProcessorRegisters registers, BootEntry entry)
    {
        for (int number = 0; number < 16; number++)
        {
            registers.SetGpr(number, 0);
        }

        EnterMode(registers, entry.Kind, entry.PageTableRoot);
        EnterSegments(registers, entry);
        registers.Rflags = 2;
        registers.Rip = entry.EntryPoint;
        registers.Rsp = entry.StackPointer;
        registers.Rax = entry.Rax;
        registers.Rbx = entry.Rbx;
        registers.Rsi = entry.Rsi;
    }

    private static void EnterMode(ProcessorRegisters registers, BootEntryKind kind, ulong pageTableRoot)
    {
        switch (kind)
        {
            case BootEntryKind.Linux64 or BootEntryKind.Flat64:
                registers.Cr4 = Cr4.PAE;
                registers.Cr3 = pageTableRoot;
                registers.Efer = Efer.LME;
                registers.Cr0 = Cr0.PG | Cr0.NE | Cr0.ET | Cr0.PE;
                break;
            case BootEntryKind.Flat16:
                registers.Cr0 = Cr0.ET;
                break;
            default:
                registers.Cr4 = 0;
                registers.Cr0 = Cr0.ET | Cr0.PE;
                break;
        }
    }

    private static void EnterSegments(ProcessorRegisters registers, BootEntry entry)
    {
        bool real = entry.Kind == BootEntryKind.Flat16;
        SegmentState data = real ? SegmentState.RealMode(entry.DataSelector) : SegmentState.Data(entry.DataSelector);
        (registers.Es, registers.Ss, registers.Ds, registers.Fs, registers.Gs) = (data, data, data, data, data);
        registers.Cs = entry.Kind switch
        {
            BootEntryKind.Flat16 => SegmentState.RealMode(entry.CodeSelector),
            BootEntryKind.Linux64 or BootEntryKind.Flat64 => SegmentState.Code64(entry.CodeSelector),
            _ => SegmentState.Code32(entry.CodeSelector),
        };
        if (entry.GdtBase != 0)
        {
            registers.Gdtr = new DescriptorTable(entry.GdtBase, entry.GdtLimit);
        }

        if (entry.TaskSelector != 0)
        {
            // A busy 32-bit TSS (Intel SDM vol. 3, 8.2.2).
            registers.Tr = new SegmentState(entry.TaskSelector, entry.TaskSegmentBase, 0x67, 0x008B);
        }
    }
}
