using Uml.Core.Cpu.Semantics.Float;
using Uml.Core.Cpu.State;
using Uml.Differential.Tests.Comparison;
using Uml.Differential.Tests.Native;

namespace Uml.Differential.Tests.Float;

/// <summary>
/// The transcendental instructions against the CPU. Their last bit is the processor's own: results may differ by one unit in the
/// last place (SDM vol. 1, 8.3.10), everything else must be equal except C1, which reports how that last bit was rounded.
/// </summary>
[NonParallelizable]
public sealed class X87TranscendentalTests
{
    private const ushort AllButC1 = 0xFDFF;

    /// <summary>UE, and ES and B, which tell that it is unmasked.</summary>
    private const ushort Underflow = 0x8090;

    [SetUp]
    public void RequireHardware() => X87Comparison.RequireHardware();

    [TestCaseSource(nameof(Forms))]
    public void Model_is_within_one_unit_of_the_processor(object parameter)
    {
        var form = (X87Form)parameter;
        Random random = DifferentialSettings.CreateRandom(form.Name);
        using var thunk = new X87Thunk(form.Emit);
        int failures = 0;
        int equal = 0;
        int compared = 0;
        for (int i = 0; i < DifferentialSettings.Count && failures < 6; i++)
        {
            X87Frame input = X87Inputs.Create(X87Memory.Float32, random);
            if (!ProcessorChoices.HasX87OfModel(HostProcessor.Vendor) && IsUndefined(form, X87Comparison.Register(input.Before, 0)))
            {
                continue;
            }

            X87Frame native = input;
            thunk.Run(ref native);
            X87Frame model = X87Comparison.RunModel(form, input);
            compared++;
            equal += X87Comparison.Same(native, model) ? 1 : 0;
            if (!IsClose(native, model))
            {
                failures++;
                TestContext.Out.WriteLine(
                    $"case {i}\n input {X87Comparison.Show(input.Before, input)}\n cpu   {X87Comparison.Show(native.After, native)}\n"
                    + $" model {X87Comparison.Show(model.After, model)}");
            }
        }

        TestContext.Out.WriteLine($"{equal} of {compared} equal to the last bit");
        Assert.That(failures, Is.Zero, "cases where the model and the processor differ; see the output");
    }

    private static IEnumerable<X87Form> Forms()
    {
        yield return new("fsin", a => a.fsin(), (ref X87State s, ref X87Frame f) => X87.Sine(ref s));
        yield return new("fcos", a => a.fcos(), (ref X87State s, ref X87Frame f) => X87.Cosine(ref s));
        yield return new("fsincos", a => a.fsincos(), (ref X87State s, ref X87Frame f) => X87.SineAndCosine(ref s));
        yield return new("fptan", a => a.fptan(), (ref X87State s, ref X87Frame f) => X87.Tangent(ref s));
        yield return new("fpatan", a => a.fpatan(), (ref X87State s, ref X87Frame f) => X87.ArcTangent(ref s));
        yield return new("f2xm1", a => a.f2xm1(), (ref X87State s, ref X87Frame f) => X87.Exp2Minus1(ref s));
        yield return new("fyl2x", a => a.fyl2x(), (ref X87State s, ref X87Frame f) => X87.TimesLog2(ref s));
        yield return new("fyl2xp1", a => a.fyl2xp1(), (ref X87State s, ref X87Frame f) => X87.TimesLog2Plus1(ref s));
    }

    /// <summary>Arguments beyond the SDM's range, where vendors differ: |x| from 1/4 for FYL2XP1, from 1 for F2XM1.</summary>
    private static bool IsUndefined(X87Form form, Float80 x) => form.Name switch
    {
        "f2xm1" => x.BiasedExponent >= 0x3FFF,
        "fyl2xp1" => x.BiasedExponent >= 0x3FFD,
        _ => false,
    };

    private static bool IsClose(X87Frame native, X87Frame model)
    {
        bool exact = true, isTiny = false;
        for (int i = 0; i < 8; i++)
        {
            Float80 cpu = X87Comparison.Register(native.After, i);
            Float80 ours = X87Comparison.Register(model.After, i);
            exact &= cpu.Equals(ours);
            isTiny |= (cpu.BiasedExponent == 0) != (ours.BiasedExponent == 0);
            if (cpu.Sign != ours.Sign || Distance(cpu, ours) > 1)
            {
                return false;
            }
        }

        // One unit may separate a normal from a denormal or a zero, and with it the tag, underflow and what follows from that: Intel's FSIN of the
        // smallest normal number is that number, rounded down too.
        return X87Comparison.SameHeader(native, model, (ushort)(isTiny ? AllButC1 & ~Underflow : AllButC1), tags: exact);
    }

    private static UInt128 Distance(Float80 left, Float80 right)
    {
        UInt128 a = Ordinal(left);
        UInt128 b = Ordinal(right);
        return a > b ? a - b : b - a;
    }

    /// <summary>Consecutive magnitudes have consecutive ordinals.</summary>
    private static UInt128 Ordinal(Float80 value) =>
        ((UInt128)(uint)value.BiasedExponent << 63) + (value.Significand & ~(1UL << 63));
}
