using System.Runtime.CompilerServices;
using Uml.Core.Cpu.CodeCache;

namespace Uml.Core.Cpu.Emit;

/// <summary>The part of the assembler that is about control flow: jumps, calls and what is patched into them.</summary>
internal abstract unsafe class BranchAssembler : InstructionWriter
{
    // SAFETY: pointers are positions of this writer or of jumps that it wrote, in memory that its user has.

    /// <summary>A conditional jump to a place not known yet.</summary>
    /// <returns>What <see cref="Bind(byte*)"/> takes.</returns>
    public byte* JumpIf(int condition)
    {
        Byte(0x0F);
        Byte(0x80 | condition);
        return Displacement();
    }

    public byte* Jump()
    {
        Byte(0xE9);
        return Displacement();
    }

    public void JumpIf(int condition, byte* target) => CodeMemory.Patch(JumpIf(condition), target);

    public void Jump(byte* target) => CodeMemory.Patch(Jump(), target);

    public void JumpRegister(int register) => Register(0xFF, 4, register, wide: false);

    public void JumpMemory(int @base, int displacement) => Memory(0xFF, 4, @base, displacement, wide: false);

    public void Call(byte* target)
    {
        Byte(0xE8);
        CodeMemory.Patch(Displacement(), target);
    }

    public void CallRegister(int register) => Register(0xFF, 2, register, wide: false);

    public void Return() => Byte(0xC3);

    /// <summary>SYSCALL.</summary>
    public void SystemCall()
    {
        Byte(0x0F);
        Byte(0x05);
    }

    /// <summary>UD2, for places that are never reached.</summary>
    public void Trap()
    {
        Byte(0x0F);
        Byte(0x0B);
    }

    /// <summary>Bytes of an <see cref="Annotation"/>.</summary>
    public const int AnnotationLength = 7;

    /// <summary>A no-op of seven bytes that carries a number (NOP DWORD [RAX + disp32]).</summary>
    public void Annotation(int value)
    {
        Byte(0x0F);
        Byte(0x1F);
        Byte(0x80);
        Int32(value);
    }

    /// <summary>Reads what <see cref="Annotation"/> wrote.</summary>
    /// <param name="at">Where it may be; seven bytes are readable.</param>
    /// <param name="value">Gets the number.</param>
    /// <returns>False when something else is there.</returns>
    public static bool TryReadAnnotation(byte* at, out int value)
    {
        value = Unsafe.ReadUnaligned<int>(at + SiteTable.AnnotationOffset);
        return at[0] == 0x0F && at[1] == 0x1F && at[2] == 0x80;
    }

    /// <summary>Points a jump at the current position.</summary>
    public void Bind(byte* jump) => CodeMemory.Patch(jump, Position);
}
