using Iced.Intel;
using Uml.Core.Cpu.Interpreter;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;
using Uml.Core.Tests.Cpu.Engine;

namespace Uml.Core.Tests.Cpu.Simd;

/// <summary>Runs single instructions on a bare processor whose vector and x87 units are enabled.</summary>
internal static unsafe class VectorMachine
{
    public const ulong Mp = 1 << 1, Em = 1 << 2, Ts = 1 << 3, Ne = 1 << 5;
    public const ulong OsFxsr = 1 << 9, OsXmmExcpt = 1 << 10, OsXsave = 1 << 18;

    public static void Enable(EngineMachine machine)
    {
        CpuState* s = machine.State;
        s->Cr0 |= Mp | Ne;
        s->Cr4 |= OsFxsr | OsXmmExcpt | OsXsave;
        Mmu.UpdateMode(s);
    }

    /// <summary>Runs one instruction without delivering what it raises: the vector of its exception, or null.</summary>
    public static byte? Run(EngineMachine machine, Action<Assembler> code)
    {
        // Each program at its own place, so that no block is reused.
        CpuState* s = machine.State;
        ulong at = s->Rip is >= EngineMachine.Code and < EngineMachine.Data - 64 ? (s->Rip & ~31UL) + 32 : EngineMachine.Code;
        machine.Load(code, at);
        s->Rip = at;
        s->Engine->Remaining = 1;
        s->Engine->Exit = ExitCode.BlockEnd;
        ExitCode exit = InterpreterEngine.Step(s, machine.Cpu.Blocks);
        return exit is ExitCode.Exception or ExitCode.ExceptionAtRip ? s->Engine->ExceptionVector : null;
    }
}
