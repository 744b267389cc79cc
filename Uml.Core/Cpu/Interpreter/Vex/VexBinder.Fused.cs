using Iced.Intel;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Semantics.Float;

namespace Uml.Core.Cpu.Interpreter.Vex;

/// <summary>FMA.</summary>
// SAFETY: as in VexBinder.cs; Imm is a packed FusedForm and no offset.
internal static unsafe partial class VexBinder
{
    private static Handler BindFused(in Instruction instruction, Op* op)
    {
        int order = OrderOf(instruction.Mnemonic);
        if (order == 0)
        {
            return null;
        }

        bool memory = ReadsMemory(in instruction);
        op->Imm = new FusedForm(order, SignsOf(instruction.Mnemonic)).Packed;
        if (instruction.Op0Register.IsYMM())
        {
            return IsFusedDouble(instruction.Mnemonic)
                ? memory ? &FusedPackedHandlers<FusedPacked, double>.Ymm<VexMemory> : &FusedPackedHandlers<FusedPacked, double>.Ymm<VexRegister>
                : memory ? &FusedPackedHandlers<FusedPacked, float>.Ymm<VexMemory> : &FusedPackedHandlers<FusedPacked, float>.Ymm<VexRegister>;
        }

        if (IsFusedScalar(instruction.Mnemonic))
        {
            return IsFusedDouble(instruction.Mnemonic)
                ? memory ? &FusedHandlers.Double<VexMemory> : &FusedHandlers.Double<VexRegister>
                : memory ? &FusedHandlers.Single<VexMemory> : &FusedHandlers.Single<VexRegister>;
        }

        return IsFusedDouble(instruction.Mnemonic)
            ? memory ? &FusedPackedHandlers<FusedPacked, double>.Xmm<VexMemory> : &FusedPackedHandlers<FusedPacked, double>.Xmm<VexRegister>
            : memory ? &FusedPackedHandlers<FusedPacked, float>.Xmm<VexMemory> : &FusedPackedHandlers<FusedPacked, float>.Xmm<VexRegister>;
    }

    /// <summary>The number in the name of an FMA instruction: which operands are multiplied and which is added. Zero for others.</summary>
    private static int OrderOf(Mnemonic mnemonic) => mnemonic switch
    {
        Mnemonic.Vfmadd132ps or Mnemonic.Vfmadd132pd or Mnemonic.Vfmadd132ss or Mnemonic.Vfmadd132sd or Mnemonic.Vfmsub132ps
            or Mnemonic.Vfmsub132pd or Mnemonic.Vfmsub132ss or Mnemonic.Vfmsub132sd or Mnemonic.Vfnmadd132ps
            or Mnemonic.Vfnmadd132pd or Mnemonic.Vfnmadd132ss or Mnemonic.Vfnmadd132sd or Mnemonic.Vfnmsub132ps
            or Mnemonic.Vfnmsub132pd or Mnemonic.Vfnmsub132ss or Mnemonic.Vfnmsub132sd or Mnemonic.Vfmaddsub132ps
            or Mnemonic.Vfmaddsub132pd or Mnemonic.Vfmsubadd132ps or Mnemonic.Vfmsubadd132pd => 132,
        Mnemonic.Vfmadd213ps or Mnemonic.Vfmadd213pd or Mnemonic.Vfmadd213ss or Mnemonic.Vfmadd213sd or Mnemonic.Vfmsub213ps
            or Mnemonic.Vfmsub213pd or Mnemonic.Vfmsub213ss or Mnemonic.Vfmsub213sd or Mnemonic.Vfnmadd213ps
            or Mnemonic.Vfnmadd213pd or Mnemonic.Vfnmadd213ss or Mnemonic.Vfnmadd213sd or Mnemonic.Vfnmsub213ps
            or Mnemonic.Vfnmsub213pd or Mnemonic.Vfnmsub213ss or Mnemonic.Vfnmsub213sd or Mnemonic.Vfmaddsub213ps
            or Mnemonic.Vfmaddsub213pd or Mnemonic.Vfmsubadd213ps or Mnemonic.Vfmsubadd213pd => 213,
        Mnemonic.Vfmadd231ps or Mnemonic.Vfmadd231pd or Mnemonic.Vfmadd231ss or Mnemonic.Vfmadd231sd or Mnemonic.Vfmsub231ps
            or Mnemonic.Vfmsub231pd or Mnemonic.Vfmsub231ss or Mnemonic.Vfmsub231sd or Mnemonic.Vfnmadd231ps
            or Mnemonic.Vfnmadd231pd or Mnemonic.Vfnmadd231ss or Mnemonic.Vfnmadd231sd or Mnemonic.Vfnmsub231ps
            or Mnemonic.Vfnmsub231pd or Mnemonic.Vfnmsub231ss or Mnemonic.Vfnmsub231sd or Mnemonic.Vfmaddsub231ps
            or Mnemonic.Vfmaddsub231pd or Mnemonic.Vfmsubadd231ps or Mnemonic.Vfmsubadd231pd => 231,
        _ => 0,
    };

