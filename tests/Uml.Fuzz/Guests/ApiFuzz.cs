using Iced.Intel;
using Uml.Core.Boot;
using Uml.Core.Cpu;
using Uml.Core.Machine;
using Uml.Devices.Consoles;
using Uml.Devices.Platform;
using Uml.Fuzz.Running;
using Uml.Hosting;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Fuzz.Guests;

/// <summary>Attacks the public API: every thread does what it likes with one machine, whose guest is busy with all that a guest can be busy with.</summary>
internal static class ApiFuzz
{
    private const ulong Code = 0x10_0000;
    private const int Threads = 3;

    private static readonly byte[] s_guest = AssembleGuest();

    public static void Run(FuzzRun run) => run.ForEachCase(Attack);

    private static void Attack(FuzzCase test)
    {
        FuzzRandom random = test.Random;
        CpuEngine engine = random.OneIn(3) ? CpuEngine.Interpreter : CpuEngine.Jit;
        ClockMode clock = random.OneIn(3) ? ClockMode.Virtual : ClockMode.Real;
        InMemoryConsoleChannel console = new(new InMemoryConsoleOptions { MaximumTranscript = 4096, DefaultTimeout = TimeSpan.FromMilliseconds(20) });
        IVirtualMachine machine = UmlMachine.CreateDefaultBuilder()
            .Configure(options =>
            {
                (options.MemorySize, options.ClockMode) = (BoardMap.MemorySize, clock);
                (options.Cpu.Engine, options.Cpu.TranslationThreshold, options.Cpu.CodeCacheSize) = (engine, 2, 4 << 20);
            })
            .UseKernel(BootFile.FromBytes(s_guest, "busy guest"))
            .ConfigureBoot(boot => (boot.Protocol, boot.FlatAddress) = (BootProtocol.Flat64, Code))
            .AddConsole(console)
            .Build();
        bool disposes = random.OneIn(2);
        test.Description = $"{engine}, {clock} time, disposed by {(disposes ? "any thread" : "the last")}";
        if (!random.OneIn(8))
        {
            machine.StartAsync().Wait();
        }

        Exception?[] failures = new Exception?[Threads];
        Thread[] threads = [.. Enumerable.Range(0, Threads).Select(number => new Thread(() =>
        {
            ApiCaller caller = new(machine, console, new FuzzRandom(Seeds.Derive(test.Seed, (ulong)number + 1)), mayDispose: disposes);
            failures[number] = caller.Run();
        }))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        GuestRun.End(machine.StopAsync(), "StopAsync");
        CheckStopped(machine, disposes);
        GuestRun.End(machine.DisposeAsync().AsTask(), "DisposeAsync");
        foreach (Exception failure in failures.OfType<Exception>())
        {
            throw new InvalidOperationException($"A call threw what it is not documented to throw: {failure.Message}", failure);
        }

        test.Count(GuestRun.Check(machine.WaitForExitAsync().Result).ToString());
    }

    /// <summary>A machine that has ended stays so, and gives its registers and memory back.</summary>
    private static void CheckStopped(IVirtualMachine machine, bool mayBeDisposed)
    {
        if (machine.State != MachineState.Stopped)
        {
            throw new InvalidOperationException($"The machine has stopped, and says that it is {machine.State}.");
        }

        try
        {
            machine.Processors[0].Rax = machine.Processors[0].Rip;
            machine.Memory.TryWrite(new(0), [1]);
        }
        catch (ObjectDisposedException) when (mayBeDisposed)
        {
            // A thread has disposed it.
        }
    }

    /// <summary>Echoes its console, rewrites a function that it calls, sets its timer, writes to memory, halts now and then.</summary>
    private static byte[] AssembleGuest()
    {
        const int lineStatus = 0x3FD, data = 0x3F8;
        const ulong function = 0x20_0000;
        Assembler a = new(64);
        Label again = a.CreateLabel(), silent = a.CreateLabel();
        a.mov(rsp, 0x30_0000L);
        a.mov(__dword_ptr[function], unchecked((int)0xC300_C083)); // add eax, 0; ret
        a.Label(ref again);
        a.mov(edx, lineStatus);
        a.@in(al, dx);
        a.test(al, 1);
        a.je(silent);
        a.mov(edx, data);
        a.@in(al, dx);
        a.@out(dx, al);
        a.Label(ref silent);
        a.inc(__byte_ptr[function + 2]);
        a.mov(ebx, (uint)function);
        a.call(rbx);
        a.mov(edi, (uint)MemoryMap.LocalApicStart);
        a.mov(__dword_ptr[rdi + 0x380], ebx);
        a.mov(edi, 0x28_0000);
        a.mov(ecx, 200);
        a.rep.stosq();
        a.inc(r12);
        a.jmp(again);
        using var stream = new MemoryStream();
        a.Assemble(new StreamCodeWriter(stream), Code);
        return stream.ToArray();
    }
}
