using Uml.Core.Cpu.Blocks;

namespace Uml.Core.Cpu.State;

/// <summary>Exception vectors (Intel SDM vol. 3, table 6-1).</summary>
internal static class ExceptionVector
{
    public const byte DE = 0, DB = 1, NMI = 2, BP = 3, OF = 4, BR = 5, UD = 6, NM = 7, DF = 8, TS = 10, NP = 11, SS = 12, GP = 13,
        PF = 14, MF = 16, AC = 17, MC = 18, XM = 19;
}

/// <summary>
/// Raises exceptions: records one in the CPU state for the engine to deliver. Nothing unwinds: a handler returns what these return,
/// a helper that can fault returns false.
/// </summary>
internal static unsafe class Fault
{
    /// <summary>Records an exception without error code at the current instruction.</summary>
    public static Op* Raise(CpuState* s, byte vector)
    {
        s->ExceptionVector = vector;
        s->ExceptionHasError = false;
        s->ExceptionError = 0;
        s->Exit = ExitCode.Exception;
        return null;
    }

    /// <summary>Records an exception with error code at the current instruction.</summary>
    public static Op* Raise(CpuState* s, byte vector, uint errorCode)
    {
        s->ExceptionVector = vector;
        s->ExceptionHasError = true;
        s->ExceptionError = errorCode;
        s->Exit = ExitCode.Exception;
        return null;
    }

    public static Op* UD(CpuState* s) => Raise(s, ExceptionVector.UD);

    public static Op* NM(CpuState* s) => Raise(s, ExceptionVector.NM);

    public static Op* GP(CpuState* s, uint errorCode = 0) => Raise(s, ExceptionVector.GP, errorCode);

    /// <summary>As <see cref="GP"/>, for helpers whose callers expect a success flag.</summary>
    public static bool FailGP(CpuState* s, uint errorCode = 0)
    {
        GP(s, errorCode);
        return false;
    }

    /// <summary>Records an exception with error code; always false.</summary>
    public static bool Fail(CpuState* s, byte vector, uint errorCode)
    {
        Raise(s, vector, errorCode);
        return false;
    }
}
