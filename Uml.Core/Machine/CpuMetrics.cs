using System.Diagnostics.Metrics;
using Uml.Core.Cpu;

namespace Uml.Core.Machine;

/// <summary>The instruments for <see cref="CpuStatistics"/>, fed with the totals after each slice.</summary>
internal sealed class CpuMetrics
{
    private readonly TotalCounter _instructions;
    private readonly TotalCounter _decoded;
    private readonly TotalCounter _translated;
    private readonly TotalCounter _emitted;
    private readonly TotalCounter _chained;
    private readonly TotalCounter _invalidated;
    private readonly TotalCounter _flushes;
    private readonly TotalCounter _tlbMisses;
    private readonly TotalCounter _deviceAccesses;
    private readonly TotalCounter _codePageWrites;
    private readonly TotalCounter _pageCrossings;
    private readonly TotalCounter _handlerCalls;
    private readonly TotalCounter _jumpSearches;
    private readonly TotalCounter _encodingMismatches;
    private readonly TotalCounter _translationsRefused;
    private readonly Counter<double> _translationTime;
    private readonly KeyValuePair<string, object?> _name;
    private TimeSpan _reportedTime;

    /// <param name="meter">The meter of the instruments.</param>
    /// <param name="name">The tag that identifies the machine.</param>
    public CpuMetrics(Meter meter, KeyValuePair<string, object?> name)
    {
        _name = name;
        _instructions = Create("uml.machine.instructions", "{instruction}", "Guest instructions retired.");
        _decoded = Create("uml.cpu.blocks.decoded", "{block}", "Blocks of guest instructions decoded.");
        _translated = Create("uml.cpu.blocks.translated", "{block}", "Blocks translated to host instructions.");
        _invalidated = Create("uml.cpu.blocks.invalidated", "{block}", "Blocks dropped because their bytes were written to.");
        _chained = Create("uml.cpu.chain.hits", "{link}", "Direct jumps linked to the block they lead to.");
        _emitted = Create("uml.cpu.code.emitted", "By", "Host instructions emitted by translation.");
        _flushes = Create("uml.cpu.code.flushes", "{flush}", "Times that all blocks were dropped because their memory was full.");
        _translationTime = meter.CreateCounter<double>("uml.cpu.translation.time", "s", "Time spent translating.");
        _tlbMisses = Create("uml.cpu.tlb.misses", "{miss}", "Page translations looked up in the guest's page tables.");

        Counter<long> slow = meter.CreateCounter<long>("uml.cpu.slow_paths", "{access}", "Guest operations that took a slow path, by kind.");
        _deviceAccesses = SlowPath("device");
        _codePageWrites = SlowPath("code_page_write");
        _pageCrossings = SlowPath("page_crossing");
        _handlerCalls = SlowPath("handler_call");
        _jumpSearches = SlowPath("jump_search");
        _encodingMismatches = SlowPath("encoding_mismatch");
        _translationsRefused = SlowPath("translation_refused");

        TotalCounter Create(string instrument, string unit, string description) =>
            new(meter.CreateCounter<long>(instrument, unit, description), name);
        TotalCounter SlowPath(string kind) => new(slow, name, new("uml.cpu.slow_path.kind", kind));
    }

    /// <summary>Adds the increments since the last report. Called on the machine's thread; allocates nothing.</summary>
    public void Report(in CpuStatistics totals)
    {
        _instructions.Report(totals.InstructionsRetired);
        _decoded.Report(totals.BlocksDecoded);
        _translated.Report(totals.BlocksTranslated);
        _emitted.Report(totals.BytesEmitted);
        _chained.Report(totals.ChainHits);
        _invalidated.Report(totals.BlocksInvalidated);
        _flushes.Report(totals.CodeCacheFlushes);
        _tlbMisses.Report(totals.TlbMisses);
        _deviceAccesses.Report(totals.DeviceAccesses);
        _codePageWrites.Report(totals.CodePageWrites);
        _pageCrossings.Report(totals.PageCrossings);
        _handlerCalls.Report(totals.HandlerCalls);
        _jumpSearches.Report(totals.JumpSearches);
        _encodingMismatches.Report(totals.EncodingMismatches);
        _translationsRefused.Report(totals.TranslationsRefused);
        if (_translationTime.Enabled && totals.TranslationTime != _reportedTime)
        {
            _translationTime.Add((totals.TranslationTime - _reportedTime).TotalSeconds, _name);
            _reportedTime = totals.TranslationTime;
        }
    }

    /// <summary>
    /// A counter that is updated with totals. Increments from before a listener was attached are reported once there is one.
    /// </summary>
    private sealed class TotalCounter(Counter<long> counter, params KeyValuePair<string, object?>[] tags)
    {
        private ulong _reported;

        public void Report(ulong total)
        {
            if (total != _reported && counter.Enabled)
            {
                counter.Add((long)(total - _reported), tags);
                _reported = total;
            }
        }
    }
}
