namespace Uml.Differential.Tests.Comparison;

/// <summary>What may differ between two engines after a case.</summary>
internal struct Tolerance
{
    public uint UndefinedFlags;
    public ushort UndefinedStatusWord;

    /// <summary>Single-precision lanes of XMM registers may be off by this, relatively (RCPPS, RSQRTPS: Intel SDM vol. 2 allows 1.5 * 2^-12 each).</summary>
    public float XmmRelative;

    /// <summary>x87 registers may be off by this many units in the last place (transcendental instructions: Intel SDM vol. 1, 8.3.10).</summary>
    public ulong X87UnitsInLastPlace;

    /// <summary>
    /// Ranges of bytes of the memory operand that are not compared: FPU pointers, which AMD's processors save only on exceptions, and
    /// FXSAVE's MXCSR_MASK, which tells their misaligned mode.
    /// </summary>
    public (int From, int To)[]? IgnoredStore;

    /// <summary>
    /// The operand is accessed in pieces whose order processors do not promise: CR2 may be any of its bytes.
    /// </summary>
    public bool AnyFaultAddress;

    /// <summary>It has two memory operands, and processors differ in which of them faults first when both do.</summary>
    public bool AnyFault;

    /// <summary>General registers the instruction loads may hold what was read before a fault: POPA is restartable all the same.</summary>
    public bool PartialOnFault;

    /// <summary>What either of two tolerates.</summary>
    public static Tolerance operator |(in Tolerance left, in Tolerance right) => new()
    {
        UndefinedFlags = left.UndefinedFlags | right.UndefinedFlags,
        UndefinedStatusWord = (ushort)(left.UndefinedStatusWord | right.UndefinedStatusWord),
        XmmRelative = Math.Max(left.XmmRelative, right.XmmRelative),
        X87UnitsInLastPlace = Math.Max(left.X87UnitsInLastPlace, right.X87UnitsInLastPlace),
        IgnoredStore = left.IgnoredStore ?? right.IgnoredStore,
        AnyFaultAddress = left.AnyFaultAddress || right.AnyFaultAddress,
        AnyFault = left.AnyFault || right.AnyFault,
        PartialOnFault = left.PartialOnFault || right.PartialOnFault,
    };
}
