using System.Diagnostics;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.State;
using Uml.Core.Interop;

namespace Uml.Core.Cpu.CodeCache;

/// <summary>
/// Where translations go in code memory: what runs often into one part, so that it lies close together in the host's caches, and what seldom
/// runs, about twice as much, into another. Each part is filled from its start on, until all is dropped.
/// </summary>
internal sealed unsafe class TranslationStore
{
    // SAFETY: positions stay in their part of the memory: no translation takes more than MaximumSize, and none is begun without HasRoom.

    /// <summary>More places than any block has (see <see cref="SiteTable"/>).</summary>
    private const int MaximumSites = 2048;

    /// <summary>More than any block takes, in each part of code memory: room that has to be left before one is begun.</summary>
    private const int MaximumSize = 128 << 10;

    private readonly CodeMemory _memory;
    private readonly SiteTable _sites;
    private readonly CpuCounters* _counters;
    private readonly byte* _hotStart;
    private readonly byte* _coldStart;
    private long _began;

    /// <param name="memory">The memory.</param>
    /// <param name="sites">The places of translations that call slow paths.</param>
    /// <param name="counters">Where it is counted how much was translated.</param>
    /// <param name="start">The first byte of the memory that is free.</param>
    public TranslationStore(CodeMemory memory, SiteTable sites, CpuCounters* counters, byte* start)
    {
        _memory = memory;
        _sites = sites;
        _counters = counters;
        _hotStart = start;
        ulong third = memory.Size / 3;
        _coldStart = memory.Writable + (third - (third < GuardedMapping.HugePage ? 0 : third % GuardedMapping.HugePage));
        Clear();
    }

    /// <summary>Where the next translation goes, in writable memory.</summary>
    public byte* Hot { get; private set; }

    /// <summary>Where that of it goes that seldom runs.</summary>
    public byte* Cold { get; private set; }

    /// <summary>Which block each part of the memory is for.</summary>
    public TranslationMap Map { get; } = new();

    /// <summary>Where what runs often begins, from the start of code memory.</summary>
    public uint HotStart => Offset(_hotStart);

    /// <summary>Where what seldom runs begins.</summary>
    public uint ColdStart => Offset(_coldStart);

    /// <summary>Whether another translation fits.</summary>
    public bool HasRoom => Hot + MaximumSize <= _coldStart && Cold + MaximumSize <= _memory.Writable + _memory.Size && _sites.HasRoom(MaximumSites);

    /// <summary>Notes that work on a translation begins.</summary>
    public void Begin() => _began = Stopwatch.GetTimestamp();

    /// <summary>Keeps a translation that was made since <see cref="Begin"/>.</summary>
    /// <returns>What the block, or one of its specializations, runs.</returns>
    public TranslatedBlock Install(in EmittedBlock made, Block* block, Flavor flavor)
    {
        Map.Add(Offset(Hot), Offset(Cold), block, flavor);
        _counters->BlocksTranslated++;
        _counters->BytesEmitted += (ulong)(made.HotEnd - Hot + (made.ColdEnd - Cold));
        _counters->TranslationTicks += (ulong)(Stopwatch.GetTimestamp() - _began);
        Hot = made.HotEnd;
        Cold = made.ColdEnd;
        _memory.NoteUse(Hot);
        _memory.NoteUse(Cold);
        return new TranslatedBlock
        {
            Entry = _memory.ToExecutable(made.Hot),
            Body = _memory.ToExecutable(made.Body),
            Abandon = _memory.ToExecutable(made.Abandon),
        };
    }

    /// <summary>Forgets a translation that is not to be installed: the next one takes its place.</summary>
    public void TakeBack(in EmittedBlock made) => _sites.Truncate(made.FirstSite);

    /// <summary>Forgets all.</summary>
    public void Clear()
    {
        Map.Clear();
        _sites.Clear();
        Hot = _hotStart;
        Cold = _coldStart;
    }

    private uint Offset(byte* writable) => (uint)(writable - _memory.Writable);
}
