using BenchmarkDotNet.Attributes;
using Iced.Intel;
using Uml.Core;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Benchmarks;

/// <summary>What the engine makes of loops that guests spend their time in. Each operation is one guest instruction.</summary>
public class InterpreterBenchmarks
{
    private const int Instructions = 1_000_000;
    private const ulong Data = CodeSandbox.DataAddress;

    private CodeSandbox _sandbox = null!;

    [Params(Loop.Arithmetic, Loop.Memory, Loop.Calls, Loop.Sse)]
    public Loop Body { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        _sandbox = new CodeSandbox();
        Assembler a = new(64);
        Label top = a.CreateLabel();
        Label function = a.CreateLabel();
        a.mov(rsi, Data);
        a.Label(ref top);
        Emit(a, function);
        a.jmp(top);
        a.Label(ref function);
        a.lea(rax, __qword_ptr[rax + 1]);
        a.ret();
        _sandbox.Load(a);
    }

    [GlobalCleanup]
    public void CleanUp() => _sandbox.Dispose();

    [Benchmark(OperationsPerInvoke = Instructions)]
    public CodeResult Run() => _sandbox.Run(Instructions);

    private void Emit(Assembler a, Label function)
    {
        switch (Body)
        {
            case Loop.Arithmetic:
                a.add(rax, rbx);
                a.xor(rcx, rax);
                a.imul(rdx, rcx, 3);
                a.shl(rdx, 1);
                break;
            case Loop.Memory:
                a.mov(rax, __qword_ptr[rsi]);
                a.add(rax, __qword_ptr[rsi + 8]);
                a.mov(__qword_ptr[rsi + 16], rax);
                a.inc(__dword_ptr[rsi + 24]);
                break;
            case Loop.Calls:
                a.call(function);
                break;
            default:
                a.movaps(xmm0, __xmmword_ptr[rsi]);
                a.addpd(xmm0, xmm1);
                a.pshufd(xmm2, xmm0, 0x1B);
                a.movaps(__xmmword_ptr[rsi + 32], xmm2);
                break;
        }
    }
}

/// <summary>Bodies of loops.</summary>
public enum Loop
{
    Arithmetic,
    Memory,
    Calls,
    Sse,
}
