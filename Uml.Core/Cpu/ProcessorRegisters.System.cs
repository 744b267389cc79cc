using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu;

/// <content>Segments, control, debug and model-specific registers.</content>
public sealed unsafe partial class ProcessorRegisters
{
    /// <summary>ES.</summary>
    public SegmentState Es { get => GetSegment(SegmentIndex.Es); set => SetSegment(SegmentIndex.Es, value); }

    /// <summary>CS.</summary>
    public SegmentState Cs { get => GetSegment(SegmentIndex.Cs); set => SetSegment(SegmentIndex.Cs, value); }

    /// <summary>SS; its DPL becomes the privilege level, as on a processor.</summary>
    public SegmentState Ss
    {
        get => GetSegment(SegmentIndex.Ss);
        set
        {
            lock (Access)
            {
                State->Cpl = (byte)((value.Attributes >> 5) & 3);
                SetSegment(SegmentIndex.Ss, value);
            }
        }
    }

    /// <summary>DS.</summary>
    public SegmentState Ds { get => GetSegment(SegmentIndex.Ds); set => SetSegment(SegmentIndex.Ds, value); }

    /// <summary>FS; its base is IA32_FS_BASE.</summary>
    public SegmentState Fs { get => GetSegment(SegmentIndex.Fs); set => SetSegment(SegmentIndex.Fs, value); }

    /// <summary>GS; its base is IA32_GS_BASE.</summary>
    public SegmentState Gs { get => GetSegment(SegmentIndex.Gs); set => SetSegment(SegmentIndex.Gs, value); }

    /// <summary>LDTR.</summary>
    public SegmentState Ldtr { get => GetSegment(SegmentIndex.Ldtr); set => SetSegment(SegmentIndex.Ldtr, value); }

    /// <summary>TR.</summary>
    public SegmentState Tr { get => GetSegment(SegmentIndex.Tr); set => SetSegment(SegmentIndex.Tr, value); }

    /// <summary>GDTR.</summary>
    public DescriptorTable Gdtr
    {
        get
        {
            lock (Access)
            {
                return new DescriptorTable(State->GdtBase, State->GdtLimit);
            }
        }

        set
        {
            lock (Access)
            {
                (State->GdtBase, State->GdtLimit) = (value.Base, value.Limit);
            }
        }
    }

    /// <summary>IDTR.</summary>
    public DescriptorTable Idtr
    {
        get
        {
            lock (Access)
            {
                return new DescriptorTable(State->IdtBase, State->IdtLimit);
            }
        }

        set
        {
            lock (Access)
            {
                (State->IdtBase, State->IdtLimit) = (value.Base, value.Limit);
            }
        }
    }

    /// <summary>CR0 (Intel SDM vol. 3, 2.5). Setting PG with <see cref="Efer"/>.LME set enters long mode.</summary>
    public ulong Cr0
    {
        get => Get<ulong>(static s => &s->Cr0);
        set => SetAndUpdate(static s => &s->Cr0, value);
    }

    /// <summary>CR2: the linear address of the last page fault.</summary>
    public ulong Cr2 { get => Get<ulong>(static s => &s->Cr2); set => Set(static s => &s->Cr2, value); }

    /// <summary>CR3.</summary>
    public ulong Cr3
    {
        get => Get<ulong>(static s => &s->Cr3);
        set => SetAndUpdate(static s => &s->Cr3, value);
    }

    /// <summary>CR4 (Intel SDM vol. 3, 2.5).</summary>
    public ulong Cr4
    {
        get => Get<ulong>(static s => &s->Cr4);
        set => SetAndUpdate(static s => &s->Cr4, value);
    }

    /// <summary>XCR0 (Intel SDM vol. 3, 2.6).</summary>
    public ulong Xcr0
    {
        get => Get<ulong>(static s => &s->Xcr0);
        set
        {
            lock (Access)
            {
                State->Xcr0 = value;
                Mmu.UpdateMode(State);
            }
        }
    }

    /// <summary>IA32_EFER. LMA follows from LME and CR0.PG.</summary>
    public ulong Efer
    {
        get => Get<ulong>(static s => &s->Efer);
        set => SetAndUpdate(static s => &s->Efer, value);
    }

    /// <summary>DR6 (Intel SDM vol. 3, 18.2.3).</summary>
    public ulong Dr6 { get => Get<ulong>(static s => &s->Dr6); set => Set(static s => &s->Dr6, value); }

    /// <summary>DR7 (Intel SDM vol. 3, 18.2.4).</summary>
    public ulong Dr7 { get => Get<ulong>(static s => &s->Dr7); set => Set(static s => &s->Dr7, value); }

    /// <summary>IA32_KERNEL_GS_BASE: what SWAPGS exchanges with the base of GS.</summary>
    public ulong KernelGsBase { get => Get<ulong>(static s => &s->KernelGsBase); set => Set(static s => &s->KernelGsBase, value); }

    private SegmentState GetSegment(SegmentIndex index)
    {
        lock (Access)
        {
            SegmentRegister segment = State->Segments[(int)index];
            return new SegmentState(segment.Selector, segment.Base, segment.Limit, segment.Attributes);
        }
    }

    private void SetSegment(SegmentIndex index, SegmentState value)
    {
        lock (Access)
        {
            State->Segments[(int)index] = new SegmentRegister
            {
                Selector = value.Selector,
                Base = value.Base,
                Limit = value.Limit,
                Attributes = value.Attributes,
            };
            Mmu.UpdateMode(State);
        }
    }

    /// <summary>Sets a register that memory is reached by, and makes the derived state follow.</summary>
    private void SetAndUpdate(CpuState.FieldAddress field, ulong value)
    {
        const ulong paging = 1UL << 31, longModeEnable = 1UL << 8, longModeActive = 1UL << 10;
        lock (Access)
        {
            CpuState* state = State;
            *(ulong*)field(state) = value;
            bool active = (state->Cr0 & paging) != 0 && (state->Efer & longModeEnable) != 0;
            state->Efer = active ? state->Efer | longModeActive : state->Efer & ~longModeActive;
            Mmu.UpdateMode(state);
            Mmu.SwitchAddressSpace(state, keep: false);
            Mmu.FlushAll(state);
        }
    }
}
