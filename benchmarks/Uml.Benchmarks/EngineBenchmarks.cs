using BenchmarkDotNet.Attributes;
using Iced.Intel;
using Uml.Core;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Benchmarks;

/// <summary>What the engine makes of loops that guests spend their time in. Each operation is one guest instruction.</summary>
public class EngineBenchmarks
{
    private const int Instructions = 1_000_000;
    private const ulong Data = CodeSandbox.DataAddress;

    private CodeSandbox _sandbox = null!;

    private const ulong FarFunction = CodeSandbox.CodeAddress + 0x2000;

    /// <summary>More pages than the translation buffer has entries.</summary>
    private const int WorkingSet = 32 << 20;

    [Params(CpuEngine.Interpreter, CpuEngine.Jit)]
    public CpuEngine Engine { get; set; }

    [ParamsAllValues]
    public Loop Body { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        _sandbox = new CodeSandbox(new CodeSandboxOptions { Engine = Engine, MemorySize = WorkingSet * 2 });
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

        // A function two pages further on: lea rax, [rax + 1]; ret
        _sandbox.Memory.TryWrite(new(FarFunction), [0x48, 0x8D, 0x40, 0x01, 0xC3]);
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
            case Loop.CallsToOtherPage:
                a.call(FarFunction);
                break;
            case Loop.IndirectCalls:
                a.lea(rdi, __[function]);
                a.call(rdi);
                break;
            case Loop.TlbMisses:
                a.add(rbx, 4096);
                a.and(rbx, WorkingSet - 1);
                a.add(rax, __qword_ptr[rbx + (long)Data]);
                break;
            case Loop.HandlerExits:
                a.rdseed(eax);
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
    CallsToOtherPage,
    IndirectCalls,

    /// <summary>Each load is of another page.</summary>
    TlbMisses,

    /// <summary>Instructions that translated code leaves to the interpreter.</summary>
    HandlerExits,
    Sse,
}
