using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Verify;

/// <summary>What a translation passes before it is installed, when translations are checked at all.</summary>
/// <param name="checker">The checker.</param>
/// <param name="stops">A defect ends the machine; otherwise the block is interpreted.</param>
/// <param name="log">Of the processor.</param>
/// <param name="counters">Where refusals are counted.</param>
internal sealed unsafe class TranslationGuard(CodeChecker checker, bool stops, CpuLog log, CpuCounters* counters)
{
    // SAFETY: blocks and translations are passed on to the checker for the time of the call; the counters are in the processor's state, which
    // outlives its engine.

    /// <summary>Sees each translation before it is checked. Null but in a fuzzer of the checker.</summary>
    public TranslationHook? BeforeCheck { get; set; }

    /// <summary>Looks for a defect.</summary>
    /// <returns>Null when the translation may run.</returns>
    public string? Check(Block* block, Flavor flavor, in EmittedBlock made)
    {
        BeforeCheck?.Invoke(checker, block, flavor, in made);
        return checker.Check(block, flavor, in made);
    }

    /// <summary>Reports that a translation was refused.</summary>
    /// <exception cref="TranslationRefusedException">That is to end the machine.</exception>
    public void Report(string defect)
    {
        counters->TranslationsRefused++;
        log.ReportRefusal(defect, counters->TranslationsRefused);
        if (stops)
        {
            throw new TranslationRefusedException(defect);
        }
    }
}
