using Uml.Core.Bus;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Control;

/// <summary>CPUID, time stamps, random numbers, hypercalls, cache control.</summary>
// SAFETY: handlers: the handler contract (Op). Registers by constants; answers of CPUID are values.
internal static unsafe class MiscSystemHandlers
{
    /// <summary>CPUID.</summary>
    public static Op* Cpuid(CpuState* s, Op* op)
    {
        CpuidValues values = SystemUnit.Of(s).QueryCpuid((uint)s->Gpr[Gpr.Rax], (uint)s->Gpr[Gpr.Rcx]);
        s->Gpr[Gpr.Rax] = values.Eax;
        s->Gpr[Gpr.Rbx] = values.Ebx;
        s->Gpr[Gpr.Rcx] = values.Ecx;
        s->Gpr[Gpr.Rdx] = values.Edx;
        return op + 1;
    }

    /// <summary>RDTSC.</summary>
    public static Op* ReadTimeStamp(CpuState* s, Op* op)
    {
        if (s->Cpl != 0 && (s->Cr4 & Cr4.TSD) != 0)
        {
            return Raise.GP(s);
        }

        ulong tsc = SystemUnit.Of(s).ReadTsc();
        s->Gpr[Gpr.Rax] = (uint)tsc;
        s->Gpr[Gpr.Rdx] = tsc >> 32;
        return op + 1;
    }

    /// <summary>RDTSCP.</summary>
    public static Op* ReadTimeStampAndProcessor(CpuState* s, Op* op)
    {
        Op* next = ReadTimeStamp(s, op);
        if (next != null)
        {
            s->Gpr[Gpr.Rcx] = (uint)s->TscAux;
        }

        return next;
    }

    /// <summary>RDPID.</summary>
    public static Op* ReadProcessorId<T>(CpuState* s, Op* op) where T : unmanaged
    {
        Operand.Set<T>(s, op->R0, s->TscAux);
        return op + 1;
    }

    /// <summary>RDPMC: there are no counters to select.</summary>
    public static Op* ReadCounter(CpuState* s, Op* op) => Raise.GP(s);

    /// <summary>RDRAND, RDSEED: always ready.</summary>
    public static Op* Random<T>(CpuState* s, Op* op) where T : unmanaged
    {
        Operand.Set<T>(s, op->R0, SystemUnit.Of(s).Entropy.Next());
        Flags.SetStatus(s, Flags.CF);
        return op + 1;
    }

    /// <summary>
    /// VMCALL and VMMCALL as KVM answers them (Linux, Documentation/virt/kvm/x86/hypercalls.rst): no call is offered, -KVM_ENOSYS; not
    /// from CPL 0, -KVM_EPERM.
    /// </summary>
    public static Op* Hypercall(CpuState* s, Op* op)
    {
        long result = s->Cpl == 0 ? -1000 : -1;
        s->Gpr[Gpr.Rax] = (s->Mode & CpuMode.Long64) != 0 ? (ulong)result : (uint)result;
        return op + 1;
    }

    /// <summary>WBINVD, INVD: the host's caches are coherent.</summary>
    public static Op* WriteBackCaches(CpuState* s, Op* op) => s->Cpl != 0 ? Raise.GP(s) : op + 1;

    /// <summary>CLFLUSH, CLFLUSHOPT, CLWB: fault as a load of the byte would.</summary>
    public static Op* FlushLine(CpuState* s, Op* op) => Operand.Load(s, op, out byte _) ? op + 1 : null;
}
