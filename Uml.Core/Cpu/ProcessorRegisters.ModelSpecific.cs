using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu;

/// <content>Model-specific registers that have a name here; the rest is reached through <see cref="Msr"/>.</content>
// SAFETY: the state is taken under Access, which whoever frees it, or lets the machine run, waits for; see ProcessorRegisters.State.
public sealed unsafe partial class ProcessorRegisters
{
    /// <summary>Model-specific registers by number, MTRRs among them.</summary>
    public MsrRegisters Msr { get; }

    /// <summary>IA32_EFER (Intel SDM vol. 3, 2.2.1). LMA follows from LME and CR0.PG, whatever is written.</summary>
    /// <exception cref="RegisterValueException">A bit other than SCE, LME, LMA and NXE is set.</exception>
    public ulong Efer
    {
        get => Get<ulong>(static s => &s->Efer);
        set => SetAndUpdate(static s => &s->Efer, value, Control.ModelSpecificRegisters.CheckEfer(value));
    }

    /// <summary>IA32_STAR: selectors of SYSCALL and SYSRET (Intel SDM vol. 3, 6.8.8).</summary>
    public ulong Star { get => Msr[MsrNumber.Star]; set => Msr.Write(MsrNumber.Star, value); }

    /// <summary>IA32_LSTAR: where SYSCALL goes in 64-bit mode.</summary>
    /// <exception cref="RegisterValueException">The address is not canonical.</exception>
    public ulong LStar { get => Msr[MsrNumber.LStar]; set => Msr.Write(MsrNumber.LStar, value); }

    /// <summary>IA32_CSTAR, which nothing uses: SYSCALL of compatibility mode is AMD's.</summary>
    /// <exception cref="RegisterValueException">The address is not canonical.</exception>
    public ulong CStar { get => Msr[MsrNumber.CStar]; set => Msr.Write(MsrNumber.CStar, value); }

    /// <summary>IA32_FMASK: flags that SYSCALL clears.</summary>
    /// <exception cref="RegisterValueException">One of bits 63 to 32 is set.</exception>
    public ulong FMask { get => Msr[MsrNumber.FMask]; set => Msr.Write(MsrNumber.FMask, value); }

    /// <summary>IA32_KERNEL_GS_BASE: what SWAPGS exchanges with the base of GS.</summary>
    /// <exception cref="RegisterValueException">The address is not canonical.</exception>
    public ulong KernelGsBase { get => Msr[MsrNumber.KernelGsBase]; set => Msr.Write(MsrNumber.KernelGsBase, value); }

    /// <summary>IA32_SYSENTER_CS (Intel SDM vol. 3, 6.8.7). It has 32 bits; more are dropped, as by WRMSR.</summary>
    public ulong SysenterCs { get => Msr[MsrNumber.SysenterCs]; set => Msr.Write(MsrNumber.SysenterCs, value); }

    /// <summary>IA32_SYSENTER_ESP: the stack pointer that SYSENTER loads.</summary>
    /// <exception cref="RegisterValueException">The address is not canonical.</exception>
    public ulong SysenterEsp { get => Msr[MsrNumber.SysenterEsp]; set => Msr.Write(MsrNumber.SysenterEsp, value); }

    /// <summary>IA32_SYSENTER_EIP: where SYSENTER goes.</summary>
    /// <exception cref="RegisterValueException">The address is not canonical.</exception>
    public ulong SysenterEip { get => Msr[MsrNumber.SysenterEip]; set => Msr.Write(MsrNumber.SysenterEip, value); }

    /// <summary>IA32_PAT: eight memory types (Intel SDM vol. 3, 13.12.2). They change nothing, as memory is coherent here.</summary>
    /// <exception cref="RegisterValueException">A byte is none of 0, 1, 4, 5, 6 and 7.</exception>
    public ulong Pat { get => Msr[MsrNumber.Pat]; set => Msr.Write(MsrNumber.Pat, value); }

    /// <summary>
    /// IA32_TIME_STAMP_COUNTER (Intel SDM vol. 3, 18.17): guest time plus <see cref="TscAdjust"/>, which is what writing it changes. It stands still
    /// while the machine is paused.
    /// </summary>
    public ulong TimeStampCounter { get => Msr[MsrNumber.TimeStampCounter]; set => Msr.Write(MsrNumber.TimeStampCounter, value); }

    /// <summary>IA32_TSC_ADJUST (Intel SDM vol. 3, 18.17.3): what the guest has added to its time-stamp counter.</summary>
    public ulong TscAdjust { get => Msr[MsrNumber.TscAdjust]; set => Msr.Write(MsrNumber.TscAdjust, value); }

    /// <summary>IA32_TSC_AUX: what RDTSCP and RDPID read.</summary>
    /// <exception cref="RegisterValueException">One of bits 63 to 32 is set.</exception>
    public ulong TscAux { get => Msr[MsrNumber.TscAux]; set => Msr.Write(MsrNumber.TscAux, value); }

    /// <summary>IA32_MISC_ENABLE: bit 0, fast strings, can be switched; writing leaves the others as they are, as by WRMSR.</summary>
    public ulong MiscEnable { get => Msr[MsrNumber.MiscEnable]; set => Msr.Write(MsrNumber.MiscEnable, value); }

    /// <summary>IA32_DEBUGCTL (Intel SDM vol. 3, 18.4.1): LBR and BTF are kept, without effect.</summary>
    /// <exception cref="RegisterValueException">Another bit is set.</exception>
    public ulong DebugControl { get => Msr[MsrNumber.DebugCtl]; set => Msr.Write(MsrNumber.DebugCtl, value); }

    /// <summary>IA32_MCG_STATUS (Intel SDM vol. 3, 16.3.1.2), bits 2 to 0.</summary>
    /// <exception cref="RegisterValueException">Another bit is set.</exception>
    public ulong MachineCheckStatus { get => Msr[MsrNumber.McgStatus]; set => Msr.Write(MsrNumber.McgStatus, value); }
}
