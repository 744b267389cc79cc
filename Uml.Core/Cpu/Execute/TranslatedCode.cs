using System.Runtime.ExceptionServices;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Execute;

/// <summary>The translations of a processor, as the slow paths of translated code use them.</summary>
// SAFETY: Of takes the state of a live processor, whose handle Owned keeps; blocks and sites are of the current epoch.
internal abstract unsafe class TranslatedCode
{
    public abstract BlockCache Blocks { get; }

    /// <summary>Chaining.</summary>
    public abstract CodeLinks Links { get; }

    /// <summary>Targets of computed jumps.</summary>
    public abstract JumpTables Jumps { get; }

    /// <summary>Targets of jumps in all address spaces.</summary>
    public abstract JumpTargets Targets { get; }

    /// <summary>An exception of a slow path, which is rethrown once translated code is off the stack.</summary>
    public ExceptionDispatchInfo? Failure { get; set; }

    public static TranslatedCode Of(CpuState* s) => Owned.Get<TranslatedCode>(s->Engine->Translator);

    /// <summary>Whether a block has a translation. One that runs often enough is translated now.</summary>
    public abstract bool IsTranslated(Block* block, Flavor flavor);

    /// <summary>
    /// Chains the jump of a site, which saves flags for its target only, to a specialization of the target that does not need them saved;
    /// it is translated now if there is none.
    /// </summary>
    /// <returns>Whether there is such a specialization.</returns>
    public abstract bool Specialize(Site* site, Block* target);

    /// <summary>Logs a fault in translated code.</summary>
    /// <returns>The exception to be thrown once that code is off the stack.</returns>
    public abstract EmittedCodeFaultException ReportFault();
}
