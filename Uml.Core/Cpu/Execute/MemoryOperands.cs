using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Execute;

/// <summary>Memory for translated code, where its own look into the TLB was not enough.</summary>
// SAFETY: s and site are those of the running slow path (Runtime). A host address that is returned has size bytes in one page of guest RAM;
// AccessBuffer has room for the largest operand that is translated (CodeChecker checks Site.Size, where it is on).
internal static unsafe class MemoryOperands
{
    /// <summary>
    /// Finds a memory operand: its place in guest RAM when it is plain memory, else a buffer that stands in for it, with what was read.
    /// What is written to the buffer takes effect by <see cref="Commit"/>; <see cref="EngineState.CommitSize"/> says that there is need.
    /// </summary>
    /// <returns>Null after recording a fault, or when the instruction has to be done again.</returns>
    public static byte* Find(CpuState* s, ulong linear, Site* site)
    {
        s->Engine->CommitSize = 0;
        int size = site->Size;
        if (site->Aligned && (linear & (ulong)(size - 1)) != 0)
        {
            Raise.GP(s);
            return null;
        }

        AccessKind kind = site->Use == OperandUse.Read ? AccessKind.Read : AccessKind.Write;
        if (!Mmu.Locate(s, linear, size, kind, site->Segment, out ulong first, out ulong second, out int firstSize))
        {
            return null;
        }

        if (BlockState.Of(s)->CurrentBlock->Mode != s->Mode)
        {
            // The walk has set bits in an entry that the running block was made from: nothing is done yet, so begin anew with what is there.
            return (byte*)Flow.Invalidated(s, BlockState.Of(s)->CurrentOp);
        }

        byte* host = firstSize == size ? PageWalk.Host(s, first) : null;
        if (host != null && (kind == AccessKind.Read || MayWriteInPlace(s, host, size)))
        {
            return host;
        }

        byte* buffer = (byte*)&s->Engine->AccessBuffer;
        if (site->Use != OperandUse.Write)
        {
            Mmu.ReadParts(s, first, second, firstSize, buffer, size);
        }

        if (kind == AccessKind.Write)
        {
            s->Engine->CommitSize = size;
            s->Engine->CommitLinear = linear;
            s->Engine->CommitSegment = site->Segment;
        }

        return buffer;
    }

    /// <summary>Writes the buffer to the operand that was found; the checks hold still, so this cannot fault.</summary>
    public static void Commit(CpuState* s) =>
        Mmu.WriteSlow(s, s->Engine->CommitLinear, (byte*)&s->Engine->AccessBuffer, s->Engine->CommitSize, s->Engine->CommitSegment);

    /// <summary>Remembers where a jump to an address that was just fetched from led.</summary>
    /// <returns>The number under which it is remembered (see <see cref="JumpTables"/>).</returns>
    public static int EnterJump(CpuState* s, JumpTables jumps, Flavor flavor, ulong rip, byte* code) =>
        jumps.Enter(MemoryUnit.Of(s).Spaces.CurrentNumber, Mmu.View(s), flavor, rip, code, IsGlobal(s, rip));

    /// <summary>Notes that translated code depends on the translation of an address that was just fetched from.</summary>
    /// <returns>The number that holds as long as that does (see <see cref="JumpTables"/>).</returns>
    public static int NoteJump(CpuState* s, JumpTables jumps, ulong rip) => 
        jumps.Note(MemoryUnit.Of(s).Spaces.CurrentNumber, Mmu.View(s), rip, IsGlobal(s, rip));

    private static bool IsGlobal(CpuState* s, ulong rip) => (s->Cr4 & Cr4.PGE) != 0 && PageWalk.IsGlobal(s, rip);

    /// <summary>Tells whoever watches the operand's page. The block that runs must not be dropped before its instruction is done.</summary>
    private static bool MayWriteInPlace(CpuState* s, byte* host, int size)
    {
        if (Mmu.Info(s, host)->Watched == 0)
        {
            return true;
        }

        Mmu.NoteWrite(s, host, size);
        return BlockState.Of(s)->CurrentBlock->Mode == s->Mode;
    }
}
