using System.Runtime.ExceptionServices;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Execute;

/// <summary>What slow paths of translated code know of the translations of a processor, and ask for.</summary>
// SAFETY: Of takes the state of a live processor, whose handle Owned keeps; blocks and sites are of the current epoch.
internal abstract unsafe class TranslatedCode
{
    public abstract BlockCache Blocks { get; }

    /// <summary>Chaining.</summary>
    public abstract CodeLinks Links { get; }

    /// <summary>Where computed jumps led.</summary>
    public abstract JumpTables Jumps { get; }

    /// <summary>What went wrong in a slow path while translated code was on the stack.</summary>
    public ExceptionDispatchInfo? Failure { get; set; }

    public static TranslatedCode Of(CpuState* s) => Owned.Get<TranslatedCode>(s->Engine->Translator);

    /// <summary>Whether a block has a translation, made now if it runs often enough.</summary>
    public abstract bool IsTranslated(Block* block, Flavor flavor);

    /// <summary>
    /// Points the jump of a place that saves flags only for its target to a translation of the target that can do without, made now if
    /// there is none.
    /// </summary>
    /// <returns>Whether that could be done.</returns>
    public abstract bool Specialize(Site* site, Block* target);

    /// <summary>Logs a fault in translated code.</summary>
    /// <returns>What is to be thrown when that code is left.</returns>
    public abstract EmittedCodeFaultException ReportFault();
}
