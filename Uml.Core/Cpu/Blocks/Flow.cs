using System.Runtime.CompilerServices;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Blocks;

/// <summary>Getting from one block to the next.</summary>
// SAFETY: handlers: the handler contract (Op). A block reached through a link or the jump cache may have been dropped, but its memory holds
// a block of this epoch, whose Mode then matches none. JumpIndex is masked to the size of the cache.
internal static unsafe class Flow
{
    private const int JumpCacheBits = 12;
    public const int JumpCacheSize = 1 << JumpCacheBits;

    /// <summary>Enters a block, or exits in front of it when the budget is used up or the poll word is set.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Op* Enter(CpuState* s, Block* block, ulong rip)
    {
        long remaining = s->Hot.Remaining - block->Count;
        if (remaining < 0 || Volatile.Read(ref s->Engine->Poll) != 0)
        {
            return Leave(s, rip);
        }

        s->Hot.Remaining = remaining;
        s->Engine->BlockRip = rip;
        BlockState.Of(s)->CurrentBlock = block;
        return Block.Ops(block);
    }

    /// <summary>Goes to a direct target (<see cref="Op.Disp"/> from the block's start), through the link in <see cref="Op.Imm"/> once there is one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Op* Follow(CpuState* s, Op* op)
    {
        Block* link = (Block*)op->Imm;
        ulong rip = (s->Engine->BlockRip + (ulong)op->Disp) & s->IpMask;
        return link != null && link->Mode == s->Mode ? Enter(s, link, rip) : FollowSlow(s, op, rip);
    }

    /// <summary>Goes to a direct target from the middle of a block: the instructions behind the jump do not retire.</summary>
    public static Op* FollowOut(CpuState* s, Op* op)
    {
        Unretire(s, op + 1);
        return Follow(s, op);
    }

    /// <summary>Goes to a computed target.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Op* Jump(CpuState* s, ulong rip)
    {
        ulong linear = rip + s->Segments[(int)SegmentIndex.Cs].Base;
        JumpCacheEntry* cached = BlockState.Of(s)->JumpCache + JumpIndex(linear);
        if (cached->Linear == linear)
        {
            Block* block = cached->Block;
            TlbEntry* entry = Tlb.Entry(PagingState.Of(s)->Tlb, linear);
            ulong page = Page.Base(linear);
            if (block->Mode == s->Mode && entry->ExecuteTag == page && entry->HostPage == block->HostPage)
            {
                return Enter(s, block, rip);
            }
        }

        return JumpSlow(s, rip);
    }

    /// <summary>The end of a block that was cut short: goes on behind it.</summary>
    public static Op* FallThrough(CpuState* s, Op* op) => Follow(s, op);

    /// <summary>Exits to the engine's loop, which goes on at <paramref name="rip"/>.</summary>
    public static Op* EndBlock(CpuState* s, ulong rip)
    {
        s->Rip = rip & s->IpMask;
        s->Engine->Exit = ExitCode.BlockEnd;
        return null;
    }

    /// <summary>RIP of the instruction behind this one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Next(CpuState* s, Op* op) => (s->Engine->BlockRip + op->Offset + op->Length) & s->IpMask;

    /// <summary>RIP of this instruction.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Current(CpuState* s, Op* op) => (s->Engine->BlockRip + op->Offset) & s->IpMask;

    /// <summary>Leaves in the middle of an instruction that can go on later (REP): it has not retired, and RIP is its own.</summary>
    public static Op* Suspend(CpuState* s, Op* op)
    {
        Unretire(s, op);
        return Leave(s, Current(s, op));
    }

    /// <summary>Takes the operation and those behind it in the block out of the count of retired instructions.</summary>
    public static void Unretire(CpuState* s, Op* op) => s->Hot.Remaining += BlockState.Of(s)->CurrentBlock->Count - (op - Block.Ops(BlockState.Of(s)->CurrentBlock));

    /// <summary>
    /// Replaces the handlers of a dropped block, whose guest code was overwritten: exits at the instruction, to be decoded again.
    /// </summary>
    public static Op* Invalidated(CpuState* s, Op* op)
    {
        Unretire(s, op);
        return EndBlock(s, Current(s, op));
    }

    public static int JumpIndex(ulong linear) => (int)((linear ^ (linear >> JumpCacheBits)) & (JumpCacheSize - 1));

    private static Op* Leave(CpuState* s, ulong rip)
    {
        s->Rip = rip;
        s->Engine->Exit = ExitCode.Attention;
        return null;
    }

    private static Op* FollowSlow(CpuState* s, Op* op, ulong rip)
    {
        ulong csBase = s->Segments[(int)SegmentIndex.Cs].Base;
        if (Page.Base(rip + csBase) != Page.Base(s->Engine->BlockRip + csBase))
        {
            // The mapping of another page may change, so its target is looked up each time.
            return Jump(s, rip);
        }

        BlockCache cache = BlockCache.Of(s);
        ulong epoch = cache.Epoch;
        Block* block = cache.Find(s, rip);
        if (block == null)
        {
            return null;
        }

        // The link outlives changes of the page's mapping: chain only if the page still maps to the frame that the running block was
        // decoded from.
        if (cache.Epoch == epoch && block->SecondPage == Block.NoPage && block->HostPage == BlockState.Of(s)->CurrentBlock->HostPage)
        {
            op->Imm = (long)block;
            s->Engine->Counters.ChainHits++;
        }

        return Enter(s, block, rip);
    }

    private static Op* JumpSlow(CpuState* s, ulong rip)
    {
        Block* block = BlockCache.Of(s).Find(s, rip);
        return block == null ? null : Enter(s, block, rip);
    }
}
