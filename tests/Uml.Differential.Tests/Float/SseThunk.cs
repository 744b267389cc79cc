using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Differential.Tests.Float;

/// <summary>Inputs and outputs of one SSE instruction, at the offsets the thunk uses.</summary>
[StructLayout(LayoutKind.Explicit, Size = 96)]
internal struct SseFrame
{
    /// <summary>XMM0 before and after; the destination.</summary>
    [FieldOffset(0)]
    public Vector128<ulong> Destination;

    /// <summary>XMM1, the source.</summary>
    [FieldOffset(16)]
    public Vector128<ulong> Source;

    /// <summary>RAX, for the forms with a general register.</summary>
    [FieldOffset(32)]
    public ulong Gpr;

    /// <summary>MM0, for the forms with an MMX register.</summary>
    [FieldOffset(40)]
    public ulong Mmx;

    [FieldOffset(48)]
    public uint Mxcsr;

    [FieldOffset(52)]
    public uint HostMxcsr;

    [FieldOffset(56)]
    public ulong Flags;

    /// <summary>1 if the instruction raised #XM.</summary>
    [FieldOffset(64)]
    public uint Faulted;
}

/// <summary>Runs one SSE instruction on the real CPU under the guest's MXCSR.</summary>
internal sealed unsafe class SseThunk : IDisposable
{
    private readonly NativeCode _code;
    private readonly FaultRecovery _recovery;

    public SseThunk(Action<Assembler> instruction, bool usesMmx)
    {
        ulong recoveryOffset = 0;
        _code = new NativeCode(a => recoveryOffset = Emit(a, instruction, usesMmx));
        _recovery = new FaultRecovery(_code, _code.Address + (nint)recoveryOffset);
    }

    public void Run(ref SseFrame frame)
    {
        SseFrame local = frame;

        // SAFETY: the thunk touches only the frame, which lives on this stack across the call.
        _code.Run(&local);
        frame = local;
    }

    public void Dispose()
    {
        _recovery.Dispose();
        _code.Dispose();
    }

    /// <summary>Returns the offset of the recovery entry, which stands first behind a short jump so that it is known: 2.</summary>
    private static ulong Emit(Assembler a, Action<Assembler> instruction, bool usesMmx)
    {
        Label start = a.CreateLabel();
        Label done = a.CreateLabel();
        a.jmp(start);
        a.mov(__dword_ptr[rdi + 64], 1);
        a.jmp(done);
        a.Label(ref start);
        a.stmxcsr(__dword_ptr[rdi + 52]);
        if (usesMmx)
        {
            a.movq(mm0, __qword_ptr[rdi + 40]);
        }

        a.movups(xmm0, __xmmword_ptr[rdi]);
        a.movups(xmm1, __xmmword_ptr[rdi + 16]);
        a.mov(rax, __qword_ptr[rdi + 32]);
        a.ldmxcsr(__dword_ptr[rdi + 48]);
        instruction(a);
        a.Label(ref done);
        a.pushfq();
        a.pop(__qword_ptr[rdi + 56]);
        a.stmxcsr(__dword_ptr[rdi + 48]);
        a.ldmxcsr(__dword_ptr[rdi + 52]);
        a.movups(__xmmword_ptr[rdi], xmm0);
        a.mov(__qword_ptr[rdi + 32], rax);
        if (usesMmx)
        {
            a.movq(__qword_ptr[rdi + 40], mm0);
            a.emms();
        }

        a.ret();
        return 2;
    }
}
