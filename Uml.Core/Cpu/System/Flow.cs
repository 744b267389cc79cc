using System.Runtime.CompilerServices;
using Uml.Core.Cpu.Interpreter;

namespace Uml.Core.Cpu;

/// <summary>How system instructions leave their block.</summary>
internal static unsafe class Flow
{
    // SAFETY: here and in every handler of this folder, s and op are the engine's: valid and unmoving while the handler runs.

    /// <summary>RIP of the instruction itself.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong CurrentRip(CpuState* s, Op* op) => (s->BlockRip + op->Offset) & s->IpMask;

    /// <summary>RIP of the instruction behind it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong NextRip(CpuState* s, Op* op) => (s->BlockRip + op->Offset + op->Length) & s->IpMask;

    /// <summary>Ends the block behind the instruction.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Op* EndBlock(CpuState* s, Op* op)
    {
        s->Rip = NextRip(s, op);
        return Leave(s);
    }

    /// <summary>Ends the block; RIP is set already.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Op* Leave(CpuState* s)
    {
        s->Exit = ExitCode.BlockEnd;
        return null;
    }

    /// <summary>Goes on behind an instruction that may have changed what blocks are keyed by.</summary>
    public static Op* NextOrEndBlock(CpuState* s, Op* op, CpuMode before) => s->Mode == before ? op + 1 : EndBlock(s, op);

    /// <summary>
    /// Goes on behind an instruction that holds interrupts off for one more. Interrupts are looked at between blocks only, so the
    /// next operation of the same block needs no care; otherwise the engine is told to do one instruction by itself.
    /// </summary>
    public static Op* NextInShadow(CpuState* s, Op* op, bool endBlock = false)
    {
        bool last = op->Offset + op->Length >= s->CurrentBlock->ByteLength;
        if (!endBlock && !last && Volatile.Read(ref s->Poll) == 0)
        {
            return op + 1;
        }

        s->InterruptShadow = true;
        DebugTraps.RefreshStepping(s);
        return EndBlock(s, op);
    }

    /// <summary>A repeated instruction has to pause between two iterations: the engine is wanted for something it would act on now.</summary>
    public static bool ShouldPause(CpuState* s)
    {
        var poll = (Attention)Volatile.Read(ref s->Poll);
        if (poll == Attention.None)
        {
            return false;
        }

        return (poll & ~Attention.Interrupt) != 0 || (s->SystemFlags & Flags.IF) != 0;
    }
}

/// <summary>Linear addresses of four-level paging (Intel SDM vol. 1, 3.3.7.1).</summary>
internal static class Canonical
{
    /// <summary>Bits 63..47 are equal.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Is(ulong address) => (ulong)((long)(address << 16) >> 16) == address;
}
