using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;
using Uml.Core.Interop;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Blocks;

/// <summary>
/// The decoded blocks of one processor, keyed by guest-physical address and mode: they survive changes of mappings and are shared between
/// address spaces. Memory is bounded; it is filled from one end and flushed as a whole.
/// </summary>
// SAFETY: the three mappings are this cache's own and live until Dispose, which nothing runs behind. A block gets MaxSize bytes, checked in
// Decode, and its links lead to blocks of the same epoch: Flush empties hash, jump cache and page lists together. Indices of buckets and of
// the jump cache are masked; pages are indexed by offsets that TryGetOffset, or a host page within RAM, has bounded.
internal sealed unsafe class BlockCache : IDisposable
{
    private const int HashBits = 18;

    /// <summary>
    /// The most blocks with code in one page, one for each byte; it bounds how long a write to the page takes. Code that is entered at
    /// every byte in every mode would have a hundred times as many; the cache is flushed before that. The limit is ours.
    /// </summary>
    public const int MaximumInPage = GuestRam.PageSize;

    private readonly HostMemory _arena;
    private readonly HostMemory _hash = new((1UL << HashBits) * (ulong)sizeof(Block*));
    private readonly HostMemory _jumpCache = new(Flow.JumpCacheSize * (ulong)sizeof(JumpCacheEntry));
    private readonly IBlockDecoder _decoder;
    private readonly GuestRam _ram;
    private ulong _used;

    /// <summary>A page has reached <see cref="MaximumInPage"/>.</summary>
    private bool _crowded;

    public BlockCache(GuestRam ram, IBlockDecoder decoder, ulong capacity)
    {
        _decoder = decoder;
        _ram = ram;
        _arena = new HostMemory(capacity);
        ClearJumpCache();
    }

    /// <summary>Times the cache was flushed. A block pointer is valid only within one epoch.</summary>
    public ulong Epoch { get; private set; }

    /// <summary>Notified of decoded and dropped blocks; may be null.</summary>
    public IBlockListener? Listener { get; set; }

    /// <summary>Statistics; set once by the processor that owns the cache.</summary>
    public CpuCounters* Counters { get; set; }

