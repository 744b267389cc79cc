namespace Uml.Core.Cpu.State;

/// <summary>Exception vectors (Intel SDM vol. 3, table 6-1).</summary>
internal static class ExceptionVector
{
    public const byte DE = 0, DB = 1, NMI = 2, BP = 3, OF = 4, BR = 5, UD = 6, NM = 7, DF = 8, TS = 10, NP = 11, SS = 12, GP = 13,
        PF = 14, MF = 16, AC = 17, MC = 18, XM = 19;
}

/// <summary>
/// Records exceptions in the CPU's memory, which the engine's loop delivers. Nothing unwinds: a helper that can fault returns the result of
/// these methods, which is always false.
/// </summary>
// SAFETY: s is a live processor's state (the handler contract, see Op); only its engine's fields are touched.
internal static unsafe class Fault
{
    /// <summary>Records an exception without error code at the current instruction.</summary>
    public static bool Fail(CpuState* s, byte vector) => Record(s, vector, hasError: false, 0);

    /// <summary>Records an exception with error code at the current instruction.</summary>
    public static bool Fail(CpuState* s, byte vector, uint errorCode) => Record(s, vector, hasError: true, errorCode);

    /// <summary>Records #GP.</summary>
    public static bool FailGP(CpuState* s, uint errorCode = 0) => Fail(s, ExceptionVector.GP, errorCode);

    private static bool Record(CpuState* s, byte vector, bool hasError, uint errorCode)
    {
        EngineState* engine = s->Engine;
        engine->ExceptionVector = vector;
        engine->ExceptionHasError = hasError;
        engine->ExceptionError = errorCode;
        engine->Exit = ExitCode.Exception;
        return false;
    }
}
