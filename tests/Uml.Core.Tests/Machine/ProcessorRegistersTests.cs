using System.Runtime.Intrinsics;
using Iced.Intel;
using Uml.Core.Cpu;
using Uml.Core.Sandbox;

namespace Uml.Core.Tests.Machine;

[TestFixture]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class ProcessorRegistersTests : IDisposable
{
    private readonly CodeSandbox _sandbox = new();

    private ProcessorRegisters Registers => _sandbox.Registers;

    public void Dispose() => _sandbox.Dispose();

    [TestCase(Register.RAX, 0x1122334455667788UL, 0x1122334455667788UL)]
    [TestCase(Register.EAX, 0x1122334455667788UL, 0x55667788UL)]
    [TestCase(Register.AX, 0x1122334455667788UL, 0xFFFFFFFFFFFF7788UL)]
    [TestCase(Register.AL, 0x1122334455667788UL, 0xFFFFFFFFFFFFFF88UL)]
    [TestCase(Register.AH, 0x1122334455667788UL, 0xFFFFFFFFFFFF88FFUL)]
    public void Writing_part_of_a_register_does_what_instructions_do(Register register, ulong written, ulong expected)
    {
        Registers.Rax = ulong.MaxValue;
        Registers[register] = written;
        Assert.That(Registers.Rax, Is.EqualTo(expected));
    }

    [TestCase(Register.R15, 0x1122334455667788UL)]
    [TestCase(Register.R15D, 0x55667788UL)]
    [TestCase(Register.R15W, 0x7788UL)]
    [TestCase(Register.R15L, 0x88UL)]
    public void Reading_part_of_a_register_extends_with_zeros(Register register, ulong expected)
    {
        Registers.R15 = 0x1122334455667788;
        Assert.That(Registers[register], Is.EqualTo(expected));
    }

    [Test]
    public void Every_general_register_has_a_name_and_a_property()
    {
        for (int i = 0; i < 16; i++)
        {
            Registers[Register.RAX + i] = (ulong)(100 + i);
        }

        ulong[] values =
        [
            Registers.Rax, Registers.Rcx, Registers.Rdx, Registers.Rbx, Registers.Rsp, Registers.Rbp, Registers.Rsi, Registers.Rdi,
            Registers.R8, Registers.R9, Registers.R10, Registers.R11, Registers.R12, Registers.R13, Registers.R14, Registers.R15,
        ];
        Assert.That(values, Is.EqualTo(Enumerable.Range(100, 16).Select(i => (ulong)i)));
    }

    [Test]
    public void Flags_keep_their_fixed_bits()
    {
        Registers.Rflags = ulong.MaxValue & ~(1UL << 17);
        Assert.That(Registers.Rflags & 0xFFFFFFFF, Is.EqualTo(0x3D7FD7));
        Registers.Rflags = 0;
        Assert.That(Registers.Rflags, Is.EqualTo(2));
    }

    [Test]
    public void Names_without_a_number_are_refused()
    {
        Assert.That(() => Registers[Register.XMM0], Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("XMM"));
        Assert.That(() => Registers[Register.None], Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => Registers[Register.CS] = 8, Throws.ArgumentException.With.Message.Contains("hidden part"));
    }

    [Test]
    public void Vector_registers_are_values()
    {
        Vector128<byte> value = Vector128.Create(0x0102030405060708UL, 0x1112131415161718UL).AsByte();
        Registers.Xmm[15] = value;
        Assert.That(Registers.Xmm[15], Is.EqualTo(value));
        Assert.That(Registers.Xmm[14], Is.EqualTo(Vector128<byte>.Zero));
        Assert.That(() => Registers.Xmm[16], Throws.InstanceOf<ArgumentOutOfRangeException>());
        Registers.Ymm[15] = Vector256.Create(default(Vector128<byte>), value);
        Assert.That(Registers.Xmm[15], Is.EqualTo(Vector128<byte>.Zero));
        Registers.Xmm[15] = value;
        Assert.That(Registers.Ymm[15], Is.EqualTo(Vector256.Create(value, value)));
        Assert.That(() => Registers.Ymm[-1], Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [TestCase(0.0)]
    [TestCase(-0.0)]
    [TestCase(1.0)]
    [TestCase(-Math.PI)]
    [TestCase(double.MaxValue)]
    [TestCase(double.Epsilon)]
    [TestCase(2.2250738585072009E-308)]
    [TestCase(double.PositiveInfinity)]
    [TestCase(double.NaN)]
    public void A_double_survives_the_x87_stack(double value)
    {
        Registers.St[0] = value;
        Assert.That(BitConverter.DoubleToInt64Bits(Registers.St[0]), Is.EqualTo(BitConverter.DoubleToInt64Bits(value)));
    }

    [TestCase("FFFFFFFFFFFFFFFFFE3F", 1.0)] // just below 1 rounds up
    [TestCase("0000000000000080FF3F", 1.0)]
    [TestCase("0004000000000080FF3F", 1.0)] // a tie goes to even
    [TestCase("000C000000000080FF3F", 1.0000000000000004)]
    [TestCase("FFFFFFFFFFFFFFFFFE7F", double.PositiveInfinity)]
    [TestCase("00000000000000800000", 0.0)]
    public void Reading_an_x87_register_rounds_to_nearest(string bytes, double expected)
    {
        Registers.St.CopyFrom(3, Convert.FromHexString(bytes));
        Assert.That(Registers.St[3], Is.EqualTo(expected));
        byte[] back = new byte[X87Stack.RegisterBytes];
        Registers.St.CopyTo(3, back);
        Assert.That(Convert.ToHexString(back), Is.EqualTo(bytes));
    }

    [Test]
    public void Entering_long_mode_sets_what_the_processor_sets()
    {
        Assert.That(Registers.Efer & 0x500, Is.EqualTo(0x500));
        Assert.That(Registers.Cs.Attributes & (1 << 13), Is.Not.Zero);
        Assert.That(Registers.PrivilegeLevel, Is.Zero);
    }
}
