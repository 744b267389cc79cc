using System.Buffers;
using Uml.Core.Bus;
using Uml.Core.Cpu;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Memory;

/// <summary>Devices that write, through leases, where the guest has code.</summary>
[TestFixture(CpuEngine.Interpreter)]
[TestFixture(CpuEngine.Jit)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class LeasedCodeTests : IDisposable
{
    private const ulong Function = BareGuest.Data;
    private const int Old = 1, New = 2, Length = 6;

    private readonly BareGuest _machine;

    public LeasedCodeTests(CpuEngine engine)
    {
        Assume.That(engine != CpuEngine.Jit || JitEngine.IsSupported);
        _machine = new BareGuest(engine).Start64();
        Write(_machine.Cpu.Ram.TryGetSpan(new(Function), Length, out Span<byte> code) ? code : default, Old);
    }

    public void Dispose() => _machine.Dispose();

    [Test]
    [CancelAfter(30_000)]
    public void A_guest_in_a_loop_gets_to_code_that_another_thread_wrote(CancellationToken token)
    {
        LoadLoop();
        Assert.That(_machine.Cpu.Run(100_000), Is.EqualTo(RunResult.BudgetExhausted));
        using var started = new ManualResetEventSlim();
        var device = new Thread(() =>
        {
            Assert.That(_machine.Cpu.Ram.TryLease(new(Function), Length, out IMemoryOwner<byte>? lease));
            started.Wait(token);
            Thread.Sleep(20);
            using (lease)
            {
                Write(lease!.Memory.Span, New);
            }
        });
        device.Start();
        started.Set();
        using CancellationTokenRegistration end = token.UnsafeRegister(static cpu => ((VirtualCpu)cpu!).RequestAttention(), _machine.Cpu);
        RunResult result;
        do
        {
            result = _machine.Cpu.Run(long.MaxValue / 2);
        }
        while (result == RunResult.Attention && !token.IsCancellationRequested);
        device.Join();
        Assert.That(result, Is.EqualTo(RunResult.Halted));
        Assert.That(_machine.Rax, Is.EqualTo(New));
    }

    [Test]
    public void Code_that_was_completed_between_two_runs_is_there_with_the_first_instruction()
    {
        LoadLoop();
        _machine.Cpu.Run(100_000);
        Assert.That(_machine.Cpu.Ram.TryLease(new(Function), Length, out IMemoryOwner<byte>? lease));
        Write(lease!.Memory.Span, New);
        lease.Dispose();
        Assert.That(_machine.Cpu.Run(100), Is.EqualTo(RunResult.Halted), "nobody asked for attention either");
        Assert.That(_machine.Rax, Is.EqualTo(New));
    }

    [Test]
    public void Code_that_a_device_completes_while_the_guest_talks_to_it_is_there_behind_that()
    {
        var device = new Writer(_machine);
        using IDisposable ports = _machine.Bus.MapPorts(0x80, 1, device);
        _machine.Load(a =>
        {
            var again = a.CreateLabel();
            a.mov(ecx, 100);
            a.mov(edi, (uint)Function);
            a.Label(ref again);
            a.call(rdi);
            a.dec(ecx);
            a.jnz(again);
            a.@out(0x80, al);
            a.call(rdi);
            a.hlt();
        });
        RunResult result;
        do
        {
            result = _machine.Cpu.Run(10_000);
        }
        while (result == RunResult.Attention);
        Assert.That(result, Is.EqualTo(RunResult.Halted));
        Assert.That(_machine.Rax, Is.EqualTo(New));
    }

    /// <summary>Calls the function until it returns something else than before.</summary>
    private void LoadLoop() => _machine.Load(a =>
    {
        var again = a.CreateLabel();
        a.mov(edi, (uint)Function);
        a.Label(ref again);
        a.call(rdi);
        a.cmp(eax, Old);
        a.je(again);
        a.hlt();
    });

    /// <summary><c>mov eax, value; ret</c>. The value is written at once: who runs what was there runs one or the other.</summary>
    private static void Write(Span<byte> code, byte value) => new byte[] { 0xB8, value, 0, 0, 0, 0xC3 }.CopyTo(code);

    private sealed class Writer(BareGuest machine) : IBusDevice
    {
        public ulong Read(IProcessor processor, ulong offset, int size) => 0;

        public void Write(IProcessor processor, ulong offset, int size, ulong value)
        {
            Assert.That(machine.Cpu.Ram.TryLease(new(Function), Length, out IMemoryOwner<byte>? lease));
            LeasedCodeTests.Write(lease!.Memory.Span, New);
            lease.Dispose();
        }
    }
}