    /// <summary>Which terms are negated; VFMADD none.</summary>
    private static FusedSigns SignsOf(Mnemonic mnemonic) => mnemonic switch
    {
        Mnemonic.Vfmsub132ps or Mnemonic.Vfmsub132pd or Mnemonic.Vfmsub132ss or Mnemonic.Vfmsub132sd or Mnemonic.Vfmsub213ps
            or Mnemonic.Vfmsub213pd or Mnemonic.Vfmsub213ss or Mnemonic.Vfmsub213sd or Mnemonic.Vfmsub231ps or Mnemonic.Vfmsub231pd
            or Mnemonic.Vfmsub231ss or Mnemonic.Vfmsub231sd => FusedSigns.EvenAddend | FusedSigns.OddAddend,
        Mnemonic.Vfnmadd132ps or Mnemonic.Vfnmadd132pd or Mnemonic.Vfnmadd132ss or Mnemonic.Vfnmadd132sd or Mnemonic.Vfnmadd213ps
            or Mnemonic.Vfnmadd213pd or Mnemonic.Vfnmadd213ss or Mnemonic.Vfnmadd213sd or Mnemonic.Vfnmadd231ps
            or Mnemonic.Vfnmadd231pd or Mnemonic.Vfnmadd231ss or Mnemonic.Vfnmadd231sd => FusedSigns.Product,
        Mnemonic.Vfnmsub132ps or Mnemonic.Vfnmsub132pd or Mnemonic.Vfnmsub132ss or Mnemonic.Vfnmsub132sd or Mnemonic.Vfnmsub213ps
            or Mnemonic.Vfnmsub213pd or Mnemonic.Vfnmsub213ss or Mnemonic.Vfnmsub213sd or Mnemonic.Vfnmsub231ps
            or Mnemonic.Vfnmsub231pd or Mnemonic.Vfnmsub231ss or Mnemonic.Vfnmsub231sd => FusedSigns.Product | FusedSigns.EvenAddend | FusedSigns.OddAddend,
        Mnemonic.Vfmaddsub132ps or Mnemonic.Vfmaddsub132pd or Mnemonic.Vfmaddsub213ps or Mnemonic.Vfmaddsub213pd
            or Mnemonic.Vfmaddsub231ps or Mnemonic.Vfmaddsub231pd => FusedSigns.EvenAddend,
        Mnemonic.Vfmsubadd132ps or Mnemonic.Vfmsubadd132pd or Mnemonic.Vfmsubadd213ps or Mnemonic.Vfmsubadd213pd
            or Mnemonic.Vfmsubadd231ps or Mnemonic.Vfmsubadd231pd => FusedSigns.OddAddend,
        _ => FusedSigns.None,
    };

    /// <summary>Whether the elements are doubles.</summary>
    private static bool IsFusedDouble(Mnemonic mnemonic) => mnemonic switch
    {
        Mnemonic.Vfmadd132pd or Mnemonic.Vfmadd132sd or Mnemonic.Vfmadd213pd or Mnemonic.Vfmadd213sd or Mnemonic.Vfmadd231pd
            or Mnemonic.Vfmadd231sd or Mnemonic.Vfmsub132pd or Mnemonic.Vfmsub132sd or Mnemonic.Vfmsub213pd or Mnemonic.Vfmsub213sd
            or Mnemonic.Vfmsub231pd or Mnemonic.Vfmsub231sd or Mnemonic.Vfnmadd132pd or Mnemonic.Vfnmadd132sd
            or Mnemonic.Vfnmadd213pd or Mnemonic.Vfnmadd213sd or Mnemonic.Vfnmadd231pd or Mnemonic.Vfnmadd231sd
            or Mnemonic.Vfnmsub132pd or Mnemonic.Vfnmsub132sd or Mnemonic.Vfnmsub213pd or Mnemonic.Vfnmsub213sd
            or Mnemonic.Vfnmsub231pd or Mnemonic.Vfnmsub231sd or Mnemonic.Vfmaddsub132pd or Mnemonic.Vfmaddsub213pd
            or Mnemonic.Vfmaddsub231pd or Mnemonic.Vfmsubadd132pd or Mnemonic.Vfmsubadd213pd or Mnemonic.Vfmsubadd231pd => true,
        _ => false,
    };

    /// <summary>Whether only the lowest element takes part.</summary>
    private static bool IsFusedScalar(Mnemonic mnemonic) => mnemonic switch
    {
        Mnemonic.Vfmadd132ss or Mnemonic.Vfmadd132sd or Mnemonic.Vfmadd213ss or Mnemonic.Vfmadd213sd or Mnemonic.Vfmadd231ss
            or Mnemonic.Vfmadd231sd or Mnemonic.Vfmsub132ss or Mnemonic.Vfmsub132sd or Mnemonic.Vfmsub213ss or Mnemonic.Vfmsub213sd
            or Mnemonic.Vfmsub231ss or Mnemonic.Vfmsub231sd or Mnemonic.Vfnmadd132ss or Mnemonic.Vfnmadd132sd
            or Mnemonic.Vfnmadd213ss or Mnemonic.Vfnmadd213sd or Mnemonic.Vfnmadd231ss or Mnemonic.Vfnmadd231sd
            or Mnemonic.Vfnmsub132ss or Mnemonic.Vfnmsub132sd or Mnemonic.Vfnmsub213ss or Mnemonic.Vfnmsub213sd
            or Mnemonic.Vfnmsub231ss or Mnemonic.Vfnmsub231sd => true,
        _ => false,
    };
}
