using Iced.Intel;
using Uml.Core.Clock;
using Uml.Core.Cpu;
using Uml.Core.Cpu.State;
using Uml.Core.Cpu.Time;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.System;

/// <summary>RDTSC and RDTSCP by a clock that follows the host's.</summary>
[TestFixture(CpuEngine.Interpreter)]
[TestFixture(CpuEngine.Jit)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class TimeStampInstructionTests : IDisposable
{
    private const uint TscMsr = 0x10, TscAdjustMsr = 0x3B, TscAuxMsr = 0xC000_0103;

    /// <summary>Longer than it takes to measure the host's counter.</summary>
    private static readonly TimeSpan s_warmUp = TimeSpan.FromMilliseconds(60);

    private readonly RealTimeClock _clock = new(TimeProvider.System, default);
    private readonly BareGuest _machine;
    private readonly bool _isNative;

    public TimeStampInstructionTests(CpuEngine engine)
    {
        _isNative = engine == CpuEngine.Jit && TimeStampCounter.IsOffered();
        _clock.Resume();
        _machine = new BareGuest(engine, clock: _clock).Start64();
    }

    public void Dispose() => _machine.Dispose();

    [Test]
    public void The_counter_never_goes_back_and_goes_by_the_clock()
    {
        const int reads = 20_000;
        WarmUp();
        ulong before = _clock.ReadTsc();
        _machine.Load(a =>
        {
            Label loop = a.CreateLabel(), back = a.CreateLabel();
            a.xor(ebx, ebx);
            a.mov(esi, reads);
            a.Label(ref loop);
            a.rdtsc();
            a.shl(rdx, 32);
            a.or(rax, rdx);
            a.cmp(rax, rbx);
            a.jb(back);
            a.mov(rbx, rax);
            a.dec(esi);
            a.jne(loop);
            a.Label(ref back);
            a.hlt();
        });
        ulong calls = _machine.Cpu.GetStatistics().HandlerCalls;
        Run();
        calls = _machine.Cpu.GetStatistics().HandlerCalls - calls;
        Assert.Multiple(() =>
        {
            Assert.That((uint)_machine.State->Gpr[6], Is.Zero, "reads left when one was before the last");
            Assert.That(_machine.State->Gpr[3], Is.InRange(before, _clock.ReadTsc()));
            if (_isNative)
            {
                Assert.That(calls, Is.LessThan(reads / 4), "the clock was asked");
            }
        });
    }

    [Test]
    public void RDTSCP_gives_TSC_AUX_too_and_flags_and_other_registers_stay()
    {
        WarmUp();
        int vector = _machine.RunToHalt(a =>
        {
            a.mov(ecx, unchecked((int)TscAuxMsr));
            a.mov(eax, 0x1234);
            a.xor(edx, edx);
            a.wrmsr();
            for (int i = 0; i < 3; i++)
            {
                a.mov(rcx, -1);
                a.mov(rdx, -1);
                a.mov(rax, -1);
                a.mov(r13, 13);
                a.mov(r14, 14);
                a.cmp(r13, r14);
                a.rdtscp();
                a.sbb(r15, r15);
            }

            a.hlt();
        });
        Assert.Multiple(() =>
        {
            Assert.That(vector, Is.EqualTo(-1));
            Assert.That(_machine.State->Gpr[1], Is.EqualTo(0x1234UL));
            Assert.That(_machine.State->Gpr[13], Is.EqualTo(13UL));
            Assert.That(_machine.State->Gpr[14], Is.EqualTo(14UL));
            Assert.That(_machine.State->Gpr[15], Is.EqualTo(ulong.MaxValue), "CF");
            Assert.That(_machine.Rax, Is.LessThanOrEqualTo(uint.MaxValue));
            Assert.That(Counter, Is.InRange(60_000_000UL, _clock.ReadTsc()));
        });
    }

    [TestCase(TscAdjustMsr)]
    [TestCase(TscMsr)]
    public void What_the_guest_writes_to_the_counter_counts_at_once(uint register)
    {
        WarmUp();
        int vector = _machine.RunToHalt(a =>
        {
            a.rdtsc();
            a.mov(ecx, (int)register);
            a.xor(eax, eax);
            a.mov(edx, 0x10_0000);
            a.wrmsr();
            a.rdtsc();
            a.hlt();
        });
        Assert.That(vector, Is.EqualTo(-1));
        Assert.That(Counter - (0x10_0000UL << 32), Is.LessThanOrEqualTo(_clock.ReadTsc()));
    }

    [Test]
    public void User_code_that_may_not_read_it_faults_right_after_the_kernel_read_it()
    {
        const int timeStampDisable = 1 << 2;
        WarmUp();
        _machine.Load(
            a =>
            {
                a.mov(eax, 0x11);
                a.mov(edx, 0x22);
                a.rdtsc();
            },
            BareGuest.UserCode);
        int vector = _machine.RunToHalt(a =>
        {
            a.rdtsc();
            a.mov(rax, cr4);
            a.or(eax, timeStampDisable);
            a.mov(cr4, rax);
            a.rdtsc();
            BareGuest.GoToUser(a);
        });
        Assert.Multiple(() =>
        {
            Assert.That(vector, Is.EqualTo(ExceptionVector.GP));
            Assert.That(_machine.Rax, Is.EqualTo(0x11UL));
            Assert.That(_machine.State->Gpr[2], Is.EqualTo(0x22UL));
        });
    }

    private ulong Counter => _machine.Rax | (_machine.State->Gpr[2] << 32);

    /// <summary>Until the host's counter is measured. A measurement that the host interrupts does not count.</summary>
    private void WarmUp()
    {
        int attempts = 20;
        do
        {
            Thread.Sleep(s_warmUp);
            Assert.That(_machine.RunToHalt(a =>
            {
                a.rdtsc();
                a.hlt();
            }), Is.EqualTo(-1));
        }
        while (_isNative && _machine.State->Engine->TimeStamps.Multiplier == 0 && --attempts > 0);
        Assert.That(attempts, Is.Not.Zero, "the host's counter cannot be measured");
    }

    private void Run()
    {
        _machine.State->Halted = false;
        _machine.State->Rip = BareGuest.Code;
        RunResult result;
        do
        {
            result = _machine.Cpu.Run(20_000);
        }
        while (result == RunResult.BudgetExhausted);
        Assert.That(result, Is.EqualTo(RunResult.Halted));
    }
}
