using Uml.Core.Cpu.Semantics.Float;

namespace Uml.Core.Tests.Cpu.Semantics;

/// <summary>Rules of the architecture that hold on every host; agreement with real processors is tested by Uml.Differential.Tests.</summary>
public sealed class SoftFloatTests
{
    private const uint QuietNaN = 0x7FC1_2345;
    private const uint SignalingNaN = 0x7F81_2345;
    private const uint Infinity = 0x7F80_0000;
    private const uint One = 0x3F80_0000;
    private const uint MaxFinite = 0x7F7F_FFFF;
    private const uint MinNormal = 0x0080_0000;

    private static ReadOnlySpan<uint> Edges =>
    [
        0, 0x8000_0000, 1, 0x8000_0001, 0x007F_FFFF, MinNormal, 0x8080_0001, One, 0xBF80_0000, 0x3F80_0001, 0x3F7F_FFFF, 0x4049_0FDB,
        0x4B00_0001, 0x4F00_0000, 0x5F80_0000, MaxFinite, 0xFF7F_FFFF, Infinity, 0xFF80_0000, QuietNaN, 0xFFC0_0000,
    ];

    [Test]
    public void Soft_arithmetic_equals_the_hosts_for_every_pair_of_edge_values()
    {
        foreach (uint a in Edges)
        {
            foreach (uint b in Edges)
            {
                float x = BitConverter.UInt32BitsToSingle(a);
                float y = BitConverter.UInt32BitsToSingle(b);
                AssertSame(x + y, SoftFloat.Add<Format32, uint>, a, b, "+");
                AssertSame(x - y, SoftFloat.Subtract<Format32, uint>, a, b, "-");
                AssertSame(x * y, SoftFloat.Multiply<Format32, uint>, a, b, "*");
                AssertSame(x / y, SoftFloat.Divide<Format32, uint>, a, b, "/");
            }
        }
    }

    [Test]
    public void Soft_square_root_equals_the_hosts_for_random_doubles()
    {
        var random = new Random(20);
        for (int i = 0; i < 2000; i++)
        {
            double x = BitConverter.Int64BitsToDouble(random.NextInt64());
            FloatContext context = Masked();
            ulong root = SoftFloat.SquareRoot<Format64, ulong>(BitConverter.DoubleToUInt64Bits(x), ref context);
            if (!double.IsNaN(x))
            {
                Assert.That(root, Is.EqualTo(BitConverter.DoubleToUInt64Bits(Math.Sqrt(x))), $"sqrt({x:R})");
            }
        }
    }

    [TestCase(QuietNaN, One, QuietNaN, 0)]
    [TestCase(One, QuietNaN, QuietNaN, 0)]
    [TestCase(SignalingNaN, 0xFFC5_5555u, 0x7FC1_2345u, FloatFlags.Invalid)]
    [TestCase(0xFFC5_5555u, SignalingNaN, 0xFFC5_5555u, FloatFlags.Invalid)]
    [TestCase(1u, QuietNaN, QuietNaN, 0)]
    public void Sse_delivers_the_first_operands_NaN(uint left, uint right, uint expected, int flags)
    {
        FloatContext context = Masked();
        Assert.That(SoftFloat.Add<Format32, uint>(left, right, ref context), Is.EqualTo(expected));
        Assert.That(context.Flags, Is.EqualTo(flags));
    }

    [Test]
    public void The_x87_delivers_the_NaN_with_the_larger_significand()
    {
        var small = new Float80(0xFFFF, 0xC000_0000_0000_0001);
        var large = new Float80(0x7FFF, 0xC000_0000_0000_0002);
        FloatContext context = FloatContext.FromControlWord(0x037F);
        Assert.That(SoftFloat.Add<Format80, Float80>(small, large, ref context), Is.EqualTo(large));
        Assert.That(SoftFloat.Add<Format80, Float80>(large, small, ref context), Is.EqualTo(large));
        Assert.That(context.Flags, Is.Zero);
    }

    [Test]
    public void An_unnormal_is_an_invalid_operand()
    {
        FloatContext context = FloatContext.FromControlWord(0x037F);
        Float80 result = SoftFloat.Multiply<Format80, Float80>(new(0x4000, 1), new(0x3FFF, 1UL << 63), ref context);
        Assert.That(result, Is.EqualTo(Float80.Indefinite));
        Assert.That(context.Flags, Is.EqualTo(FloatFlags.Invalid));
    }