    public static BlockCache Of(CpuState* s) => Owned.Get<BlockCache>(s->Engine->Blocks);

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
                return FetchFault(s, rip, ExceptionVector.GP);
            }
        }
        else if (!Mmu.IsCanonical(s, linear))
        {
            return FetchFault(s, rip, ExceptionVector.GP);
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

    /// <summary>
    /// The decoded block at a linear address of 64-bit code, if the TLB maps the address and there is one; null otherwise.
    /// </summary>
    public Block* Peek(CpuState* s, ulong linear)
    {
        TlbEntry* entry = Tlb.Entry(PagingState.Of(s)->Tlb, linear);
        if (entry->ExecuteTag != Page.Base(linear))
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

    /// <summary>Whether the TLB maps the page behind an address to the page that a block crosses into.</summary>
    private static bool IsSecondPage(CpuState* s, ulong linear, Block* block)
    {
        ulong next = Page.Base(linear) + GuestRam.PageSize;
        return Tlb.Entry(PagingState.Of(s)->Tlb, next)->ExecuteTag == next && Mmu.TranslateFetch(s, next, out ulong second) && second == block->SecondPage;
    }

    /// <summary>Drops the blocks made from any of these bytes.</summary>
    public void Invalidate(ulong ramOffset, int length)
    {
        PageInfo* info = _ram.Pages + Page.Number(ramOffset);
        int start = (int)Page.Offset(ramOffset);
        if ((info->CodeMask & MaskOf(start, length)) == 0)
        {
            return;
        }

        ulong page = Page.Base(ramOffset);
        Block* left = TakeOut(page, only: null, start, length);
        while (left != null)
        {
            Block* next = *LinkInPage(left, page);
            Remove(left, page);
            left = next;
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
                    Forget(_ram.Pages + Page.Number(second));
                }
            }

            Hash[i] = null;
        }

        _used = 0;
        _crowded = false;
        Epoch++;
        Counters->CacheFlushes++;
        ClearJumpCache();
        Listener?.Flushed();
    }

    public void Dispose()
    {
        _arena.Dispose();
        _hash.Dispose();
        _jumpCache.Dispose();
    }

    private static void Forget(PageInfo* info)
    {
        SetCode(info, 0);
        info->FirstBlock = null;
        info->Blocks = 0;
    }

    /// <summary>Sets the mask of the 64-byte granules that have code. A page without code is no longer watched.</summary>
    private static void SetCode(PageInfo* info, ulong mask)
    {
        info->CodeMask = mask;
        if (mask == 0)
        {
            GuestWrites.UnwatchCode(info);
        }
    }

    private void ClearJumpCache()
    {
        // 7F7F7F7F_7F7F7F7FH is not canonical: no jump ever asks for it.
        new Span<byte>(_jumpCache.Pointer, (int)_jumpCache.Size).Fill(0x7F);
    }

    private static Block* FetchFault(CpuState* s, ulong rip, byte vector)
    {
        Raise.Exception(s, vector, 0);
        return FetchFault(s, rip);
    }

    private static Block* FetchFault(CpuState* s, ulong rip)
    {
        s->Rip = rip;
        s->Engine->Exit = ExitCode.ExceptionAtRip;
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

            ulong next = Page.Base(linear) + GuestRam.PageSize;
            next = (s->Mode & CpuMode.Long64) == 0 ? (uint)next : next;
            if (!Mmu.TranslateFetch(s, next, out ulong second))
            {
                faulted = true;
                return null;
            }

            // The walk may have dropped this block, by setting accessed bits in memory that it was decoded from.
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
            // Code in device memory is not executed.
            Raise.Exception(s, ExceptionVector.GP, 0);
            return null;
        }

        if (_used + Block.MaxSize > _arena.Size || _crowded || Listener is { IsFull: true })
        {
            Flush();
        }

        Block* block = (Block*)(_arena.Pointer + _used);
        if (!_decoder.Decode(s, block, linear, physical))
        {
            return null;
        }

        _used += Block.SizeOf(block->Count, block->ByteLength);
        Counters->BlocksDecoded++;
        Register(block);
        block->FirstHandler = Block.Ops(block)->Handler;
        Listener?.Decoded(block);
        return block;
    }

    private void Register(Block* block)
    {
        Block** bucket = &Hash[HashOf(block->Physical, block->Mode)];
        block->HashNext = *bucket;
        *bucket = block;

        ulong first = RamPage(block->HostPage);
        block->PageNext = Watch(first, block);
        if (block->SecondPage != Block.NoPage && _ram.TryGetOffset(block->SecondPage, 1, out ulong second) && Page.Number(second) != first)
        {
            block->SecondPageNext = Watch(Page.Number(second), block);
        }
    }

    /// <summary>Adds a block to the list of a page, whose writes are watched from now on; returns the former head of the list.</summary>
    private Block* Watch(ulong page, Block* block)
    {
        PageInfo* info = _ram.Pages + page;
        if (info->CodeMask == 0)
        {
            _ram.Writes.WatchCode(page);
        }

        info->CodeMask |= MaskIn(block, Page.Address(page));
        Block* former = (Block*)info->FirstBlock;
        info->FirstBlock = block;
        _crowded |= ++info->Blocks >= MaximumInPage;
        return former;
    }

    private ulong RamPage(byte* hostPage) => Page.Number((ulong)(hostPage - _ram.Base));

    private static ulong MaskOf(int start, int length)
    {
        int first = start / 64;
        int last = (start + Math.Max(length, 1) - 1) / 64;
        return (ulong.MaxValue << first) & (ulong.MaxValue >> (63 - last));
    }

    /// <summary>The link to the next block in the list of a page; a block in two pages has two.</summary>
    private Block** LinkInPage(Block* block, ulong pageOffset) =>
        IsFirstPage(block, pageOffset) ? &block->PageNext : &block->SecondPageNext;

    /// <summary>The mask of the 64-byte granules of a page that a block has code in.</summary>
    private ulong MaskIn(Block* block, ulong pageOffset)
    {
        int start = (int)Page.Offset(block->Physical);
        int inFirst = Math.Min(block->ByteLength, GuestRam.PageSize - start);
        return (IsFirstPage(block, pageOffset) ? MaskOf(start, inFirst) : 0)
            | (IsSecondPage(block, pageOffset) ? MaskOf(0, block->ByteLength - inFirst) : 0);
    }

    private bool IsFirstPage(Block* block, ulong pageOffset) => _ram.Base + pageOffset == block->HostPage;

    /// <summary>
    /// Whether a block has code in a part of a page. When two adjacent linear pages map to the same frame, it may have code at both ends of
    /// that.
    /// </summary>
    private bool Overlaps(Block* block, ulong pageOffset, int start, int length)
    {
        int blockStart = (int)Page.Offset(block->Physical);
        int blockEnd = blockStart + block->ByteLength;
        bool inFirst = IsFirstPage(block, pageOffset) && start < blockEnd && blockStart < start + length;
        return inFirst || (IsSecondPage(block, pageOffset) && start < blockEnd - GuestRam.PageSize);
    }

    private bool IsSecondPage(Block* block, ulong pageOffset) =>
        block->SecondPage != Block.NoPage && _ram.TryGetOffset(block->SecondPage, 1, out ulong second) && second == pageOffset;

    /// <summary>Drops a block that was already removed from the list of one page.</summary>
    private void Remove(Block* block, ulong fromPage)
    {
        Counters->BlocksInvalidated++;
        Block** link = &Hash[HashOf(block->Physical, block->Mode)];
        while (*link != block)
        {
            link = &(*link)->HashNext;
        }

        *link = block->HashNext;
        if (block->SecondPage != Block.NoPage)
        {
            ulong first = Page.Address(RamPage(block->HostPage));
            if (first != fromPage)
            {
                TakeOut(first, block);
            }
            else if (_ram.TryGetOffset(block->SecondPage, 1, out ulong second) && second != fromPage)
            {
                TakeOut(second, block);
            }
        }

        Listener?.Dropped(block);

        // If it is running, it exits at the next operation; links to it fail on the mode.
        block->Mode = (CpuMode)uint.MaxValue;
        Op* ops = Block.Ops(block);
        for (int i = 0; i <= block->Count; i++)
        {
            ops[i].Handler = &Flow.Invalidated;
        }
    }

    /// <summary>
    /// Takes blocks out of the list of a page, one or all that overlap a range, and makes the page's mask anew of those that stay.
    /// </summary>
    /// <returns>Those that were taken out, linked as they were.</returns>
    private Block* TakeOut(ulong page, Block* only, int start = 0, int length = 0)
    {
        PageInfo* info = _ram.Pages + Page.Number(page);
        Block* taken = null;
        ulong mask = 0;
        Block** link = (Block**)&info->FirstBlock;
        while (*link != null)
        {
            Block* block = *link;
            Block** next = LinkInPage(block, page);
            if (only == null ? Overlaps(block, page, start, length) : block == only)
            {
                *link = *next;
                *next = taken;
                taken = block;
                info->Blocks--;
            }
            else
            {
                mask |= MaskIn(block, page);
                link = next;
            }
        }

        SetCode(info, mask);
        return taken;
    }
}
