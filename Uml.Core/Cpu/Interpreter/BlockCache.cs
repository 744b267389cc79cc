using Uml.Core.Cpu.Decode;
using Uml.Core.Cpu.Paging;
using Uml.Core.Interop;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Interpreter;

/// <summary>
/// The decoded blocks of one processor: bounded memory that is filled from one end and emptied as a whole. Keyed by guest-physical
/// address and mode, so that blocks outlive changes of mappings and are shared between address spaces.
/// </summary>
internal sealed unsafe class BlockCache : IDisposable
{
    private const int HashBits = 16;
    private const int MaxBlockSize = 64 + 256 + ((BlockDecoder.MaxInstructions + 1) * 64);

    private readonly HostMemory _arena;
    private readonly HostMemory _hash = new((1UL << HashBits) * (ulong)sizeof(Block*));
    private readonly HostMemory _jumpCache = new(Flow.JumpCacheSize * (ulong)sizeof(JumpCacheEntry));
    private readonly BlockDecoder _decoder = new();
    private readonly GuestRam _ram;
    private readonly AddressSpaces _spaces;
    private ulong _used;

    /// <summary>Translates blocks, or null.</summary>
    public JitEngine? Jit { get; set; }

    public BlockCache(GuestRam ram, AddressSpaces spaces, ulong capacity)
    {
        _ram = ram;
        _spaces = spaces;
        _arena = new HostMemory(capacity);
        ClearJumpCache();
    }

    /// <summary>Counts the times the cache was emptied: a block pointer is good only within one epoch.</summary>
    public ulong Epoch { get; private set; }

    /// <summary>Where the cache counts; set once by the processor it belongs to.</summary>
    public CpuCounters* Counters { get; set; }

    public ulong BytesUsed => _used;

    public JumpCacheEntry* JumpCache => (JumpCacheEntry*)_jumpCache.Pointer;

    private Block** Hash => (Block**)_hash.Pointer;

    /// <summary>The block at a RIP in the current mode, decoded if need be; null after recording a fault at that RIP.</summary>
    public Block* Find(CpuState* s, ulong rip)
    {
        ulong linear = rip + s->Segments[(int)SegmentIndex.Cs].Base;
        if ((s->Mode & CpuMode.Long64) == 0)
        {
            linear = (uint)linear;
            if (rip > s->Segments[(int)SegmentIndex.Cs].Limit)
            {
                return FetchFault(s, rip, Vector.GP);
            }
        }
        else if (!Mmu.IsCanonical(s, linear))
        {
            return FetchFault(s, rip, Vector.GP);
        }

        if (!Mmu.TranslateFetch(s, linear, out ulong physical))
        {
            return FetchFault(s, rip);
        }

        Block* block = Lookup(s, linear, physical, out bool faulted);
        if (block == null)
        {
            block = faulted ? null : Decode(s, linear, physical);
            if (block == null)
            {
                return FetchFault(s, rip);
            }
        }

        if (block->SecondPage == Block.NoPage)
        {
            JumpCacheEntry* entry = JumpCache + Flow.JumpIndex(linear);
            entry->Linear = linear;
            entry->Block = block;
        }

        return block;
    }

    /// <summary>The block at a linear address of 64-bit code if the translation buffer leads there and it is decoded; null otherwise.</summary>
    public Block* Peek(CpuState* s, ulong linear)
    {
        TlbEntry* entry = Tlb.Entry(s->Tlb, linear);
        if (entry->ExecuteTag != (linear & ~(GuestRam.PageSize - 1UL)))
        {
            return null;
        }

        Mmu.TranslateFetch(s, linear, out ulong physical);
        for (Block* block = Hash[HashOf(physical, s->Mode)]; block != null; block = block->HashNext)
        {
            if (block->Physical == physical && block->Mode == s->Mode && (block->SecondPage == Block.NoPage || IsSecondPage(s, linear, block)))
            {
                return block;
            }
        }

        return null;
    }

    /// <summary>Whether the translation buffer has the page behind an address, and leads to the one a block runs over into.</summary>
    private static bool IsSecondPage(CpuState* s, ulong linear, Block* block)
    {
        ulong next = (linear & ~(GuestRam.PageSize - 1UL)) + GuestRam.PageSize;
        return Tlb.Entry(s->Tlb, next)->ExecuteTag == next && Mmu.TranslateFetch(s, next, out ulong second) && second == block->SecondPage;
    }

