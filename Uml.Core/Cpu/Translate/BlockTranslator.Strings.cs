using Uml.Core.Cpu.Contract;

namespace Uml.Core.Cpu.Translate;

internal sealed unsafe partial class BlockTranslator
{
    /// <summary>REP MOVS or REP STOS: the host's own, if it is an ordinary one (see <c>EmittedStrings</c>), else the handler.</summary>
    private void EmitString(int index)
    {
        ref Plan plan = ref _plans[index];
        _code.Call(_stubs.String(plan.Form == Form.StringMove, plan.MemorySize, IsLong));
        AddHandlerFor(index, (nint)_code.JumpIf(Condition.Ne));
    }
}
