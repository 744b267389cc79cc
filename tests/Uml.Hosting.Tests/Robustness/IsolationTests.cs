using Microsoft.Extensions.DependencyInjection;
using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Memory;
using Uml.Devices.Consoles;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Hosting.Tests.Robustness;

/// <summary>What one machine, or what its owner plugged into it, does wrong stays in it.</summary>
[CancelAfter(60_000)]
public sealed class IsolationTests
{
    [Test]
    public async Task Machines_at_the_same_time_do_not_disturb_each_other(CancellationToken token)
    {
        // The same code at the same addresses, a different number in each; the last two crash and spin.
        IVirtualMachine[] machines = new IVirtualMachine[4];
        for (int i = 0; i < machines.Length; i++)
        {
            int number = i;
            machines[i] = FlatGuest.CreateBuilder(a => Sum(a, number)).Configure(options => options.Name = $"machine {number}").Build();
        }

        try
        {
            await Task.WhenAll(machines.Select(machine => machine.StartAsync(token)));
            MachineExit crash = await machines[2].WaitForExitAsync(token);
            Assert.That(crash.Reason, Is.EqualTo(MachineExitReason.TripleFault));
            await FlatGuest.AssertPrompt(machines[3].StopAsync(token), "Stopping", token);
            for (uint i = 0; i < 2; i++)
            {
                MachineExit exit = await machines[i].WaitForExitAsync(token);
                Assert.That((exit.Reason, exit.Status), Is.EqualTo((MachineExitReason.DebugExit, 50_000 * (i + 1))));
            }
        }
        finally
        {
            foreach (IVirtualMachine machine in machines)
            {
                await machine.DisposeAsync();
            }
        }
    }

    [Test]
    public async Task Memory_and_registers_may_be_in_use_while_their_machine_is_disposed(CancellationToken token)
    {
        for (int round = 0; round < 10; round++)
        {
            IVirtualMachine machine = FlatGuest.CreateBuilder(a => Sum(a, 1)).Build();
            Task[] users =
            [
                Use(() => machine.Memory.TryRead(new(0), new byte[1 << 20])),
                Use(() => machine.Memory.TryWrite(new(FlatGuest.Data), new byte[1 << 20])),
                Use(() => machine.Processors[0].Cr3 = machine.Processors[0].Rax),
                Use(() => machine.Processors[0].Xmm[3] = machine.Processors[0].Xmm[4]),
            ];
            await Task.Delay(round * 2, token);
            await machine.DisposeAsync();
            await Task.WhenAll(users).WaitAsync(token);
        }

        Task Use(Action use) => Task.Run(
            () => Assert.That(
                () =>
                {
                    while (!token.IsCancellationRequested)
                    {
                        use();
                    }
                },
                Throws.InstanceOf<ObjectDisposedException>()),
            token);
    }

    [Test]
    public async Task A_flood_on_the_console_is_bounded(CancellationToken token)
    {
        var channel = new InMemoryConsoleChannel(new InMemoryConsoleOptions { MaximumTranscript = 4096 });
        await using IVirtualMachine machine = FlatGuest.CreateBuilder(Flood).AddConsole(channel).Build();
        await machine.StartAsync(token);
        await machine.WaitForExitAsync(token);
        Assert.That(channel.Transcript, Has.Length.InRange(1024, 4096));
        Assert.That(channel.Transcript, Does.Match("^x+$"));
    }

    [Test]
    public async Task A_reader_that_never_reads_costs_nothing(CancellationToken token)
    {
        var channel = new StuckChannel();
        await using IVirtualMachine machine = FlatGuest.CreateBuilder(Flood).AddConsole(channel).Build();
        long before = GC.GetTotalAllocatedBytes();
        await machine.StartAsync(token);
        await machine.WaitForExitAsync(token);
        Assert.That(channel.Offered, Is.GreaterThan(0));
        Assert.That(GC.GetTotalAllocatedBytes() - before, Is.LessThan(4 << 20));
    }

