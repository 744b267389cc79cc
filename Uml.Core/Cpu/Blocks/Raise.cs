using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Blocks;

/// <summary>
/// How a handler raises an exception: each method here records it by <see cref="Fault"/> and returns null, which the handler returns.
/// </summary>
// SAFETY: handlers: the handler contract (Op); only the state is touched.
internal static unsafe class Raise
{
    /// <summary>An exception without error code.</summary>
    public static Op* Exception(CpuState* s, byte vector)
    {
        Fault.Fail(s, vector);
        return null;
    }

    /// <summary>An exception with error code.</summary>
    public static Op* Exception(CpuState* s, byte vector, uint errorCode)
    {
        Fault.Fail(s, vector, errorCode);
        return null;
    }

    public static Op* UD(CpuState* s) => Exception(s, ExceptionVector.UD);

    public static Op* NM(CpuState* s) => Exception(s, ExceptionVector.NM);

    public static Op* GP(CpuState* s, uint errorCode = 0) => Exception(s, ExceptionVector.GP, errorCode);

    /// <summary>The handler of invalid opcodes, and of UD0, UD1 and UD2.</summary>
    public static Op* Undefined(CpuState* s, Op* op) => UD(s);

    /// <summary>The handler of an instruction longer than 15 bytes (Intel SDM vol. 3, 6.15, #GP).</summary>
    public static Op* TooLong(CpuState* s, Op* op) => GP(s);
}
