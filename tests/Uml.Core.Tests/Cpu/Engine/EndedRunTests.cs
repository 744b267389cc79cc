using Uml.Core.Bus;
using Uml.Core.Cpu;
using Uml.Core.Memory;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Engine;

/// <summary>A run that an exception of a device has ended.</summary>
[TestFixture(CpuEngine.Interpreter)]
[TestFixture(CpuEngine.Jit)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class EndedRunTests : IDisposable
{
    private const int Port = 0x80;

    /// <summary>More than one slice of translated code.</summary>
    private const long Budget = 1_000_000;

    private readonly BareGuest _guest;
    private readonly IDisposable _ports;

    public EndedRunTests(CpuEngine engine)
    {
        _guest = new BareGuest(engine).Start64();
        _ports = _guest.Bus.MapPorts(Port, 1, new Broken());
        _guest.Load(a =>
        {
            a.nop();
            a.nop();
            a.@out(Port, al);
            a.hlt();
        });
        Assert.That(() => _guest.Run(Budget), Throws.InstanceOf<NotImplementedException>());
    }

    public void Dispose()
    {
        _ports.Dispose();
        _guest.Dispose();
    }

    [Test]
    public void The_processor_does_not_run_any_more()
    {
        Assert.That(_guest.Cpu.System.IsRunning, Is.False);
        using var log = new DirtyLog(_guest.Ram);
        Assert.That(log.Collect, Throws.Nothing, "pages can be watched between two runs");
    }

    [Test]
    public void What_retired_before_is_counted_once()
    {
        ulong retired = _guest.Cpu.InstructionsRetired;
        Assert.That(retired, Is.EqualTo(2UL));
        Assert.That(() => _guest.Run(Budget), Throws.InstanceOf<NotImplementedException>());
        Assert.That(_guest.Cpu.InstructionsRetired, Is.EqualTo(4UL));
    }

    private sealed class Broken : IBusDevice
    {
        public ulong Read(IProcessor processor, ulong offset, int size) => 0;

        public void Write(IProcessor processor, ulong offset, int size, ulong value) => throw new NotImplementedException();
    }
}
