using System.Runtime.CompilerServices;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Control;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;
using Cr0Bits = Uml.Core.Cpu.State.Cr0;
using EferBits = Uml.Core.Cpu.State.Efer;

namespace Uml.Core.Cpu;

/// <content>Segments, control and debug registers.</content>
// SAFETY: the state is taken under Access, which whoever frees it, or lets the machine run, waits for; see ProcessorRegisters.State.
public sealed unsafe partial class ProcessorRegisters
{
    /// <summary>ES.</summary>
    /// <exception cref="RegisterValueException">The base has more than 32 bits, or one of bits 11 to 8 of the attributes is set.</exception>
    public SegmentState Es { get => GetSegment(SegmentIndex.Es); set => SetSegment(SegmentIndex.Es, value); }

    /// <summary>CS.</summary>
    /// <exception cref="RegisterValueException">The base has more than 32 bits, or one of bits 11 to 8 of the attributes is set.</exception>
    public SegmentState Cs { get => GetSegment(SegmentIndex.Cs); set => SetSegment(SegmentIndex.Cs, value); }

    /// <summary>SS; its DPL becomes the privilege level, as on a processor.</summary>
    /// <exception cref="RegisterValueException">The base has more than 32 bits, or one of bits 11 to 8 of the attributes is set.</exception>
    public SegmentState Ss { get => GetSegment(SegmentIndex.Ss); set => SetSegment(SegmentIndex.Ss, value); }

    /// <summary>DS.</summary>
    /// <exception cref="RegisterValueException">The base has more than 32 bits, or one of bits 11 to 8 of the attributes is set.</exception>
    public SegmentState Ds { get => GetSegment(SegmentIndex.Ds); set => SetSegment(SegmentIndex.Ds, value); }

    /// <summary>FS; its base is IA32_FS_BASE.</summary>
    /// <exception cref="RegisterValueException">The base is not canonical, or one of bits 11 to 8 of the attributes is set.</exception>
    public SegmentState Fs { get => GetSegment(SegmentIndex.Fs); set => SetSegment(SegmentIndex.Fs, value); }

    /// <summary>GS; its base is IA32_GS_BASE.</summary>
    /// <exception cref="RegisterValueException">The base is not canonical, or one of bits 11 to 8 of the attributes is set.</exception>
    public SegmentState Gs { get => GetSegment(SegmentIndex.Gs); set => SetSegment(SegmentIndex.Gs, value); }

    /// <summary>LDTR.</summary>
    /// <exception cref="RegisterValueException">The base is not canonical, or one of bits 11 to 8 of the attributes is set.</exception>
    public SegmentState Ldtr { get => GetSegment(SegmentIndex.Ldtr); set => SetSegment(SegmentIndex.Ldtr, value); }

    /// <summary>TR.</summary>
    /// <exception cref="RegisterValueException">The base is not canonical, or one of bits 11 to 8 of the attributes is set.</exception>
    public SegmentState Tr { get => GetSegment(SegmentIndex.Tr); set => SetSegment(SegmentIndex.Tr, value); }

    /// <summary>GDTR.</summary>
    /// <exception cref="RegisterValueException">The address is not canonical.</exception>
    public DescriptorTable Gdtr
    {
        get => GetTable(static s => &s->GdtBase, static s => &s->GdtLimit);
        set => SetTable(static s => &s->GdtBase, static s => &s->GdtLimit, value);
    }

    /// <summary>IDTR.</summary>
    /// <exception cref="RegisterValueException">The address is not canonical.</exception>
    public DescriptorTable Idtr
    {
        get => GetTable(static s => &s->IdtBase, static s => &s->IdtLimit);
        set => SetTable(static s => &s->IdtBase, static s => &s->IdtLimit, value);
    }

    /// <summary>
    /// CR0 (Intel SDM vol. 3, 2.5). Setting PG with <see cref="Efer"/>.LME set enters long mode. Reserved bits of the low half are ignored, and ET is
    /// always set.
    /// </summary>
    /// <exception cref="RegisterValueException">One of bits 63 to 32 is set, or PG without PE, or NW without CD.</exception>
    public ulong Cr0
    {
        get => Get<ulong>(static s => &s->Cr0);
        set
        {
            RegisterValueException.ThrowIf(ControlRegisters.CheckCr0(value), value);
            SetAndUpdate(static s => &s->Cr0, ControlRegisters.HeldCr0(value), RegisterRefusal.None);
        }
    }

    /// <summary>CR2: the linear address of the last page fault.</summary>
    public ulong Cr2 { get => Get<ulong>(static s => &s->Cr2); set => Set(static s => &s->Cr2, value); }

    /// <summary>CR3 (Intel SDM vol. 3, 4.5 and 4.10.1). What is in the TLB is forgotten when it is written.</summary>
    /// <exception cref="RegisterValueException">A bit beyond the physical address width is set.</exception>
    public ulong Cr3
    {
        get => Get<ulong>(static s => &s->Cr3);
        set => SetAndUpdate(static s => &s->Cr3, value, ControlRegisters.CheckCr3(value));
    }

    /// <summary>CR4 (Intel SDM vol. 3, 2.5).</summary>
    /// <exception cref="RegisterValueException">A bit is set whose feature the processor does not have.</exception>
    public ulong Cr4
    {
        get => Get<ulong>(static s => &s->Cr4);
        set => SetAndUpdate(static s => &s->Cr4, value, ControlRegisters.CheckCr4(value));
    }

