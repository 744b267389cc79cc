using System.Runtime.Intrinsics;
using Uml.Core.Cpu.Semantics.Float;

namespace Uml.Core.Tests.Cpu.Semantics;

public sealed class SseFloatTests
{
    private const uint One = 0x3F80_0000;
    private const uint Three = 0x4040_0000;
    private const uint Denormal = 0x0000_0001;

    [Test]
    public void Sticky_flags_accumulate()
    {
        uint mxcsr = SseFloat.DefaultMxcsr;
        Assert.That(SseFloat.DivSs(One, Three, ref mxcsr, out uint third));
        Assert.That(third, Is.EqualTo(BitConverter.SingleToUInt32Bits(1f / 3f)));
        Assert.That(mxcsr, Is.EqualTo(SseFloat.DefaultMxcsr | FloatFlags.Precision));
        Assert.That(SseFloat.DivSs(One, 0, ref mxcsr, out uint infinity));
        Assert.That(infinity, Is.EqualTo(0x7F80_0000));
        Assert.That(mxcsr, Is.EqualTo(SseFloat.DefaultMxcsr | FloatFlags.Precision | FloatFlags.ZeroDivide));
    }

    [Test]
    public void The_fast_path_gives_the_slow_paths_results_and_flags()
    {
        var random = new Random(30);
        for (int i = 0; i < 5000; i++)
        {
            uint a = (uint)random.NextInt64();
            uint b = (uint)random.NextInt64();
            uint fast = SseFloat.DefaultMxcsr | FloatFlags.Precision;
            FloatContext context = FloatContext.FromMxcsr(fast);
            Assert.That(SseFloat.MulSs(a, b, ref fast, out uint result));
            Assert.That(result, Is.EqualTo(SoftFloat.Multiply<Format32, uint>(a, b, ref context)), $"{a:X8} * {b:X8}");
            Assert.That(fast, Is.EqualTo(SseFloat.DefaultMxcsr | FloatFlags.Precision | (uint)context.Flags), $"{a:X8} * {b:X8}");
        }
    }

    [Test]
    public void An_unmasked_exception_returns_false_and_sets_its_flag()
    {
        uint mxcsr = SseFloat.DefaultMxcsr & ~(uint)(FloatFlags.ZeroDivide << 7);
        uint before = mxcsr;
        Assert.That(SseFloat.DivSs(One, 0, ref mxcsr, out _), Is.False);
        Assert.That(mxcsr, Is.EqualTo(before | FloatFlags.ZeroDivide));
    }

    [Test]
    public void An_unmasked_operand_exception_of_one_element_hides_the_result_exceptions_of_the_others()
    {
        uint mxcsr = SseFloat.DefaultMxcsr & ~(uint)(FloatFlags.Invalid << 7);
        Vector128<float> left = Vector128.Create(1f, 1f, float.PositiveInfinity, 1f);
        Vector128<float> right = Vector128.Create(3f, 3f, float.PositiveInfinity, 3f);
        Assert.That(SseFloat.DivPs(left, right, ref mxcsr, out _), Is.False);
        Assert.That(mxcsr & FloatFlags.All, Is.EqualTo((uint)FloatFlags.Invalid));
    }

    [Test]
    public void Flush_to_zero_and_denormals_are_zero_are_independent()
    {
        uint flush = SseFloat.DefaultMxcsr | 0x8000;
        Assert.That(SseFloat.MulSs(0x0080_0000, 0x3F00_0000, ref flush, out uint result));
        Assert.That(result, Is.Zero);
        Assert.That(flush & FloatFlags.All, Is.EqualTo((uint)(FloatFlags.Underflow | FloatFlags.Precision)));
        uint zeros = SseFloat.DefaultMxcsr | 0x40;
        Assert.That(SseFloat.AddSs(Denormal, Denormal, ref zeros, out result));
        Assert.That(result, Is.Zero);
        Assert.That(zeros & FloatFlags.All, Is.Zero);
    }

    [Test]
    public void Minimum_delivers_the_second_operand_for_zeros_and_NaNs()
    {
        uint mxcsr = SseFloat.DefaultMxcsr;
        SseFloat.MinSs(0x8000_0000, 0, ref mxcsr, out uint result);
        Assert.That(result, Is.Zero);
        SseFloat.MinSs(0x7FC0_0000, One, ref mxcsr, out result);
        Assert.That(result, Is.EqualTo(One));
        Assert.That(mxcsr & FloatFlags.All, Is.EqualTo((uint)FloatFlags.Invalid));
    }

    [Test]
    public void Ordered_compare_signals_on_a_quiet_NaN_and_unordered_does_not()
    {
        uint mxcsr = SseFloat.DefaultMxcsr;
        SseFloat.UcomiSs(0x7FC0_0000, One, ref mxcsr, out uint flags);
        Assert.That((flags, mxcsr & FloatFlags.All), Is.EqualTo((0x45u, 0u)));
        SseFloat.ComiSs(0x7FC0_0000, One, ref mxcsr, out flags);
        Assert.That((flags, mxcsr & FloatFlags.All), Is.EqualTo((0x45u, (uint)FloatFlags.Invalid)));
    }

    [Test]
    public void Approximations_keep_the_specified_error_over_the_whole_range()
    {
        for (uint bits = 0x0080_0000; bits < 0x7E00_0000; bits += 0x1_2345)
        {
            double x = BitConverter.UInt32BitsToSingle(bits);
            double reciprocal = BitConverter.UInt32BitsToSingle(SseFloat.RcpSs(bits));
            double root = BitConverter.UInt32BitsToSingle(SseFloat.RsqrtSs(bits));
            Assert.That(Math.Abs((reciprocal * x) - 1), Is.LessThan(1.5 / 4096), $"rcp {bits:X8}");
            Assert.That(Math.Abs((root * Math.Sqrt(x)) - 1), Is.LessThan(1.5 / 4096), $"rsqrt {bits:X8}");
        }
    }

    [TestCase(0x8000_0000u, 0xFF80_0000u, 0xFF80_0000u)]
    [TestCase(0x0000_0001u, 0x7F80_0000u, 0x7F80_0000u)]
    [TestCase(0x7F80_0000u, 0x0000_0000u, 0x0000_0000u)]
    [TestCase(0x7F80_0001u, 0x7FC0_0001u, 0x7FC0_0001u)]
    [TestCase(0xBF80_0000u, 0xBF80_0000u, 0xFFC0_0000u)]
    public void Approximations_of_special_values(uint source, uint reciprocal, uint root)
    {
        Assert.That(SseFloat.RcpSs(source), Is.EqualTo(reciprocal));
        Assert.That(SseFloat.RsqrtSs(source), Is.EqualTo(root));
    }

    [Test]
    public void Dot_product_ignores_unselected_elements()
    {
        uint mxcsr = SseFloat.DefaultMxcsr;
        Vector128<float> left = Vector128.Create(2f, float.NaN, 3f, float.PositiveInfinity);
        Vector128<float> right = Vector128.Create(5f, 1f, 7f, 0f);
        Assert.That(SseFloat.DpPs(left, right, 0x51, ref mxcsr, out Vector128<float> result));
        Assert.That(result, Is.EqualTo(Vector128.Create(31f, 0, 0, 0)));
        Assert.That(mxcsr, Is.EqualTo(SseFloat.DefaultMxcsr));
    }
}
