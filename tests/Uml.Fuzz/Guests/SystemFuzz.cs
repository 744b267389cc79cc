using Microsoft.Extensions.DependencyInjection;
using Uml.Core.Cpu;
using Uml.Core.Machine;
using Uml.Fuzz.Running;
using Uml.Hosting;

namespace Uml.Fuzz.Guests;

/// <summary>Attacks the processor's system state from privilege level 0 and 3 of every mode.</summary>
internal static class SystemFuzz
{
    public static void Run(FuzzRun run) => run.ForEachCase(Attack);

    private static void Attack(FuzzCase test)
    {
        FuzzRandom random = test.Random;
        CpuEngine engine = random.OneIn(3) ? CpuEngine.Interpreter : CpuEngine.Jit;
        StartMode mode = random.OneIn(2) ? StartMode.Long64 : random.Pick(Enum.GetValues<StartMode>());
        bool isVirtual = !random.OneIn(4);
        int threshold = random.Below(3);
        test.Description = $"{engine}, {mode}, {(isVirtual ? "virtual" : "real")} time";
        VirtualMachineBuilder builder = UmlMachine.CreateDefaultBuilder().Configure(options =>
        {
            (options.MemorySize, options.ClockMode) = (BoardMap.MemorySize, isVirtual ? ClockMode.Virtual : ClockMode.Real);
            (options.Cpu.Engine, options.Cpu.TranslationThreshold, options.Cpu.CodeCacheSize) = (engine, threshold, 4 << 20);
            options.Cpu.Model = CpuModel.X64V3;
            options.RandomSeed = test.Seed;
        });
        builder.Services.AddSingleton<IMachineDevice>(new InstructionLimit(isVirtual ? 50_000UL : 20_000_000));
        IVirtualMachine machine = builder.Build();
        SystemState state = new(random, mode);
        byte[] code = new SystemCode(random, mode switch { StartMode.Long64 => 64, StartMode.Real => 16, _ => 32 }).Create();
        machine.Memory.TryWrite(new(0), state.CreateMemory(code));
        state.Apply(machine.Processors[0]);
        GuestRun.Run(test, machine, TimeSpan.FromMilliseconds(40));
    }
}
