using System.Runtime.InteropServices;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;
using Uml.Core.Interop;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.CodeCache;

/// <summary>
/// The translations that jumps lead to, by address and the page of RAM it is mapped to: they hold in every address space that maps the same
/// page there, as those of the processes of a program do. Searched when <see cref="JumpTables"/>, which forget with the TLB, have no entry.
/// </summary>
// SAFETY: the mapping is this object's own until Dispose. The index is shifted to the size of a part. Blocks are of the current epoch of the
// block cache: all go at once, when Clear is called. The code of a block that was dropped leads to the block now at its address.
internal sealed unsafe class JumpTargets : IDisposable
{
    private const int IndexBits = 15;

    private readonly HostMemory _memory = new((ulong)(sizeof(Target) << IndexBits) * (ulong)Flavor.Count);

    /// <summary>The target at an address that the TLB maps for fetches; null when it is not here.</summary>
    public Target* Find(CpuState* s, ulong rip, Flavor flavor)
    {
        Target* target = At(rip, flavor);
        TlbEntry* entry = Tlb.Entry(PagingState.Of(s)->Tlb, rip);
        return target->Rip == rip && target->Mode == s->Mode && entry->ExecuteTag == Page.Base(rip) && FrameOf(s, entry->HostPage) == target->Frame
            ? target
            : null;
    }

    /// <summary>Enters a block that has a translation. Not one that crosses into another page, which has to be where it was as well.</summary>
    public void Enter(CpuState* s, ulong rip, Flavor flavor, Block* block)
    {
        if (block->SecondPage == Block.NoPage)
        {
            *At(rip, flavor) = new Target
            {
                Rip = rip,
                Frame = FrameOf(s, block->HostPage),
                Block = block,
                Mode = block->Mode,
                Code = block->Translations[(int)flavor].Entry,
            };
        }
    }

    /// <summary>Forgets an address.</summary>
    public void Remove(ulong rip, Flavor flavor) => At(rip, flavor)->Mode = CpuMode.None;

    /// <summary>Forgets all.</summary>
    public void Clear() => _memory.Discard(0, _memory.Size);

    public void Dispose() => _memory.Dispose();

    private static uint FrameOf(CpuState* s, byte* hostPage) => (uint)Page.Number((ulong)(hostPage - s->Engine->RamBase));

    private Target* At(ulong rip, Flavor flavor) =>
        (Target*)_memory.Pointer + ((int)flavor << IndexBits) + (JumpTables.Hash(rip) >> (32 - IndexBits));

    /// <summary>One target, which lies in one line of the host's caches.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Target
    {
        public ulong Rip;

        /// <summary>The number of its page of RAM.</summary>
        public uint Frame;

        /// <summary>The mode its block was decoded in; none where there is no target, for translated code has one.</summary>
        public CpuMode Mode;
        public Block* Block;

        /// <summary>Where its translation is entered.</summary>
        public byte* Code;
    }
}
