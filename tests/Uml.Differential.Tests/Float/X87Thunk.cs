using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Differential.Tests.Float;

[InlineArray(108)]
internal struct X87Image
{
    private byte _first;
}

/// <summary>Inputs and outputs of one x87 instruction, at the offsets the thunk uses.</summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal struct X87Frame
{
    /// <summary>FRSTOR image before.</summary>
    [FieldOffset(0)]
    public X87Image Before;

    /// <summary>FNSAVE image after.</summary>
    [FieldOffset(112)]
    public X87Image After;

    /// <summary>The memory operand, 16 bytes.</summary>
    [FieldOffset(224)]
    public UInt128 Memory;

    [FieldOffset(240)]
    public ulong Rax;

    /// <summary>EFLAGS before and after; only ZF, PF and CF are used.</summary>
    [FieldOffset(248)]
    public ulong Flags;
}

/// <summary>Runs one x87 instruction on the real CPU. Unmasked exceptions stay pending: FNSAVE does not wait.</summary>
internal sealed unsafe class X87Thunk : IDisposable
{
    private readonly NativeCode _code;

    public X87Thunk(Action<Assembler> instruction) => _code = new NativeCode(a =>
    {
        a.frstor(__[rdi]);
        a.mov(rax, __qword_ptr[rdi + 240]);
        a.push(__qword_ptr[rdi + 248]);
        a.popfq();
        instruction(a);
        a.pushfq();
        a.pop(__qword_ptr[rdi + 248]);
        a.mov(__qword_ptr[rdi + 240], rax);
        a.fnsave(__[rdi + 112]);
        a.ret();
    });

    public void Run(ref X87Frame frame)
    {
        X87Frame local = frame;

        // SAFETY: the thunk touches only the frame, which lives on this stack across the call.
        _code.Run(&local);
        frame = local;
    }

    public void Dispose() => _code.Dispose();
}
