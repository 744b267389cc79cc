using System.Runtime.CompilerServices;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Fpu;

/// <summary>
/// FIP, FDP and FOP (Intel SDM vol. 1, 8.1.8 and 8.1.9), which exception handlers read. They are updated only while an exception is
/// unmasked, when the interpreter runs x87 code in both engines; translated code, which runs with all exceptions masked, does not update
/// them. For FDP and FOP that is what processors do (CPUID.7.0:EBX[6], "FDP_EXCPTN_ONLY", and vol. 1, 8.1.9.1).
/// </summary>
// SAFETY: instruction bytes are read from the block that runs, within its length.
internal static unsafe class X87Pointers
{
    /// <summary>Of an instruction without a memory operand.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Note(CpuState* s, Op* op)
    {
        if (!s->X87.MasksExceptions)
        {
            NoteInstruction(s, op);
        }
    }

    /// <summary>Of an instruction with one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void NoteWithOperand(CpuState* s, Op* op)
    {
        if (!s->X87.MasksExceptions)
        {
            NoteInstruction(s, op);
            s->X87.DataPointer = Operand.Effective(s, op);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void NoteInstruction(CpuState* s, Op* op)
    {
        s->X87.InstructionPointer = Flow.Current(s, op);

        // Behind the prefixes, none of which is in this range: D8 to DF, and ModRM.
        byte* code = Block.Code(BlockState.Of(s)->CurrentBlock) + op->Offset, end = code + op->Length - 1;
        while (code < end && *code is < 0xD8 or > 0xDF)
        {
            code++;
        }

        s->X87.LastOpcode = code < end ? (ushort)(((code[0] & 7) << 8) | code[1]) : (ushort)0;
    }
}
