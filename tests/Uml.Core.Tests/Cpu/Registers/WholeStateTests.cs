using Uml.Core.Cpu;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Registers;

/// <summary>No part of a processor's state is out of reach of its registers.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class WholeStateTests : IDisposable
{
    private readonly BareGuest _source = new(CpuEngine.Interpreter);
    private readonly BareGuest _target = new(CpuEngine.Interpreter);

    public void Dispose()
    {
        _source.Dispose();
        _target.Dispose();
    }

    [Test]
    public void Every_field_of_the_state_can_be_written()
    {
        RegisterValues.Apply(_source.Cpu.Registers);
        Dictionary<string, byte[]> written = StateFields.Read(_source.State), fresh = StateFields.Read(_target.State);
        string[] unreached = [.. written.Keys.Where(name => written[name].AsSpan().SequenceEqual(fresh[name]))];
        Assert.That(unreached, Is.EquivalentTo(StateFields.Exceptions.Keys), "give a new field a register, or a reason why it has none");
    }

    [Test]
    public void Every_property_has_a_value_to_test_with()
    {
        IEnumerable<string> tested = RegisterValues.Properties.Select(static property => property.Name);
        Assert.That(RegisterValues.Writable, Is.EquivalentTo(tested.Append("TimeStampCounter")));
    }

    [Test]
    public void A_state_that_was_written_can_be_copied()
    {
        RegisterValues.Apply(_source.Cpu.Registers);
        RegisterValues.Copy(_source.Cpu.Registers, _target.Cpu.Registers);
        AssertSame(ambiguous: false);
    }

    [Test]
    public void A_state_that_a_guest_has_come_to_can_be_copied()
    {
        _source.Start64();
        _source.RunToHalt(a =>
        {
            a.mov(rax, 0x1234_5678_9ABC_DEF0);
            a.mov(cr2, rax);
            a.fldpi();
            a.fldl2e();
            a.mov(ecx, unchecked((int)0xC000_0102));
            a.mov(edx, -1);
            a.wrmsr();
            a.sub(eax, 1);
            a.adc(rbx, rdi);
            a.hlt();
        });
        RegisterValues.Copy(_source.Cpu.Registers, _target.Cpu.Registers);
        AssertSame(ambiguous: true);
    }

    private void AssertSame(bool ambiguous)
    {
        Dictionary<string, byte[]> expected = StateFields.Read(_source.State), actual = StateFields.Read(_target.State);
        foreach ((string name, byte[] bytes) in expected)
        {
            if (!ambiguous || !StateFields.Ambiguous.ContainsKey(name))
            {
                Assert.That(actual[name], Is.EqualTo(bytes), name);
            }
        }

        Assert.That(Flags.Get(_target.State), Is.EqualTo(Flags.Get(_source.State)));
    }
}
