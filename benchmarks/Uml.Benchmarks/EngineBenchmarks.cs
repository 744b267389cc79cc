using BenchmarkDotNet.Attributes;
using Iced.Intel;
using Uml.Core.Cpu;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Benchmarks;

/// <summary>What guests do all the time, on both engines. Each operation is one pass of the loop named, its two instructions of overhead included.</summary>
public class EngineBenchmarks
{
    private const int Passes = 100_000;
    private const ulong Far = BareGuest.Code + 0x4000, FaultHandler = BareGuest.Code + 0x8000;

    private BareGuest _guest = null!;
    private long _instructions;

    [Params(CpuEngine.Interpreter, CpuEngine.Jit)]
    public CpuEngine Engine { get; set; }

    [Params(
        Pass.Empty, Pass.Arithmetic, Pass.Vectors, Pass.X87, Pass.DirectJump, Pass.JumpToOtherPage, Pass.CallToOtherPage, Pass.IndirectJump,
        Pass.CallAndReturn, Pass.TlbHit, Pass.TlbMiss, Pass.Handler, Pass.Fault)]
    public Pass Body { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        _guest = BenchmarkGuest.Create(Engine);
        _guest.SetGate64(6, FaultHandler);
        int perPass = 0;
        _guest.Load(a =>
        {
            Label top = a.CreateLabel();
            a.mov(ecx, Passes);
            a.mov(rsi, BenchmarkGuest.Data);
            a.mov(rbx, Far);
            a.Label(ref top);
            perPass = Emit(a) + 2;
            a.dec(ecx);
            a.jnz(top);
            a.hlt();
        });
        _guest.Load(
            a =>
            {
                // Behind UD2.
                a.add(__qword_ptr[rsp], 2);
                a.iretq();
            },
            FaultHandler);
        _instructions = 4 + ((long)perPass * Passes);
    }

    [GlobalCleanup]
    public void CleanUp() => _guest.Dispose();

    /// <summary>Fails when the program does something else than it should: the figure would be of nothing.</summary>
    [Benchmark(OperationsPerInvoke = Passes)]
    public void Run()
    {
        ulong before = _guest.Cpu.InstructionsRetired;
        if (_guest.RunAll(_instructions + 1) != RunResult.Halted || _guest.Cpu.InstructionsRetired - before != (ulong)_instructions)
        {
            throw new InvalidOperationException($"{Body} retired {_guest.Cpu.InstructionsRetired - before} instructions, not {_instructions}.");
        }
    }

    /// <summary>Writes the body of the loop.</summary>
    /// <returns>Instructions a pass retires.</returns>
    private int Emit(Assembler a)
    {
        switch (Body)
        {
            case Pass.Empty: return 0;
            case Pass.Arithmetic:
                a.add(rax, rbx);
                a.xor(rdx, rax);
                a.imul(rdi, rdx, 3);
                a.shl(rdi, 1);
                return 4;
            case Pass.Vectors:
                a.paddd(xmm0, xmm1);
                a.pshufd(xmm2, xmm0, 0x1B);
                a.movaps(__xmmword_ptr[rsi], xmm2);
                a.addpd(xmm3, __xmmword_ptr[rsi]);
                return 4;
            case Pass.X87:
                a.fld1();
                a.fadd(st0, st0);
                a.fstp(__qword_ptr[rsi]);
                return 3;
            case Pass.TlbHit:
                a.mov(rax, __qword_ptr[rsi]);
                a.mov(__qword_ptr[rsi + 8], rax);
                return 2;
            case Pass.TlbMiss:
                // Two pages of one place in the TLB, in turn.
                a.mov(rax, __qword_ptr[rsi]);
                a.mov(rax, __qword_ptr[rsi + (long)BenchmarkGuest.Alias]);
                return 2;
            case Pass.Handler:
                a.str(eax);
                return 1;
            case Pass.Fault:
                a.ud2();
                return 2;
            default: return EmitJump(a);
        }
    }

    private int EmitJump(Assembler a)
    {
        Label next = a.CreateLabel();
        switch (Body)
        {
            case Pass.DirectJump:
                a.jmp(next);
                a.nop();
                a.Label(ref next);
                a.nop();
                return 2;
            case Pass.CallToOtherPage:
                a.call(Far);
                _guest.Load(far => far.ret(), Far);
                return 2;
            case Pass.CallAndReturn:
                Label behind = a.CreateLabel();
                a.call(next);
                a.jmp(behind);
                a.Label(ref next);
                a.ret();
                a.Label(ref behind);
                a.nop();
                return 4;
            default:
                // There directly or through a register, and directly back.
                if (Body == Pass.IndirectJump)
                {
                    a.jmp(rbx);
                }
                else
                {
                    a.jmp(Far);
                }

                a.Label(ref next);
                a.nop();
                _guest.Load(far => far.jmp(BareGuest.Code + (Body == Pass.IndirectJump ? BackOfIndirect : BackOfDirect)), Far);
                return 3;
        }
    }

    /// <summary>Where the pass goes on: behind MOV ECX (5), MOV RSI and RBX (10 each as written here) and the jump (2 or 5).</summary>
    private static ulong BackOfIndirect => Prologue + 2;

    private static ulong BackOfDirect => Prologue + 5;

    private static ulong Prologue { get; } = (ulong)BareGuest.Assemble(a =>
    {
        a.mov(ecx, Passes);
        a.mov(rsi, BenchmarkGuest.Data);
        a.mov(rbx, Far);
    }).Length;
}

/// <summary>Bodies of a loop.</summary>
public enum Pass
{
    Empty,
    Arithmetic,
    Vectors,
    X87,
    DirectJump,
    JumpToOtherPage,
    CallToOtherPage,
    IndirectJump,
    CallAndReturn,
    TlbHit,
    TlbMiss,

    /// <summary>An instruction that translated code leaves to the interpreter.</summary>
    Handler,

    /// <summary>An exception, its handler and the way back.</summary>
    Fault,
}