    [Test]
    public void Tininess_is_detected_after_rounding()
    {
        // The exact value rounds up to the smallest normal with 24 bits and an unlimited exponent, so it is not tiny.
        FloatContext context = Masked();
        uint result = SoftFloat.Convert<Format64, ulong, Format32, uint>(0x380F_FFFF_F800_0000, ref context);
        Assert.That(result, Is.EqualTo(MinNormal));
        Assert.That(context.Flags, Is.EqualTo(FloatFlags.Precision));
        context = Masked();
        result = SoftFloat.Convert<Format64, ulong, Format32, uint>(0x380F_FFFF_E000_0000, ref context);
        Assert.That(result, Is.EqualTo(MinNormal));
        Assert.That(context.Flags, Is.EqualTo(FloatFlags.Precision | FloatFlags.Underflow));
    }

    [TestCase(FloatRounding.Nearest, Infinity)]
    [TestCase(FloatRounding.Down, MaxFinite)]
    [TestCase(FloatRounding.Up, Infinity)]
    [TestCase(FloatRounding.Zero, MaxFinite)]
    public void Masked_overflow_follows_the_rounding_mode(object rounding, uint expected)
    {
        FloatContext context = Masked();
        context.Rounding = (FloatRounding)rounding;
        Assert.That(SoftFloat.Multiply<Format32, uint>(MaxFinite, MaxFinite, ref context), Is.EqualTo(expected));
        Assert.That(context.Flags, Is.EqualTo(FloatFlags.Overflow | FloatFlags.Precision));
    }

    [TestCase(0x4F00_0000u, 32, int.MinValue, FloatFlags.Invalid)]
    [TestCase(0xCF00_0000u, 32, int.MinValue, 0)]
    [TestCase(0x3FC0_0000u, 32, 2, FloatFlags.Precision)]
    [TestCase(0x4020_0000u, 32, 2, FloatFlags.Precision)]
    [TestCase(QuietNaN, 64, long.MinValue, FloatFlags.Invalid)]
    [TestCase(0x4700_0000u, 16, short.MinValue, FloatFlags.Invalid)]
    public void Integers_that_do_not_fit_become_indefinite(uint value, int width, long expected, int flags)
    {
        FloatContext context = Masked();
        Assert.That(SoftFloat.ToInteger<Format32, uint>(value, width, FloatRounding.Nearest, ref context), Is.EqualTo(expected));
        Assert.That(context.Flags, Is.EqualTo(flags));
    }

    [Test]
    public void Decimals_convert_both_ways()
    {
        FloatContext context = FloatContext.FromControlWord(0x037F);
        Float80 value = SoftFloat.FromDecimal(0x3456_7890_1234_5678, 0x8012);
        Assert.That(SoftFloat.ToDecimal(value, ref context), Is.EqualTo((0x3456_7890_1234_5678UL, (ushort)0x8012)));
        Assert.That(context.Flags, Is.Zero);
        Float80 tooLarge = SoftFloat.FromInteger<Format80, Float80>(1_000_000_000_000_000_000, ref context);
        Assert.That(SoftFloat.ToDecimal(tooLarge, ref context), Is.EqualTo(SoftFloat.DecimalIndefinite));
        Assert.That(context.Flags, Is.EqualTo(FloatFlags.Invalid));
    }

    private delegate uint Operation(uint left, uint right, ref FloatContext context);

    private static void AssertSame(float expected, Operation operation, uint left, uint right, string symbol)
    {
        FloatContext context = Masked();
        uint actual = operation(left, right, ref context);
        if (float.IsNaN(expected))
        {
            Assert.That(float.IsNaN(BitConverter.UInt32BitsToSingle(actual)), $"{left:X8} {symbol} {right:X8}");
        }
        else
        {
            Assert.That(actual, Is.EqualTo(BitConverter.SingleToUInt32Bits(expected)), $"{left:X8} {symbol} {right:X8}");
        }
    }

    private static FloatContext Masked() => FloatContext.FromMxcsr(SseFloat.DefaultMxcsr);
}
