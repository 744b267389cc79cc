using Uml.Core.Cpu.Semantics.Float;
using Uml.Core.Cpu.State;

namespace Uml.Core.Tests.Cpu.Semantics;

public sealed class X87Tests
{
    private static readonly Float80 One = new(0x3FFF, 1UL << 63);

    [Test]
    public void Pushing_onto_a_full_stack_delivers_the_indefinite_with_C1()
    {
        X87State state = Initialized();
        for (int i = 0; i < 9; i++)
        {
            X87.LoadConstant(ref state, 0);
        }

        Assert.That(state.St(0), Is.EqualTo(Float80.Indefinite));
        Assert.That(state.StatusWord & (FloatFlags.All | X87.StackFault | X87.C1), Is.EqualTo(FloatFlags.Invalid | X87.StackFault | X87.C1));
        Assert.That(state.HasPendingException, Is.False);
    }

    [Test]
    public void An_unmasked_stack_fault_leaves_the_stack_alone_and_is_pending()
    {
        X87State state = Initialized();
        X87.LoadControlWord(ref state, 0x037E);
        Assert.That(X87.TryStoreFloat64(ref state, true, out _), Is.False);
        Assert.That(state.Top, Is.Zero);
        Assert.That(state.HasPendingException);
        X87.ClearExceptions(ref state);
        Assert.That(state.HasPendingException, Is.False);
    }

    [Test]
    public void Unmasking_a_recorded_exception_makes_it_pending()
    {
        X87State state = Initialized();
        X87.LoadConstant(ref state, 0);
        X87.LoadConstant(ref state, 6);
        X87.ArithmeticRegisters(ref state, X87Operation.Divide, 1, 0, true);
        Assert.That(state.StatusWord & FloatFlags.All, Is.EqualTo(FloatFlags.ZeroDivide));
        X87.LoadControlWord(ref state, 0x037B);
        Assert.That(state.StatusWord & (X87.ErrorSummary | X87.Busy), Is.EqualTo(X87.ErrorSummary | X87.Busy));
    }

    [Test]
    public void Precision_control_rounds_to_single()
    {
        X87State state = Initialized();
        X87.LoadControlWord(ref state, 0x007F);
        X87.LoadConstant(ref state, 0);
        X87.ArithmeticInteger(ref state, X87Operation.Divide, 3);
        Assert.That(state.St(0), Is.EqualTo(new Float80(0x3FFD, 0xAAAA_AB00_0000_0000)));
        Assert.That(state.StatusWord & X87.C1, Is.EqualTo(X87.C1));
    }

    [Test]
    public void Unmasked_overflow_delivers_the_bias_adjusted_result()
    {
        X87State state = Initialized();
        X87.LoadControlWord(ref state, 0x0377);
        X87.LoadFloat80(ref state, new Float80(0x7FFE, 1UL << 63));
        X87.ArithmeticRegisters(ref state, X87Operation.Multiply, 0, 0, false);
        Assert.That(state.St(0), Is.EqualTo(new Float80((2 * 0x7FFE) - 0x3FFF - 0x6000, 1UL << 63)));
        Assert.That(state.HasPendingException);
    }

    [Test]
    public void Mmx_writes_alias_the_significands_and_set_all_tags()
    {
        X87State state = Initialized();
        X87.LoadConstant(ref state, 0);
        X87.EnterMmx(ref state);
        X87.WriteMmx(ref state, 3, 0x1122_3344_5566_7788);
        Assert.That(state.St(3), Is.EqualTo(new Float80(0xFFFF, 0x1122_3344_5566_7788)));
        Assert.That(X87.FullTagWord(ref state), Is.Not.EqualTo(0xFFFF));
        X87.EmptyMmx(ref state);
        Assert.That(X87.FullTagWord(ref state), Is.EqualTo(0xFFFF));
    }

    [TestCase(X87ImageFormat.Protected32, 28)]
    [TestCase(X87ImageFormat.Real32, 28)]
    [TestCase(X87ImageFormat.Protected16, 14)]
    [TestCase(X87ImageFormat.Real16, 14)]
    public void Save_and_restore_are_inverse(object parameter, int environment)
    {
        var format = (X87ImageFormat)parameter;
        X87State state = Initialized();
        X87.LoadConstant(ref state, 3);
        X87.LoadConstant(ref state, 6);
        state.InstructionPointer = 0x8765;
        state.DataPointer = 0x4321;
        state.LastOpcode = 0x1D9;
        X87State original = state;
        byte[] image = new byte[X87.SaveSize(format)];
        X87.Save(ref state, format, image);
        Assert.That((state.ControlWord, state.StatusWord, state.ValidTags), Is.EqualTo((X87State.InitialControlWord, (ushort)0, (byte)0)));
        X87.Restore(ref state, format, image);
        Assert.That(image, Has.Length.EqualTo(environment + 80));
        Assert.That((state.StatusWord, state.ValidTags), Is.EqualTo((original.StatusWord, original.ValidTags)));
        Assert.That((state.InstructionPointer, state.DataPointer), Is.EqualTo((original.InstructionPointer, original.DataPointer)));
        Assert.That((state.St(0), state.St(1)), Is.EqualTo((original.St(0), original.St(1))));
    }

