using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Execute;

/// <summary>Memory operands of translated code whose TLB lookup has missed.</summary>
// SAFETY: s and site are those of the running slow path (Runtime). A host address that is returned has size bytes in one page of guest RAM;
// AccessBuffer has room for the largest operand that is translated (CodeChecker checks Site.Size, where it is on).
internal static unsafe class MemoryOperands
{
    /// <summary>
    /// Finds a memory operand: its host address when it is plain RAM, else that of a buffer in its place, which holds what was read. A
    /// write to the buffer takes effect by <see cref="Commit"/>, which is needed when <see cref="EngineState.CommitSize"/> is not zero.
    /// </summary>
    /// <returns>Null after recording a fault, or when the instruction has to be restarted.</returns>
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
            // The walk has dropped the running block, by setting accessed bits in memory that it was decoded from. The instruction has had
            // no effect yet: restart it.
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

    /// <summary>Writes the buffer to the operand; it was checked when it was found, so this cannot fault.</summary>
    public static void Commit(CpuState* s) =>
        Mmu.WriteSlow(s, s->Engine->CommitLinear, (byte*)&s->Engine->AccessBuffer, s->Engine->CommitSize, s->Engine->CommitSegment);

    /// <summary>Enters the target of a jump into the jump table; the address was just translated for a fetch.</summary>
    /// <returns>The epoch of the table (see <see cref="JumpTables"/>).</returns>
    public static int EnterJump(CpuState* s, JumpTables jumps, Flavor flavor, ulong rip, byte* code) =>
        jumps.Enter(MemoryUnit.Of(s).Spaces.CurrentNumber, Mmu.View(s), flavor, rip, code, IsGlobal(s, rip));

    /// <summary>Notes that translated code depends on the mapping of an address, which was just translated for a fetch.</summary>
    /// <returns>The epoch that lasts as long as the mapping (see <see cref="JumpTables"/>).</returns>
    public static int NoteJump(CpuState* s, JumpTables jumps, ulong rip) => 
        jumps.Note(MemoryUnit.Of(s).Spaces.CurrentNumber, Mmu.View(s), rip, IsGlobal(s, rip));

    /// <summary>Whether the page's mapping outlives changes of the address space. A table of user mode is for one of them anyway.</summary>
    private static bool IsGlobal(CpuState* s, ulong rip) => Mmu.View(s) != TlbView.User && (s->Cr4 & Cr4.PGE) != 0 && PageWalk.IsGlobal(s, rip);

    /// <summary>
    /// Notifies observers of a write to the operand's page, before the write. False when that drops the running block, which must stay
    /// valid until its instruction is done.
    /// </summary>
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
