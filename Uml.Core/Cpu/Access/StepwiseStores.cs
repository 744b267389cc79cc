using Iced.Intel;
using Uml.Core.Cpu.Blocks;

namespace Uml.Core.Cpu.Access;

/// <summary>
/// Instructions that change state before their store faults (docs/engine.md, "Choices the manuals leave to the processor").
/// </summary>
// SAFETY: op is the operation that runs (the handler contract, see Op); it is only read.
internal static unsafe class StepwiseStores
{
    /// <summary>MMX stores, which reset TOP first; ten bytes, stored as eight and two; VCVTPS2PH, whose flags are set first.</summary>
    public static bool Contain(Op* op) => (Code)op->Code
        is Code.Movd_rm32_mm or Code.Movq_rm64_mm or Code.Movq_mmm64_mm or Code.Movntq_m64_mm
        or Code.Fstp_m80fp or Code.Fbstp_m80bcd
        or Code.VEX_Vcvtps2ph_xmmm64_xmm_imm8 or Code.VEX_Vcvtps2ph_xmmm128_ymm_imm8;
}
