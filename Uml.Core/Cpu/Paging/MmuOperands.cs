using Uml.Core.Cpu.Execute;
using Uml.Core.Cpu.Interpreter;
using Uml.Core.Cpu.Translate;

namespace Uml.Core.Cpu.Paging;

/// <summary>Memory for translated code, where its own look into the translation buffer was not enough.</summary>
internal static unsafe partial class Mmu
{
    private const ulong Cr4Pge = 1 << 7;

    /// <summary>
    /// Finds a memory operand: its place in guest RAM when it is plain memory, else a buffer that stands in for it, with what was read.
    /// What is written to the buffer takes effect by <see cref="CommitOperand"/>; <see cref="CpuState.CommitSize"/> says that there is need.
    /// </summary>
    /// <returns>Null after recording a fault, or when the instruction has to be done again.</returns>
    public static byte* Operand(CpuState* s, ulong linear, Site* site)
    {
        s->CommitSize = 0;
        int size = site->Size;
        if (site->Aligned && (linear & (ulong)(size - 1)) != 0)
        {
            Fault.GP(s);
            return null;
        }

        AccessKind kind = site->Use == OperandUse.Read ? AccessKind.Read : AccessKind.Write;
        if (!Locate(s, linear, size, kind, site->Segment, out ulong first, out ulong second, out int firstSize))
        {
            return null;
        }

        if (s->CurrentBlock->Mode != s->Mode)
        {
            // The walk has set bits in an entry that the running block was made from: nothing is done yet, so begin anew with what is there.
            return (byte*)Flow.Invalidated(s, s->CurrentOp);
        }

        byte* host = firstSize == size ? PageWalk.Host(s, first) : null;
        if (host != null && (kind == AccessKind.Read || MayWriteInPlace(s, host, size)))
        {
            return host;
        }

        byte* buffer = (byte*)&s->AccessBuffer;
        if (site->Use != OperandUse.Write)
        {
            ReadParts(s, first, second, firstSize, buffer, size);
        }

        if (kind == AccessKind.Write)
        {
            s->CommitSize = size;
            s->CommitLinear = linear;
            s->CommitSegment = site->Segment;
        }

        return buffer;
    }

    /// <summary>Writes the buffer to the operand that was found; the checks hold still, so this cannot fault.</summary>
    public static void CommitOperand(CpuState* s) =>
        WriteSlow(s, s->CommitLinear, (byte*)&s->AccessBuffer, s->CommitSize, s->CommitSegment);

    /// <summary>Remembers where a jump to an address that was just fetched from led.</summary>
    /// <returns>The number under which it is remembered (see <see cref="JumpTables"/>).</returns>
    public static int EnterJump(CpuState* s, Flavor flavor, ulong rip, byte* code) =>
        VirtualCpu.From(s).AddressSpaces.EnterJump(View(s), flavor, rip, code, IsGlobal(s, rip));

    /// <summary>Notes that translated code depends on the translation of an address that was just fetched from.</summary>
    /// <returns>The number that holds as long as that does (see <see cref="JumpTables"/>).</returns>
    public static int NoteJump(CpuState* s, ulong rip) => VirtualCpu.From(s).AddressSpaces.NoteJump(View(s), rip, IsGlobal(s, rip));

    private static bool IsGlobal(CpuState* s, ulong rip) => (s->Cr4 & Cr4Pge) != 0 && PageWalk.IsGlobal(s, rip);

    /// <summary>Tells whoever watches the operand's page. The block that runs must not be dropped before its instruction is done.</summary>
    private static bool MayWriteInPlace(CpuState* s, byte* host, int size)
    {
        if (Info(s, host)->Watched == 0)
        {
            return true;
        }

        NoteWrite(s, host, size);
        return s->CurrentBlock->Mode == s->Mode;
    }
}