    [Test]
    public async Task A_device_that_throws_ends_its_machine_only(CancellationToken token)
    {
        VirtualMachineBuilder builder = FlatGuest.CreateBuilder(a =>
        {
            a.mov(edx, 0x1230);
            a.@in(eax, dx);
            FlatGuest.Exit(a, 1);
        });
        builder.Services.AddSingleton<IMachineDevice>(new ThrowingDevice());
        await using IVirtualMachine machine = builder.Build();
        await machine.StartAsync(token);
        MachineExit exit = await machine.WaitForExitAsync(token);
        Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.InternalError));
        Assert.That(exit.Exception, Is.InstanceOf<InvalidTimeZoneException>());
    }

    [TestCase(false, "Uml.Hosting.Tests.Robustness.IsolationTests+BrokenChannel threw System.InvalidTimeZoneException in Write: lost")]
    [TestCase(true, "Uml.Hosting.Tests.Robustness.IsolationTests+BrokenChannel returned 1000000 from Write")]
    public async Task A_console_channel_that_breaks_is_named(bool counts, string words, CancellationToken token)
    {
        await using IVirtualMachine machine = FlatGuest.CreateBuilder(Flood).AddConsole(new BrokenChannel(counts)).Build();
        await machine.StartAsync(token);
        MachineExit exit = await machine.WaitForExitAsync(token);
        Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.ServiceFailure));
        Assert.That(exit.Message, Does.Contain(words).And.Not.Contain("defect"));
        Assert.That(exit.Exception, counts ? Is.Not.Null : Is.InstanceOf<InvalidTimeZoneException>());
    }

    [Test]
    public async Task A_console_channel_that_blocks_does_not_hold_up_the_end(CancellationToken token)
    {
        using ManualResetEventSlim release = new();
        using ManualResetEventSlim held = new();
        IVirtualMachine machine = FlatGuest.CreateBuilder(Flood).AddConsole(new BlockingChannel(held, release)).Build();
        await machine.StartAsync(token);
        Assert.That(held.Wait(TimeSpan.FromSeconds(20), token));
        await FlatGuest.AssertPrompt(machine.StopAsync(token), "Stopping", token);
        await FlatGuest.AssertPrompt(machine.DisposeAsync().AsTask(), "Disposing", token);
        Assert.That((await machine.WaitForExitAsync(token)).Message, Does.Contain("left behind"));
        release.Set();
        while (IsMemoryOpen(machine))
        {
            await Task.Delay(5, token);
        }
    }

    [Test]
    public async Task A_service_that_throws_at_the_end_is_told_of_and_harms_nobody(CancellationToken token)
    {
        VirtualMachineBuilder builder = FlatGuest.CreateBuilder(a => FlatGuest.Exit(a, 9));
        builder.Services.AddSingleton<IMachineExitInterpreter>(new ThrowingInterpreter());
        await using IVirtualMachine machine = builder.Build();
        await machine.StartAsync(token);
        MachineExit exit = await machine.WaitForExitAsync(token);
        Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.ServiceFailure));
        Assert.That(exit.Exception, Is.InstanceOf<InvalidTimeZoneException>());
        Assert.That(exit.Message, Does.Contain("wrote 9 to the debug-exit port"));
        Assert.That(machine.State, Is.EqualTo(MachineState.Stopped));
    }

    [Test]
    public async Task A_disposed_machine_hands_out_no_memory(CancellationToken token)
    {
        IVirtualMachine machine = FlatGuest.CreateBuilder(a => FlatGuest.Exit(a, 1)).Build();
        await machine.StartAsync(token);
        await machine.WaitForExitAsync(token);
        await machine.DisposeAsync();
        await machine.DisposeAsync();
        IGuestMemory memory = machine.Memory;
        Assert.That(() => memory.TryRead(new(FlatGuest.Code), new byte[8]), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(() => memory.TryWrite(new(FlatGuest.Code), new byte[8]), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(() => machine.Processors[0].Rip, Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(() => machine.Clock.Nanoseconds, Throws.Nothing);
        Assert.That(() => machine.StopAsync(token), Throws.Nothing);
    }

    private static bool IsMemoryOpen(IVirtualMachine machine)
    {
        try
        {
            return machine.Memory.TryRead(new(FlatGuest.Code), new byte[8]);
        }
        catch (ObjectDisposedException)
        {
            return false;
        }
    }

    private sealed class BrokenChannel(bool counts) : IConsoleChannel
    {
        public void Attach(Action ready)
        {
        }

        public int Read(Span<byte> destination) => 0;

        public int Write(ReadOnlySpan<byte> source) => counts ? 1_000_000 : throw new InvalidTimeZoneException("lost");
    }

    private sealed class BlockingChannel(ManualResetEventSlim held, ManualResetEventSlim release) : IConsoleChannel
    {
        public void Attach(Action ready)
        {
        }

        public int Read(Span<byte> destination) => 0;

        public int Write(ReadOnlySpan<byte> source)
        {
            held.Set();
            release.Wait();
            return source.Length;
        }
    }

    private static void Sum(Iced.Intel.Assembler a, int number)
    {
        var again = a.CreateLabel();
        a.mov(ecx, 50_000);
        a.xor(eax, eax);
        a.Label(ref again);
        a.add(eax, number + 1);
        a.mov(__[(int)FlatGuest.Data], eax);
        a.loop(again);
        switch (number)
        {
            case 2:
                a.ud2();
                break;
            case 3:
                a.jmp(again);
                break;
        }

        a.mov(eax, __dword_ptr[(int)FlatGuest.Data]);
        a.@out(FlatGuest.DebugExit, eax);
        a.hlt();
    }

    private static void Flood(Iced.Intel.Assembler a)
    {
        a.mov(edi, (int)FlatGuest.Data);
        a.mov(esi, edi);
        a.mov(ecx, 100_000);
        a.mov(eax, 'x');
        a.rep.stosb();
        a.mov(ecx, 100_000);
        a.mov(edx, 0x3F8);
        a.rep.outsb();
        FlatGuest.Exit(a, 1);
    }

    private sealed class StuckChannel : IConsoleChannel
    {
        public int Offered { get; private set; }

        public void Attach(Action ready)
        {
        }

        public int Read(Span<byte> destination) => 0;

        public int Write(ReadOnlySpan<byte> source)
        {
            Offered += source.Length;
            return 0;
        }
    }

    private sealed class ThrowingDevice() : StatelessDevice("throwing"), IBusDevice
    {
        public override void Attach(IMachineContext machine) => machine.Bus.MapPorts(0x1230, 4, this);

        public ulong Read(IProcessor processor, ulong offset, int size) => throw new InvalidTimeZoneException("on purpose");

        public void Write(IProcessor processor, ulong offset, int size, ulong value)
        {
        }
    }

    private sealed class ThrowingInterpreter : IMachineExitInterpreter
    {
        public MachineExit Interpret(MachineExit exit) => throw new InvalidTimeZoneException("on purpose");
    }
}
