using BenchmarkDotNet.Attributes;
using Iced.Intel;
using Uml.Core.Cpu;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Benchmarks;

/// <summary>
/// Code that runs once: what decoding costs (the interpreter), and decoding and translating (the translator, which waits for nothing here).
/// Each operation is one guest instruction.
/// </summary>
[MemoryDiagnoser]
public class TranslationBenchmarks
{
    private const int Blocks = 2_000, PerBlock = 9;

    private BareGuest _guest = null!;

    [Params(CpuEngine.Interpreter, CpuEngine.Jit)]
    public CpuEngine Engine { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        _guest = BenchmarkGuest.Create(Engine, threshold: 0);
        _guest.Load(a =>
        {
            a.mov(rsi, BenchmarkGuest.Data);
            for (int i = 0; i < Blocks; i++)
            {
                Label next = a.CreateLabel();
                a.mov(rax, __qword_ptr[rsi + 8]);
                a.add(rax, rbx);
                a.lea(rdx, __[rax + (rbx * 4) + 12]);
                a.mov(__dword_ptr[rsi + 16], edx);
                a.push(rdx);
                a.and(edx, 0xFF);
                a.pop(rdi);
                a.cmp(rdx, rax);
                a.jne(next);
                a.Label(ref next);
            }

            a.hlt();
        });
    }

    [GlobalCleanup]
    public void CleanUp() => _guest.Dispose();

    [Benchmark(OperationsPerInvoke = Blocks * PerBlock)]
    public void FirstRun()
    {
        _guest.Cpu.Blocks.Flush();
        if (_guest.RunAll(1_000_000) != RunResult.Halted)
        {
            throw new InvalidOperationException("The program did not come to its end.");
        }
    }
}
