namespace Uml.Core.Cpu.Contract;

/// <summary>How an instruction is translated.</summary>
internal enum Form : byte
{
    /// <summary>By a call of the interpreter's handler.</summary>
    Handler,

    /// <summary>No effect.</summary>
    Nothing,

    /// <summary>By the same instruction, with registers and the memory operand replaced.</summary>
    Plain,
    Lea,
    Push,
    PushImmediate,
    PushMemory,
    PushFlags,
    Pop,
    LeaveFrame,
    Divide,

    /// <summary>FLDCW, unless it unmasks an exception.</summary>
    LoadControlWord,
    Jump,
    JumpIf,
    Call,
    ClearInterrupt,
    SetInterrupt,
    SwapGs,
    ReadSegment,

    /// <summary>RDTSC and RDTSCP, from the host's time-stamp counter.</summary>
    TimeStamp,
    BitTest,
    StringMove,
    StringStore,
    JumpIndirect,
    CallIndirect,
    Return,
}

/// <summary>What a memory operand is used for.</summary>
internal enum OperandUse : byte { None, Read, Write, Update }
