namespace Uml.Core.Cpu.Semantics.Float;

/// <summary>Rounding modes in the encoding that MXCSR.RC, the x87 control word's RC and the ROUNDSS immediate share (SDM vol. 1, 4.8.4).</summary>
internal enum FloatRounding
{
    Nearest = 0,
    Down = 1,
    Up = 2,
    Zero = 3,
}

/// <summary>The six exception bits, in the order MXCSR and the x87 status word share (SDM vol. 1, 4.9.1).</summary>
internal static class FloatFlags
{
    public const int Invalid = 0x01;
    public const int Denormal = 0x02;
    public const int ZeroDivide = 0x04;
    public const int Overflow = 0x08;
    public const int Underflow = 0x10;
    public const int Precision = 0x20;

    /// <summary>Exceptions of the operands (pre-computation exceptions, SDM vol. 1, 4.9.2).</summary>
    public const int PreComputation = Invalid | Denormal | ZeroDivide;

    public const int All = 0x3F;
}

/// <summary>Outcome of comparing two numbers.</summary>
internal enum FloatRelation
{
    Less,
    Equal,
    Greater,
    Unordered,
}

/// <summary>The environment one operation runs in, and the flags that it leaves behind.</summary>
internal struct FloatContext
{
    /// <summary>Exceptions raised so far, masked or not (<see cref="FloatFlags"/>).</summary>
    public int Flags;

    /// <summary>A set bit masks the exception, in <see cref="FloatFlags"/> order.</summary>
    public int Masks;

    public FloatRounding Rounding;

    /// <summary>Significand bits kept when the destination is an x87 register: 24, 53 or 64.</summary>
    public int Precision;

    public bool FlushToZero;

    public bool DenormalsAreZero;

    /// <summary>Selects the x87 rule for choosing between two NaNs.</summary>
    public bool X87;

    /// <summary>The magnitude of the last rounded result was increased; x87 reports this in C1.</summary>
    public bool RoundedUp;

    public static FloatContext FromMxcsr(uint mxcsr) => new()
    {
        Masks = (int)(mxcsr >> 7) & FloatFlags.All,
        Rounding = (FloatRounding)((mxcsr >> 13) & 3),
        FlushToZero = (mxcsr & 0x8000) != 0,
        DenormalsAreZero = (mxcsr & 0x40) != 0,
    };

    /// <summary>Reads masks and rounding; the few instructions that precision control applies to call <see cref="PrecisionOf"/>.</summary>
    public static FloatContext FromControlWord(ushort controlWord) => new()
    {
        Masks = controlWord & FloatFlags.All,
        Rounding = (FloatRounding)((controlWord >> 10) & 3),
        Precision = 64,
        X87 = true,
    };

    /// <summary>Significand bits selected by the control word's PC field (SDM vol. 1, 8.1.5.2; the reserved encoding 01 acts as extended).</summary>
    public static int PrecisionOf(ushort controlWord) => ((controlWord >> 8) & 3) switch
    {
        0 => 24,
        2 => 53,
        _ => 64,
    };

    public readonly bool IsMasked(int flag) => (Masks & flag) != 0;
}