    /// <summary>Drops the blocks made from any of these bytes.</summary>
    public void Invalidate(ulong ramOffset, int length)
    {
        PageInfo* info = _ram.Pages + (ramOffset / GuestRam.PageSize);
        int start = (int)(ramOffset % GuestRam.PageSize);
        if ((info->CodeMask & MaskOf(start, length)) == 0)
        {
            return;
        }

        ulong page = ramOffset & ~(GuestRam.PageSize - 1UL);
        Block* block = info->FirstBlock;
        while (block != null)
        {
            Block* next = NextInPage(block, page);
            if (Overlaps(block, page, start, length))
            {
                Remove(block);
            }

            block = next;
        }
    }

    public void Flush()
    {
        for (ulong i = 0; i < 1UL << HashBits; i++)
        {
            for (Block* block = Hash[i]; block != null; block = block->HashNext)
            {
                Forget(_ram.Pages + RamPage(block->HostPage));
                if (block->SecondPage != Block.NoPage && _ram.TryGetOffset(block->SecondPage, 1, out ulong second))
                {
                    Forget(_ram.Pages + (second / GuestRam.PageSize));
                }
            }

            Hash[i] = null;
        }

        _used = 0;
        Epoch++;
        Counters->CacheFlushes++;
        ClearJumpCache();
        Jit?.Clear();
    }

    public void Dispose()
    {
        _arena.Dispose();
        _hash.Dispose();
        _jumpCache.Dispose();
    }

    private static void Forget(PageInfo* info)
    {
        info->CodeMask = 0;
        info->FirstBlock = null;
    }

    private void ClearJumpCache()
    {
        // 7F7F7F7F_7F7F7F7FH is not canonical: no jump ever asks for it.
        new Span<byte>(_jumpCache.Pointer, (int)_jumpCache.Size).Fill(0x7F);
    }

    private static Block* FetchFault(CpuState* s, ulong rip, byte vector)
    {
        Fault.Raise(s, vector, 0);
        return FetchFault(s, rip);
    }

    private static Block* FetchFault(CpuState* s, ulong rip)
    {
        s->Rip = rip;
        s->Exit = ExitCode.ExceptionAtRip;
        return null;
    }

    private static uint HashOf(ulong physical, CpuMode mode) =>
        (uint)(((physical ^ ((ulong)mode << 52)) * 0x9E37_79B9_7F4A_7C15) >> (64 - HashBits));

    private Block* Lookup(CpuState* s, ulong linear, ulong physical, out bool faulted)
    {
        faulted = false;
        for (Block* block = Hash[HashOf(physical, s->Mode)]; block != null; block = block->HashNext)
        {
            if (block->Physical != physical || block->Mode != s->Mode)
            {
                continue;
            }

            if (block->SecondPage == Block.NoPage)
            {
                return block;
            }

            ulong next = (linear & ~(GuestRam.PageSize - 1UL)) + GuestRam.PageSize;
            next = (s->Mode & CpuMode.Long64) == 0 ? (uint)next : next;
            if (!Mmu.TranslateFetch(s, next, out ulong second))
            {
                faulted = true;
                return null;
            }

            // The walk may have set bits in an entry that the block was made from.
            if (second == block->SecondPage && block->Mode == s->Mode)
            {
                return block;
            }
        }

        return null;
    }

    private Block* Decode(CpuState* s, ulong linear, ulong physical)
    {
        if (PageWalk.Host(s, physical) == null)
        {
            // Code in device memory is not run: as if the bus had failed the fetch.
            Fault.Raise(s, Vector.GP, 0);
            return null;
        }

        if (_used + MaxBlockSize > _arena.Size || Jit is { IsFull: true })
        {
            Flush();
        }

        Block* block = (Block*)(_arena.Pointer + _used);
        if (!_decoder.Decode(s, block, linear, physical))
        {
            return null;
        }

        _used += ((ulong)sizeof(Block) + ((ulong)(block->Count + 1) * (ulong)sizeof(Op)) + 63) & ~63UL;
        Counters->BlocksDecoded++;
        Register(block);
        block->FirstHandler = Block.Ops(block)->Handler;
        if (Jit is not null)
        {
            JitEngine.Arm(block);
        }

        return block;
    }

