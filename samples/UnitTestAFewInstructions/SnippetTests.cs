// Unit tests of a few instructions, with no kernel and no disk image: privileged instructions, exceptions and devices included.
using Iced.Intel;
using Uml.Core.Bus;
using Uml.Core.Memory;
using Uml.Core.Sandbox;
using static Iced.Intel.AssemblerRegisters;

namespace UnitTestAFewInstructions;

[TestFixture]
public sealed class SnippetTests
{
    [Test]
    public void Adding_sets_the_carry()
    {
        using var sandbox = new CodeSandbox();
        sandbox.Registers.Rax = ulong.MaxValue;
        CodeResult result = sandbox.Run(a => a.add(rax, 1));
        Assert.That(result, Is.EqualTo(new CodeResult(CodeStopReason.Halt, 2)));
        Assert.That(sandbox.Registers.Rax, Is.Zero);
        Assert.That(sandbox.Registers.Rflags & 1, Is.EqualTo(1));
    }

    [Test]
    public void A_copy_loop_copies()
    {
        using var sandbox = new CodeSandbox();
        sandbox.Memory.TryWrite(new GuestPhysicalAddress(CodeSandbox.DataAddress), "hello"u8);
        sandbox.Registers.Rsi = CodeSandbox.DataAddress;
        sandbox.Registers.Rdi = CodeSandbox.DataAddress + 0x100;
        sandbox.Registers.Rcx = 5;
        sandbox.Run([0xF3, 0xA4]); // rep movsb
        byte[] copy = new byte[5];
        sandbox.Memory.TryRead(new GuestPhysicalAddress(CodeSandbox.DataAddress + 0x100), copy);
        Assert.That(copy, Is.EqualTo("hello"u8.ToArray()));
    }

    [Test]
    public void A_bad_pointer_faults()
    {
        using var sandbox = new CodeSandbox();
        CodeResult result = sandbox.Run(a =>
        {
            a.mov(rbx, 0x1234_5678_9000);
            a.mov(rax, __qword_ptr[rbx]);
        });
        Assert.That(result.Reason, Is.EqualTo(CodeStopReason.Exception));
        Assert.That(result.Vector, Is.EqualTo(14)); // #PF, not present, read
        Assert.That(result.ErrorCode, Is.Zero);
        Assert.That(sandbox.Registers.Cr2, Is.EqualTo(0x1234_5678_9000));
    }

    [Test]
    public void An_endless_loop_uses_up_its_budget()
    {
        using var sandbox = new CodeSandbox();
        Assert.That(sandbox.Run([0xEB, 0xFE], 1000), Is.EqualTo(new CodeResult(CodeStopReason.BudgetExhausted, 1000)));
    }

    [Test]
    public void Code_talks_to_a_device()
    {
        var device = new Doubler();
        using var sandbox = new CodeSandbox();
        sandbox.Bus.MapPorts(0x500, 4, device);
        sandbox.Run(a =>
        {
            a.mov(edx, 0x500);
            a.mov(eax, 21);
            a.@out(dx, eax);
            a.@in(eax, dx);
        });
        Assert.That(sandbox.Registers[Register.EAX], Is.EqualTo(42));
    }

    private sealed class Doubler : IBusDevice
    {
        private ulong _value;

        public ulong Read(IProcessor processor, ulong offset, int size) => _value * 2;

        public void Write(IProcessor processor, ulong offset, int size, ulong value) => _value = value;
    }
}
