using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Uml.Core.Bus;
using Uml.Core.Clock;
using Uml.Core.Cpu;
using Uml.Core.Machine;

namespace Uml.Core.Tests.Machine;

/// <summary>The machine's loop and hardware with more than one CPU, which options cannot ask for yet.</summary>
[TestFixture]
[CancelAfter(20_000)]
public sealed class SeveralCpusTests
{
    private readonly List<int> _turns = [];
    private ScriptedCpu _first = null!;
    private ScriptedCpu _second = null!;

    [SetUp]
    public void SetUp()
    {
        _turns.Clear();
        _first = new ScriptedCpu(0);
        _second = new ScriptedCpu(1);
    }

    [TearDown]
    public void TearDown()
    {
        _first.Dispose();
        _second.Dispose();
    }

    [Test]
    public async Task They_take_turns_and_their_instructions_are_summed(CancellationToken token)
    {
        _first.Script = (cpu, _) => Retire(cpu, 100, RunResult.BudgetExhausted);
        _second.Script = (cpu, _) => Retire(cpu, 10, _turns.Count < 5 ? RunResult.BudgetExhausted : RunResult.Shutdown);
        _first.Statistics = new CpuStatistics { BlocksDecoded = 1, TranslationTime = TimeSpan.FromTicks(7) };
        _second.Statistics = new CpuStatistics { BlocksDecoded = 2, TranslationTime = TimeSpan.FromTicks(8) };
        await using IVirtualMachine machine = Build();
        await machine.StartAsync(token);
        MachineExit exit = await machine.WaitForExitAsync(token);
        Assert.Multiple(() =>
        {
            Assert.That(_turns, Is.EqualTo(new[] { 0, 1, 0, 1, 0, 1 }));
            Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.TripleFault), "the second one's");
            Assert.That(machine.InstructionsRetired, Is.EqualTo(330));
            Assert.That(machine.Clock.Nanoseconds, Is.EqualTo(330));
            Assert.That(
                machine.GetCpuStatistics(),
                Is.EqualTo(new CpuStatistics { InstructionsRetired = 330, BlocksDecoded = 3, TranslationTime = TimeSpan.FromTicks(15) }));
        });
    }

    [Test]
    public async Task One_that_was_called_back_keeps_its_turn(CancellationToken token)
    {
        _first.Script = (cpu, _) => Retire(cpu, 1, _turns.Count < 2 ? RunResult.Attention : RunResult.BudgetExhausted);
        _second.Script = (cpu, _) => Retire(cpu, 1, RunResult.Shutdown);
        await using IVirtualMachine machine = Build();
        await machine.StartAsync(token);
        await machine.WaitForExitAsync(token);
        Assert.That(_turns, Is.EqualTo(new[] { 0, 0, 0, 1 }));
    }

    [Test]
    public async Task A_device_that_is_accessed_by_either_gets_that_one_called_back(CancellationToken token)
    {
        IMachineContext? context = null;
        _first.Script = (cpu, _) => Retire(cpu, 1, RunResult.Halted);
        _second.Script = (cpu, _) =>
        {
            context!.Post(() => context.RequestExit(new MachineExit(MachineExitReason.PowerOff, 0, "")));
            return Retire(cpu, 1, cpu.AttentionRequested ? RunResult.Attention : RunResult.Shutdown);
        };
        await using IVirtualMachine machine = Build(new TestDevice(found => context = found));
        await machine.StartAsync(token);
        Assert.That((await machine.WaitForExitAsync(token)).Reason, Is.EqualTo(MachineExitReason.PowerOff));
    }

    [Test]
    public async Task The_machine_idles_once_all_have_halted_and_wakes_the_one_that_is_interrupted(CancellationToken token)
    {
        List<ulong> ticks = [];
        TestDevice device = new(machine =>
        {
            IMachineTimer timer = machine.Clock.CreateTimer("test", () =>
            {
                ticks.Add(machine.Clock.Nanoseconds);
                machine.Processors[1].SetInterruptRequest(true);
            });
            timer.Schedule(1_000_000);
        });
        _first.Script = (cpu, _) => Retire(cpu, _turns.Contains(0) ? 0 : 100, RunResult.Halted);

        // Its first halt comes right behind an interrupt for the other one, which must not be slept through.
        _second.Script = (cpu, _) =>
        {
            if (ticks.Count == 0)
            {
                _first.SetInterruptRequest(true);
                return Retire(cpu, 0, RunResult.Halted);
            }

            return Retire(cpu, 1, RunResult.Shutdown);
        };
        await using IVirtualMachine machine = Build(device);
        await machine.StartAsync(token);
        await machine.WaitForExitAsync(token);
        Assert.Multiple(() =>
        {
            Assert.That(_turns.Take(3), Is.EqualTo(new[] { 0, 1, 0 }), "interrupted, so it has its turn before the machine idles");
            Assert.That(ticks, Is.EqualTo(new ulong[] { 1_000_000 }), "idle time is skipped");
            Assert.That(_turns[^1], Is.EqualTo(1));
        });
    }

    [Test]
    public async Task A_halt_ends_the_machine_when_none_of_them_can_be_woken([Values] bool secondCan, CancellationToken token)
    {
        _first.CanBeWoken = false;
        _second.CanBeWoken = secondCan;
        _first.Script = (cpu, _) => Retire(cpu, 0, RunResult.Halted);
        _second.Script = (cpu, _) => Retire(cpu, 0, RunResult.Halted);
        TestDevice device = new(machine => machine.Clock
            .CreateTimer("test", () => machine.RequestExit(new MachineExit(MachineExitReason.PowerOff, 0, ""))).Schedule(1_000));
        await using IVirtualMachine machine = Build(device);
        await machine.StartAsync(token);
        MachineExit exit = await machine.WaitForExitAsync(token);
        Assert.That(exit.Reason, Is.EqualTo(secondCan ? MachineExitReason.PowerOff : MachineExitReason.Halted));
    }

    [Test]
    public async Task Registers_of_all_are_closed_while_the_machine_runs(CancellationToken token)
    {
        await using IVirtualMachine machine = Build();
        await machine.StartAsync(token);
        Assert.Multiple(() =>
        {
            Assert.That(machine.Processors, Has.Count.EqualTo(2));
            Assert.That(() => machine.Processors[1].Rax, Throws.InvalidOperationException);
        });
        await machine.PauseAsync(token);
        Assert.That(() => machine.Processors[1].Rax, Throws.Nothing);
    }

    [Test]
    public void Hardware_has_as_many_as_the_options_say_each_with_a_number_and_randomness_of_its_own()
    {
        MachineOptions options = new() { MemorySize = 2 << 20, Cpu = { Count = 2, Engine = CpuEngine.Interpreter, RandomSeed = 1 } };
        using MachineHardware hardware = new MachineHardwareFactory().Create(options, new VirtualTimeClock(default), NullLoggerFactory.Instance);
        VirtualCpu[] cpus = [.. hardware.Cpus.Cast<VirtualCpu>()];
        Assert.Multiple(() =>
        {
            Assert.That(hardware.BootCpu, Is.SameAs(cpus[0]));
            Assert.That(cpus.Select(cpu => cpu.Index), Is.EqualTo(new[] { 0, 1 }));

            // CPUID.1: the initial APIC ID and the number of logical processors in EBX (Intel SDM vol. 2, CPUID).
            Assert.That(cpus.Select(cpu => cpu.System.QueryCpuid(1, 0).Ebx >> 16), Is.EqualTo(new uint[] { 2, 0x102 }));
        });
    }

    private RunResult Retire(ScriptedCpu cpu, int count, RunResult result)
    {
        _turns.Add(cpu.Index);
        cpu.InstructionsRetired += (ulong)count;
        return result;
    }

    private IVirtualMachine Build(TestDevice? device = null)
    {
        VirtualMachineBuilder builder = ScriptedMachine.CreateBuilder(_first, _second).Configure(o => o.ClockMode = ClockMode.Virtual);
        if (device is not null)
        {
            builder.Services.AddSingleton<IMachineDevice>(device);
        }

        return builder.Build();
    }
}
