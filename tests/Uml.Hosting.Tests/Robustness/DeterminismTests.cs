using Iced.Intel;
using Uml.Core.Cpu;
using Uml.Core.Machine;
using Uml.Devices.Consoles;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Hosting.Tests.Robustness;

/// <summary>In virtual time two runs of a guest are the same to the instruction, whatever the host does meanwhile.</summary>
[CancelAfter(60_000)]
public sealed class DeterminismTests
{
    private const int Interrupts = 200;

    [Test]
    public async Task Two_runs_with_a_timer_and_random_numbers_are_identical(CancellationToken token)
    {
        Run first = await RunAsync(pauses: false, seed: null, token);
        Run second = await RunAsync(pauses: false, seed: null, token);
        Assert.That(first.Output, Is.Not.Empty);
        Assert.That(second.Instructions, Is.EqualTo(first.Instructions));
        Assert.That(second.Time, Is.EqualTo(first.Time));
        Assert.That(second.Output, Is.EqualTo(first.Output));
    }

    [Test]
    public async Task Pauses_change_nothing(CancellationToken token)
    {
        Run first = await RunAsync(pauses: false, seed: null, token);
        Run second = await RunAsync(pauses: true, seed: null, token);

        // Pausing hands over the console's output early; the guest, which prints its RIP and the counter, does not see that.
        Assert.That(second.Bytes, Is.EqualTo(first.Bytes));
        Assert.That((second.Instructions, second.Time), Is.EqualTo((first.Instructions, first.Time)));
    }

    [Test]
    [Platform("Linux")]
    public async Task Both_engines_give_the_same_run(CancellationToken token)
    {
        Run interpreted = await RunAsync(pauses: false, seed: 7, token, CpuEngine.Interpreter);
        Run translated = await RunAsync(pauses: false, seed: 7, token, CpuEngine.Jit);
        Assert.That(interpreted.Output, Is.Not.Empty);

        // Each byte with its time, which is the count of instructions.
        Assert.That(translated.Output, Is.EqualTo(interpreted.Output));
        Assert.That((translated.Instructions, translated.Time), Is.EqualTo((interpreted.Instructions, interpreted.Time)));
    }

    [Test]
    public async Task Another_seed_gives_another_run(CancellationToken token)
    {
        Run first = await RunAsync(pauses: false, seed: 1, token);
        Run same = await RunAsync(pauses: false, seed: 1, token);
        Run other = await RunAsync(pauses: false, seed: 2, token);
        Assert.That(same.Output, Is.EqualTo(first.Output));
        Assert.That(other.Output, Is.Not.EqualTo(first.Output));
    }

    [Test]
    public async Task Real_time_takes_its_randomness_from_the_seed_too(CancellationToken token)
    {
        uint[] values = new uint[4];
        for (int i = 0; i < values.Length; i++)
        {
            await using IVirtualMachine machine = FlatGuest.CreateBuilder(a =>
                {
                    a.rdrand(eax);
                    a.@out(FlatGuest.DebugExit, eax);
                    a.hlt();
                })
                .Configure(options => options.RandomSeed = i < 2 ? 5 : null).Build();
            await machine.StartAsync(token);
            values[i] = (await machine.WaitForExitAsync(token)).Status;
        }

        Assert.That(values[1], Is.EqualTo(values[0]));
        Assert.That(values[3], Is.Not.EqualTo(values[2]));
    }

    /// <summary>
    /// Prints RIP, the counter and a random number at each of many timer interrupts that hit a loop of uneven instructions and string
    /// moves, and sleeps in between now and then.
    /// </summary>
    private static void Guest(Assembler a)
    {
        Label handler = a.CreateLabel(), again = a.CreateLabel(), awake = a.CreateLabel(), print = a.CreateLabel(), done = a.CreateLabel();
        FlatGuest.LoadTables(a);
        FlatGuest.PointGates(a, handler);
        a.mov(r12d, 0xFEE0_0000u);
        a.mov(__dword_ptr[r12 + 0xF0], 0x1FF);
        a.mov(__dword_ptr[r12 + 0x320], 0x2_0040);
        a.mov(__dword_ptr[r12 + 0x3E0], 0xB);
        a.mov(__dword_ptr[r12 + 0x380], 20_011);
        a.xor(r15d, r15d);
        a.sti();
        a.Label(ref again);
        a.rdrand(rax);
        a.and(eax, 0x3FF);
        a.mov(rcx, rax);
        a.mov(rdi, FlatGuest.Data);
        a.lea(rsi, __[rdi + 0x1003]);
        a.rep.movsb();
        a.imul(rax, rax, 77);
        a.test(al, 7);
        a.jnz(awake);
        a.hlt();
        a.Label(ref awake);
        a.cpuid();
        a.cmp(r15d, Interrupts);
        a.jb(again);
        a.jmp(done);

        a.Label(ref handler);
        a.push(rax);
        a.push(rcx);
        a.push(rdx);
        a.inc(r15d);
        a.mov(__dword_ptr[r12 + 0xB0], 0);
        a.rdtsc();
        a.xor(rax, __[rsp + 24]);
        a.rdrand(rcx);
        a.xor(rax, rcx);
        a.mov(edx, 0x3F8);
        a.mov(ecx, 4);
        a.Label(ref print);
        a.@out(dx, al);
        a.shr(rax, 8);
        a.loop(print);
        a.pop(rdx);
        a.pop(rcx);
        a.pop(rax);
        a.iretq();

        a.Label(ref done);
        FlatGuest.Exit(a, 0);
    }

    private static async Task<Run> RunAsync(bool pauses, ulong? seed, CancellationToken token, CpuEngine? engine = null)
    {
        var recorder = new Recorder();
        await using IVirtualMachine machine = FlatGuest.CreateBuilder(Guest, ClockMode.Virtual)
            .Configure(options => (options.RandomSeed, options.Cpu.Engine) = (seed, engine ?? options.Cpu.Engine))
            .AddConsole(recorder)
            .Build();
        FlatGuest.WriteTables(machine, FlatGuest.Code);
        await machine.StartAsync(token);
        Task<MachineExit> exit = machine.WaitForExitAsync(token);
        while (pauses && !exit.IsCompleted)
        {
            try
            {
                await machine.PauseAsync(token);
                await machine.ResumeAsync(token);
            }
            catch (InvalidOperationException) when (machine.State == MachineState.Stopped)
            {
                // It ended before it could be paused.
            }
        }

        Assert.That((await exit).Reason, Is.EqualTo(MachineExitReason.DebugExit), (await exit).ToString());
        return new Run(machine.InstructionsRetired, machine.Clock.Nanoseconds, recorder.ToString(), recorder.Bytes);
    }

    private sealed record Run(ulong Instructions, ulong Time, string Output, string Bytes);
}
