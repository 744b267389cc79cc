using BenchmarkDotNet.Attributes;
using Iced.Intel;
using Uml.Core.Boot;
using Uml.Core.Machine;
using Uml.Hosting;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Benchmarks;

/// <summary>How long it takes to halt a guest that never lets go, and to let it run again: a call of each is one operation.</summary>
public class PauseBenchmarks
{
    private const ulong Code = 0x10_0000, Data = 0x40_0000;

    private IVirtualMachine _machine = null!;

    [Params(Loop.Jump, Loop.LongBlocks, Loop.CallAndReturn, Loop.CpuId, Loop.Strings, Loop.Sleep)]
    public Loop Guest { get; set; }

    [GlobalSetup]
    public async Task SetUp()
    {
        _machine = UmlMachine.CreateDefaultBuilder()
            .Configure(options => options.MemorySize = 16UL << 20)
            .UseKernel(BootFile.FromBytes(BareGuest.Assemble(Emit, Code), "loop"))
            .ConfigureBoot(boot => (boot.Protocol, boot.FlatAddress) = (BootProtocol.Flat64, Code))
            .Build();
        await _machine.StartAsync();
    }

    [GlobalCleanup]
    public async Task CleanUp() => await _machine.DisposeAsync();

    [Benchmark]
    public async Task PauseAndResume()
    {
        await _machine.PauseAsync();
        await _machine.ResumeAsync();
    }

    private void Emit(Assembler a)
    {
        Label again = a.CreateLabel();
        a.sti();
        a.Label(ref again);
        switch (Guest)
        {
            case Loop.LongBlocks:
                for (int i = 0; i < 1000; i++)
                {
                    a.imul(eax, ebx, 3);
                }

                break;
            case Loop.CallAndReturn:
                Label function = a.CreateLabel();
                a.call(function);
                a.jmp(again);
                a.Label(ref function);
                a.ret();
                break;
            case Loop.CpuId:
                a.cpuid();
                break;
            case Loop.Strings:
                a.mov(edi, (uint)Data);
                a.mov(ecx, 8 << 20);
                a.rep.stosb();
                break;
            case Loop.Sleep:
                a.hlt();
                break;
        }

        a.jmp(again);
    }

    /// <summary>What the guest does.</summary>
    public enum Loop
    {
        Jump,

        /// <summary>Blocks of as many instructions as there may be.</summary>
        LongBlocks,
        CallAndReturn,
        CpuId,

        /// <summary>REP STOS over eight MiB.</summary>
        Strings,
        Sleep,
    }
}
