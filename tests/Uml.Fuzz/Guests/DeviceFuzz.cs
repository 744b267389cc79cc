using Microsoft.Extensions.DependencyInjection;
using Uml.Core.Boot;
using Uml.Core.Bus;
using Uml.Core.Cpu;
using Uml.Core.Machine;
using Uml.Devices.Consoles;
using Uml.Devices.Pci;
using Uml.Fuzz.Running;
using Uml.Hosting;

namespace Uml.Fuzz.Guests;

/// <summary>Attacks the board's devices: from a guest, and from a device that knows the bus.</summary>
internal static class DeviceFuzz
{
    public static void Run(FuzzRun run) => run.ForEachCase(Attack);

    private static void Attack(FuzzCase test)
    {
        FuzzRandom random = test.Random;
        bool isVirtual = random.OneIn(2);
        CpuEngine engine = random.OneIn(2) ? CpuEngine.Interpreter : CpuEngine.Jit;
        int threshold = random.Below(4);
        byte[] program = new DeviceProgram(random).Assemble();
        test.Description = $"{engine}, {(isVirtual ? "virtual" : "real")} time, {program.Length} bytes of code";
        InMemoryConsoleChannel console = new(new InMemoryConsoleOptions { MaximumTranscript = 4096 }), second = new(new InMemoryConsoleOptions { MaximumTranscript = 4096 });
        VirtualMachineBuilder builder = UmlMachine.CreateDefaultBuilder()
            .Configure(options =>
            {
                (options.MemorySize, options.ClockMode) = (BoardMap.MemorySize, isVirtual ? ClockMode.Virtual : ClockMode.Real);
                (options.Cpu.Engine, options.Cpu.TranslationThreshold, options.Cpu.CodeCacheSize) = (engine, threshold, 4 << 20);
                options.RandomSeed = test.Seed;
            })
            .UseKernel(BootFile.FromBytes(program, "device accesses"))
            .ConfigureBoot(boot => (boot.Protocol, boot.FlatAddress) = (BootProtocol.Flat64, DeviceProgram.Code))
            .AddConsole(console)
            .AddConsole(second, "ttyS1");
        builder.Services.AddSingleton<IMachineDevice>(services => new FuzzFunction(
            services.GetRequiredService<IPciBus>(), services.GetRequiredService<IInterruptRouter>(), new FuzzRandom(Seeds.Derive(test.Seed, 1))));
        builder.Services.AddSingleton<IMachineDevice>(new InstructionLimit(isVirtual ? 200_000UL : 40_000_000));
        byte[] input = random.Bytes(random.Below(200));
        GuestRun.Run(test, builder.Build(), TimeSpan.FromMilliseconds(60), () => Type(console, second, input));
    }

    private static void Type(InMemoryConsoleChannel console, InMemoryConsoleChannel second, byte[] input)
    {
        try
        {
            console.WriteAsync(input).Wait();
            second.WriteAsync(input).Wait();
        }
        catch (AggregateException e) when (e.InnerException is ConsoleExpectException)
        {
            // The guest ended its machine before.
        }
    }
}
