using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.Segments;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interrupts;

/// <summary>SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS, as Intel processors do them (Intel SDM vol. 2; vol. 3, 5.8.7 and 5.8.8).</summary>
// SAFETY: handlers: the handler contract (Op). Registers by constants; return addresses are canonical before they become RIP.
internal static unsafe class SyscallHandlers
{
    // Flat, accessed segments: the fixed values that these instructions load into the descriptor caches.
    private const ushort Code64 = 0xA09B, Code32 = 0xC09B, Data32 = 0xC093, Dpl3 = 3 << 5;

    /// <summary>SYSCALL: 64-bit mode only.</summary>
    public static Op* Syscall(CpuState* s, Op* op)
    {
        if ((s->Mode & CpuMode.Long64) == 0 || (s->Efer & Efer.SCE) == 0)
        {
            return Raise.UD(s);
        }

        s->Gpr[Gpr.Rcx] = Flow.Next(s, op);
        ulong flags = Flags.Get(s);
        s->Gpr[Gpr.R11] = flags & ~(ulong)Flags.RF;
        Flags.Set(s, flags & ~(s->SfMask | Flags.RF));
        var selector = (ushort)((s->Star >> 32) & DescriptorTables.ErrorMask);
        Enter(s, selector, (ushort)(selector + 8), Code64, 0, s->LStar);

        // The trap of SYSCALL itself depends on TF after it was masked.
        s->Engine->StepTrap &= (s->SystemFlags & Flags.TF) != 0;
        return Finish(s);
    }

    /// <summary>SYSRET to 64-bit code. A non-canonical return address faults before anything is changed, at CPL 0.</summary>
    public static Op* Sysret64(CpuState* s, Op* op)
    {
        if (!MayReturn(s))
        {
            return null;
        }

        if (!Canonical.Is(s->Gpr[Gpr.Rcx]))
        {
            return Raise.GP(s);
        }

        var selector = (ushort)(s->Star >> 48);
        return SysretTo(s, (ushort)(selector + 16), (ushort)(selector + 8), Code64, s->Gpr[Gpr.Rcx]);
    }

    /// <summary>SYSRET to compatibility mode.</summary>
    public static Op* Sysret32(CpuState* s, Op* op)
    {
        if (!MayReturn(s))
        {
            return null;
        }

        var selector = (ushort)(s->Star >> 48);
        return SysretTo(s, selector, (ushort)(selector + 8), Code32, (uint)s->Gpr[Gpr.Rcx]);
    }

    private static Op* SysretTo(CpuState* s, ushort cs, ushort ss, ushort code, ulong rip)
    {
        // Intel SDM vol. 2, SYSRET: RFLAGS := (R11 & 3C7FD7H) | 2.
        Flags.Set(s, s->Gpr[Gpr.R11] & 0x3C7FD7);
        Enter(s, (ushort)(cs | 3), (ushort)(ss | 3), code, 3, rip);
        return Finish(s);
    }

    private static bool MayReturn(CpuState* s)
    {
        if ((s->Mode & CpuMode.Long64) == 0 || (s->Efer & Efer.SCE) == 0)
        {
            Raise.UD(s);
            return false;
        }

        return s->Cpl == 0 || Fault.FailGP(s);
    }

    /// <summary>SYSENTER.</summary>
    public static Op* Sysenter(CpuState* s, Op* op)
    {
        if ((s->Mode & CpuMode.Protected) == 0 || (s->SysenterCs & DescriptorTables.ErrorMask) == 0)
        {
            return Raise.GP(s);
        }

        bool isLong = (s->Mode & CpuMode.LongActive) != 0;
        s->SystemFlags &= ~(ulong)(Flags.VM | Flags.IF);
        s->Gpr[Gpr.Rsp] = isLong ? s->SysenterEsp : (uint)s->SysenterEsp;
        var cs = (ushort)(s->SysenterCs & DescriptorTables.ErrorMask);
        Enter(s, cs, (ushort)(cs + 8), isLong ? Code64 : Code32, 0, isLong ? s->SysenterEip : (uint)s->SysenterEip);
        return Finish(s);
    }

    /// <summary>SYSEXIT to 32-bit code.</summary>
    public static Op* Sysexit32(CpuState* s, Op* op)
    {
        if (!MayExit(s))
        {
            return null;
        }

        s->Gpr[Gpr.Rsp] = (uint)s->Gpr[Gpr.Rcx];
        Enter(s, (ushort)((s->SysenterCs + 16) | 3), (ushort)((s->SysenterCs + 24) | 3), Code32, 3, (uint)s->Gpr[Gpr.Rdx]);
        return Finish(s);
    }

    /// <summary>SYSEXIT to 64-bit code.</summary>
    public static Op* Sysexit64(CpuState* s, Op* op)
    {
        if (!MayExit(s))
        {
            return null;
        }

        if (!Canonical.Is(s->Gpr[Gpr.Rcx]) || !Canonical.Is(s->Gpr[Gpr.Rdx]))
        {
            return Raise.GP(s);
        }

        s->Gpr[Gpr.Rsp] = s->Gpr[Gpr.Rcx];
        Enter(s, (ushort)((s->SysenterCs + 32) | 3), (ushort)((s->SysenterCs + 40) | 3), Code64, 3, s->Gpr[Gpr.Rdx]);
        return Finish(s);
    }

    private static bool MayExit(CpuState* s)
    {
        bool allowed = (s->Mode & CpuMode.Protected) != 0 && s->Cpl == 0 && (s->SysenterCs & DescriptorTables.ErrorMask) != 0;
        return allowed || Fault.FailGP(s);
    }

    /// <summary>SWAPGS.</summary>
    public static Op* SwapGs(CpuState* s, Op* op)
    {
        if ((s->Mode & CpuMode.Long64) == 0)
        {
            return Raise.UD(s);
        }

        if (s->Cpl != 0)
        {
            return Raise.GP(s);
        }

        ref SegmentRegister gs = ref s->Segments[(int)SegmentIndex.Gs];
        (gs.Base, s->KernelGsBase) = (s->KernelGsBase, gs.Base);
        return op + 1;
    }

    private static void Enter(CpuState* s, ushort cs, ushort ss, ushort code, int cpl, ulong rip)
    {
        ushort dpl = cpl == 3 ? Dpl3 : (ushort)0;
        s->Segments[(int)SegmentIndex.Cs] = Flat(cs, (ushort)(code | dpl));
        s->Segments[(int)SegmentIndex.Ss] = Flat(ss, (ushort)(Data32 | dpl));
        s->Cpl = (byte)cpl;
        s->Rip = rip;
    }

    private static SegmentRegister Flat(ushort selector, ushort attributes) =>
        new() { Limit = uint.MaxValue, Selector = selector, Attributes = attributes };

    private static Op* Finish(CpuState* s)
    {
        Mmu.UpdateMode(s);
        DebugState.RefreshStepping(s);
        return BlockExit.Continue(s);
    }
}