    /// <summary>XCR0 (Intel SDM vol. 3, 2.6).</summary>
    /// <exception cref="RegisterValueException">
    /// Bit 0, x87, is clear, AVX is set without SSE, or a bit is set whose component the CPU model does not have.
    /// </exception>
    public ulong Xcr0
    {
        get => Get<ulong>(static s => &s->Xcr0);
        set
        {
            lock (Access)
            {
                CpuState* state = State;
                RegisterValueException.ThrowIf(StateComponents.IsValidXcr0(state, value) ? RegisterRefusal.None : RegisterRefusal.Components, value);
                state->Xcr0 = value;
                Mmu.UpdateMode(state);
            }
        }
    }

    /// <summary>DR0: the linear address of breakpoint 0 (Intel SDM vol. 3, 18.2.1).</summary>
    public ulong Dr0 { get => Get<ulong>(static s => &s->Dr0); set => Set(static s => &s->Dr0, value); }

    /// <summary>DR1: the linear address of breakpoint 1.</summary>
    public ulong Dr1 { get => Get<ulong>(static s => &s->Dr1); set => Set(static s => &s->Dr1, value); }

    /// <summary>DR2: the linear address of breakpoint 2.</summary>
    public ulong Dr2 { get => Get<ulong>(static s => &s->Dr2); set => Set(static s => &s->Dr2, value); }

    /// <summary>DR3: the linear address of breakpoint 3.</summary>
    public ulong Dr3 { get => Get<ulong>(static s => &s->Dr3); set => Set(static s => &s->Dr3, value); }

    /// <summary>DR6 (Intel SDM vol. 3, 18.2.3). Reserved bits keep their fixed values when written.</summary>
    /// <exception cref="RegisterValueException">One of bits 63 to 32 is set.</exception>
    public ulong Dr6
    {
        get => Get<ulong>(static s => &s->Dr6);
        set
        {
            RegisterValueException.ThrowIf(DebugState.CheckControl(value), value);
            Set(static s => &s->Dr6, DebugState.HeldDr6(value));
        }
    }

    /// <summary>DR7 (Intel SDM vol. 3, 18.2.4): breakpoints that it enables are in force. Reserved bits keep their fixed values when written.</summary>
    /// <exception cref="RegisterValueException">One of bits 63 to 32 is set.</exception>
    public ulong Dr7
    {
        get => Get<ulong>(static s => &s->Dr7);
        set
        {
            RegisterValueException.ThrowIf(DebugState.CheckControl(value), value);
            lock (Access)
            {
                State->Dr7 = DebugState.HeldDr7(value);
                Mmu.UpdateMode(State);
                DebugState.RefreshStepping(State);
            }
        }
    }

    private SegmentState GetSegment(SegmentIndex index)
    {
        lock (Access)
        {
            SegmentRegister segment = State->Segments[(int)index];
            return new SegmentState(segment.Selector, segment.Base, segment.Limit, segment.Attributes);
        }
    }

    private void SetSegment(SegmentIndex index, SegmentState value, [CallerMemberName] string name = "")
    {
        const ushort reserved = 0xF00;

        // Four have room for the upper half of a base (Intel SDM vol. 3, 3.4.4, 3.5.2).
        bool isWide = index is SegmentIndex.Fs or SegmentIndex.Gs or SegmentIndex.Ldtr or SegmentIndex.Tr;
        RegisterRefusal base64 = isWide ? CheckCanonical(value.Base) : value.Base >> 32 != 0 ? RegisterRefusal.ReservedBits : RegisterRefusal.None;
        RegisterValueException.ThrowIf(base64, value.Base, name);
        RegisterValueException.ThrowIf((value.Attributes & reserved) != 0 ? RegisterRefusal.ReservedBits : RegisterRefusal.None, value.Attributes, name);
        lock (Access)
        {
            CpuState* state = State;
            state->Segments[(int)index] = new SegmentRegister
            {
                Selector = value.Selector,
                Base = value.Base,
                Limit = value.Limit,
                Attributes = value.Attributes,
            };
            if (index == SegmentIndex.Ss)
            {
                state->Cpl = (byte)state->Segments[(int)index].Dpl;
            }

            Mmu.UpdateMode(state);
        }
    }

    private DescriptorTable GetTable(CpuState.FieldAddress address, CpuState.FieldAddress limit)
    {
        lock (Access)
        {
            return new DescriptorTable(*(ulong*)address(State), *(ushort*)limit(State));
        }
    }

    private void SetTable(CpuState.FieldAddress address, CpuState.FieldAddress limit, DescriptorTable value, [CallerMemberName] string name = "")
    {
        RegisterValueException.ThrowIf(CheckCanonical(value.Base), value.Base, name);
        lock (Access)
        {
            *(ulong*)address(State) = value.Base;
            *(ushort*)limit(State) = value.Limit;
        }
    }

    private static RegisterRefusal CheckCanonical(ulong address) => Canonical.Is(address) ? RegisterRefusal.None : RegisterRefusal.NotCanonical;

    /// <summary>Sets a register that memory is reached by, and makes the derived state follow.</summary>
    private void SetAndUpdate(CpuState.FieldAddress field, ulong value, RegisterRefusal refusal, [CallerMemberName] string name = "")
    {
        RegisterValueException.ThrowIf(refusal, value, name);
        lock (Access)
        {
            CpuState* state = State;
            *(ulong*)field(state) = value;
            bool active = (state->Cr0 & Cr0Bits.PG) != 0 && (state->Efer & EferBits.LME) != 0;
            state->Efer = active ? state->Efer | EferBits.LMA : state->Efer & ~EferBits.LMA;
            Mmu.UpdateMode(state);
            Mmu.SwitchAddressSpace(state, keep: false);
            Mmu.FlushAll(state);
        }
    }
}
