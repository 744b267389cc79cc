using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Access;

/// <summary>
/// When x87, MMX and SSE instructions may run (Intel SDM vol. 3, 2.5 and table 13-1). What depends on control registers alone is part
/// of the block mode, so that an ordinary handler needs no check: the binder picks one of the handlers here instead.
/// </summary>
// SAFETY: handlers: the handler contract (Op); only the state is read.
internal static unsafe class Enablement
{
    /// <summary>In place of an SSE instruction that may not run.</summary>
    public static Op* RaiseVectorDisabled(CpuState* s, Op* op) =>
        (s->Cr0 & Cr0.EM) != 0 || (s->Cr4 & Cr4.OSFXSR) == 0 ? Raise.UD(s) : Raise.NM(s);

    /// <summary>
    /// In place of an AVX instruction that may not run: #UD unless the system has enabled the state, then #NM (Intel SDM vol. 2, 2.4,
    /// exception types of VEX-encoded instructions). CR0.EM and CR4.OSFXSR do not matter.
    /// </summary>
    public static Op* RaiseAvxDisabled(CpuState* s, Op* op) => VectorModes.IsAvxEnabled(s) ? Raise.NM(s) : Raise.UD(s);

    /// <summary>In place of an MMX instruction that may not run.</summary>
    public static Op* RaiseMmxDisabled(CpuState* s, Op* op) => (s->Cr0 & Cr0.EM) != 0 ? Raise.UD(s) : Raise.NM(s);

    /// <summary>In place of an x87 instruction that may not run.</summary>
    public static Op* RaiseX87Disabled(CpuState* s, Op* op) => Raise.NM(s);

    /// <summary>
    /// Whether the next waiting x87 or MMX instruction has to raise an unmasked x87 exception. Without CR0.NE it would be signalled on
    /// FERR#, which is not connected: it is ignored then, as if IGNNE# were asserted.
    /// </summary>
    public static bool IsX87ErrorPending(CpuState* s) => s->X87.HasPendingException && (s->Cr0 & Cr0.NE) != 0;

    /// <summary>Raises the pending x87 exception.</summary>
    public static Op* RaiseX87Error(CpuState* s) => Raise.Exception(s, ExceptionVector.MF);

    /// <summary>Raises an unmasked SSE floating-point exception (Intel SDM vol. 3, 6.15, interrupt 19).</summary>
    public static Op* RaiseSimdError(CpuState* s) => (s->Cr4 & Cr4.OSXMMEXCPT) != 0 ? Raise.Exception(s, ExceptionVector.XM) : Raise.UD(s);

    /// <summary>WAIT: the one x87 instruction that CR0.EM leaves alone and CR0.MP puts under CR0.TS.</summary>
    public static Op* Wait(CpuState* s, Op* op)
    {
        if ((s->Cr0 & (Cr0.MP | Cr0.TS)) == (Cr0.MP | Cr0.TS))
        {
            return Raise.NM(s);
        }

        return IsX87ErrorPending(s) ? RaiseX87Error(s) : op + 1;
    }

    /// <summary>Checks for FXSAVE and FXRSTOR: #NM under CR0.EM or CR0.TS.</summary>
    public static bool FxsaveAllowed(CpuState* s) => (s->Cr0 & (Cr0.EM | Cr0.TS)) == 0 || Refuse(s, ExceptionVector.NM);

    /// <summary>Checks for XGETBV and XSETBV: #UD without CR4.OSXSAVE.</summary>
    public static bool XcrAllowed(CpuState* s) => (s->Cr4 & Cr4.OSXSAVE) != 0 || Refuse(s, ExceptionVector.UD);

    /// <summary>Checks for the XSAVE family: #UD without CR4.OSXSAVE, #NM under CR0.TS.</summary>
    public static bool XsaveAllowed(CpuState* s) => XcrAllowed(s) && ((s->Cr0 & Cr0.TS) == 0 || Refuse(s, ExceptionVector.NM));

    private static bool Refuse(CpuState* s, byte vector)
    {
        Raise.Exception(s, vector);
        return false;
    }
}