    [Test]
    public void Real_mode_images_hold_linear_addresses_and_the_opcode()
    {
        X87State state = Initialized();
        state.InstructionPointer = 0x1234;
        state.CodeSegment = 0xF000;
        state.DataPointer = 0x20;
        state.DataSegment = 0x1000;
        state.LastOpcode = 0x7FF;
        byte[] image = new byte[14];
        X87.StoreEnvironment(ref state, X87ImageFormat.Real16, image);
        Assert.That(image[6..], Is.EqualTo(new byte[] { 0x34, 0x12, 0xFF, 0xF7, 0x20, 0x00, 0x00, 0x10 }));
    }

    [Test]
    public void Fx_image_keeps_64_bit_pointers_and_abridged_tags()
    {
        X87State state = Initialized();
        X87.LoadConstant(ref state, 0);
        state.InstructionPointer = 0xFFFF_8000_1234_5678;
        byte[] image = new byte[X87.FxImageSize];
        X87.StoreFxImage(ref state, true, image);
        Assert.That(image[4], Is.EqualTo(0x80));
        X87State loaded = Initialized();
        X87.LoadFxImage(ref loaded, true, image);
        Assert.That(loaded.InstructionPointer, Is.EqualTo(state.InstructionPointer));
        Assert.That((loaded.Top, loaded.St(0)), Is.EqualTo((7, One)));
    }

    [TestCase(0.5, 0.479425538604203)]
    [TestCase(-2.0, -0.9092974268256817)]
    [TestCase(1e15, 0.858272132476373)]
    public void Sine_reduces_its_argument_by_a_pi_of_66_bits(double angle, double expected)
    {
        X87State state = Initialized();
        X87.LoadFloat64(ref state, BitConverter.DoubleToUInt64Bits(angle));
        X87.Sine(ref state);
        Assert.That(X87.TryStoreFloat64(ref state, true, out ulong bits));

        // The sine of 1e15 is 0.8582727931...; reduction by a pi of 66 bits makes it the value expected here.
        Assert.That(BitConverter.UInt64BitsToDouble(bits), Is.EqualTo(expected).Within(1e-15));
    }

    [Test]
    public void An_angle_of_two_to_the_63_is_out_of_range()
    {
        X87State state = Initialized();
        X87.LoadFloat64(ref state, BitConverter.DoubleToUInt64Bits(9223372036854775808.0));
        X87.Cosine(ref state);
        Assert.That(state.StatusWord & X87.C2, Is.EqualTo(X87.C2));
        Assert.That(state.St(0), Is.EqualTo(new Float80(0x403E, 1UL << 63)));
    }

    [Test]
    public void Arc_tangent_and_logarithm_of_simple_arguments()
    {
        X87State state = Initialized();
        X87.LoadConstant(ref state, 0);
        X87.LoadConstant(ref state, 0);
        X87.ArcTangent(ref state);
        Assert.That(state.St(0), Is.EqualTo(new Float80(0x3FFE, 0xC90F_DAA2_2168_C235)), "pi/4");
        X87.LoadInteger(ref state, 8);
        X87.LoadConstant(ref state, 0);
        X87.Exchange(ref state, 1);
        X87.TimesLog2(ref state);
        Assert.That(state.St(0), Is.EqualTo(new Float80(0x4000, 0xC000_0000_0000_0000)), "log2(8)");
    }

    [Test]
    public void Transcendental_instructions_end_with_a_supported_encoding_for_every_pair_of_edge_values()
    {
        ushort[] exponents = [0, 1, 0x3F00, 0x3FBE, 0x3FFC, 0x3FFD, 0x3FFE, 0x3FFF, 0x4000, 0x403D, 0x403E, 0x7FFE, 0x7FFF];
        ulong[] significands = [0, 1UL << 63, (1UL << 63) | 1, ulong.MaxValue, 0xC90F_DAA2_2168_C235, 1];
        Float80[] values = [.. exponents.SelectMany(e => significands.SelectMany(s => new Float80[] { new(e, s), new((ushort)(e | 0x8000), s) }))];
        foreach (Float80 x in values)
        {
            foreach (Float80 y in values)
            {
                // The first five look at ST(0) alone.
                for (int instruction = y.Equals(values[0]) ? 0 : 5; instruction < 8; instruction++)
                {
                    X87State state = Initialized();
                    X87.LoadFloat80(ref state, y);
                    X87.LoadFloat80(ref state, x);
                    RunTranscendental(ref state, instruction);
                    Float80 result = state.St(0);
                    bool untouched = (state.StatusWord & X87.C2) != 0;
                    bool supported = result.BiasedExponent == 0 || (long)result.Significand < 0;
                    Assert.That(supported || untouched, $"instruction {instruction} of {x}, {y} gave {result}");
                }
            }
        }
    }

    private static void RunTranscendental(ref X87State state, int instruction)
    {
        switch (instruction)
        {
            case 0: X87.Sine(ref state); break;
            case 1: X87.Cosine(ref state); break;
            case 2: X87.SineAndCosine(ref state); break;
            case 3: X87.Tangent(ref state); break;
            case 4: X87.Exp2Minus1(ref state); break;
            case 5: X87.ArcTangent(ref state); break;
            case 6: X87.TimesLog2(ref state); break;
            default: X87.TimesLog2Plus1(ref state); break;
        }
    }

    private static X87State Initialized()
    {
        X87State state = default;
        X87.Initialize(ref state);
        return state;
    }
}
