using Iced.Intel;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Access;

/// <summary>Instructions with operands of 8 bytes whose alignment Intel's processors do not check (Intel SDM vol. 1, 14.9).</summary>
// SAFETY: s is a live processor's state; CurrentOp is null or the operation that runs.
internal static unsafe class AlignmentExemptions
{
    /// <summary>Whether the instruction that runs is one.</summary>
    public static bool Contain(CpuState* s)
    {
        Op* op = BlockState.Of(s)->CurrentOp;
        return op != null && (Code)op->Code is (Code.VEX_Vcvtph2ps_xmm_xmmm64 or Code.VEX_Vcvtps2ph_xmmm64_xmm_imm8);
    }
}