    private void Register(Block* block)
    {
        Block** bucket = &Hash[HashOf(block->Physical, block->Mode)];
        block->HashNext = *bucket;
        *bucket = block;

        int start = (int)(block->Physical % GuestRam.PageSize);
        int inFirst = Math.Min(block->ByteLength, GuestRam.PageSize - start);
        block->PageNext = Watch(RamPage(block->HostPage), start, inFirst, block);
        if (block->SecondPage != Block.NoPage && _ram.TryGetOffset(block->SecondPage, 1, out ulong second))
        {
            block->SecondPageNext = Watch(second / GuestRam.PageSize, 0, block->ByteLength - inFirst, block);
        }
    }

    /// <summary>Makes writes to a page that holds code visible; returns the former head of the page's list.</summary>
    private Block* Watch(ulong page, int start, int length, Block* block)
    {
        PageInfo* info = _ram.Pages + page;
        if (info->CodeMask == 0 && info->MayBeWriteMapped)
        {
            _spaces.ForbidWrites(_ram.Base + (page * GuestRam.PageSize));
            info->MayBeWriteMapped = false;
        }

        info->CodeMask |= MaskOf(start, length);
        Block* former = info->FirstBlock;
        info->FirstBlock = block;
        return former;
    }

    private ulong RamPage(byte* hostPage) => (ulong)(hostPage - _ram.Base) / GuestRam.PageSize;

    private static ulong MaskOf(int start, int length)
    {
        int first = start / 64;
        int last = (start + Math.Max(length, 1) - 1) / 64;
        return (ulong.MaxValue << first) & (ulong.MaxValue >> (63 - last));
    }

    private Block* NextInPage(Block* block, ulong pageOffset) =>
        IsFirstPage(block, pageOffset) ? block->PageNext : block->SecondPageNext;

    private bool IsFirstPage(Block* block, ulong pageOffset) => _ram.Base + pageOffset == block->HostPage;

    /// <summary>Whether a block has bytes in a part of a page. It may have some at both ends, when two linear pages in a row are the same memory.</summary>
    private bool Overlaps(Block* block, ulong pageOffset, int start, int length)
    {
        int blockStart = (int)(block->Physical % GuestRam.PageSize);
        int blockEnd = blockStart + block->ByteLength;
        bool inFirst = IsFirstPage(block, pageOffset) && start < blockEnd && blockStart < start + length;
        return inFirst || (IsSecondPage(block, pageOffset) && start < blockEnd - GuestRam.PageSize);
    }

    private bool IsSecondPage(Block* block, ulong pageOffset) =>
        block->SecondPage != Block.NoPage && _ram.TryGetOffset(block->SecondPage, 1, out ulong second) && second == pageOffset;

    private void Remove(Block* block)
    {
        Counters->BlocksInvalidated++;
        Block** link = &Hash[HashOf(block->Physical, block->Mode)];
        while (*link != block)
        {
            link = &(*link)->HashNext;
        }

        *link = block->HashNext;
        Unwatch(RamPage(block->HostPage), block);
        if (block->SecondPage != Block.NoPage && _ram.TryGetOffset(block->SecondPage, 1, out ulong second))
        {
            Unwatch(second / GuestRam.PageSize, block);
        }

        Jit?.Drop(block);

        // Whoever still runs it, or is linked to it, leaves at the next operation and looks again.
        block->Mode = (CpuMode)uint.MaxValue;
        Op* ops = Block.Ops(block);
        for (int i = 0; i <= block->Count; i++)
        {
            ops[i].Handler = &Flow.Invalidated;
        }
    }

    private void Unwatch(ulong page, Block* block)
    {
        PageInfo* info = _ram.Pages + page;
        ulong pageOffset = page * GuestRam.PageSize;
        ulong mask = 0;
        Block** link = &info->FirstBlock;
        while (*link != null)
        {
            Block* each = *link;
            bool first = IsFirstPage(each, pageOffset);
            if (each == block)
            {
                *link = first ? each->PageNext : each->SecondPageNext;
                continue;
            }

            int start = (int)(each->Physical % GuestRam.PageSize);
            int inFirst = Math.Min(each->ByteLength, GuestRam.PageSize - start);
            mask |= first ? MaskOf(start, inFirst) : 0;
            mask |= IsSecondPage(each, pageOffset) ? MaskOf(0, each->ByteLength - inFirst) : 0;
            link = first ? &each->PageNext : &each->SecondPageNext;
        }

        info->CodeMask = mask;
    }
}
