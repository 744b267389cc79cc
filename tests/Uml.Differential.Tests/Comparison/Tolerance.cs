using Iced.Intel;

namespace Uml.Differential.Tests.Comparison;

/// <summary>What may differ between two engines after a case.</summary>
internal struct Tolerance
{
    public uint UndefinedFlags;
    public ushort UndefinedStatusWord;

    /// <summary>Single-precision lanes of XMM registers may be off by this, relatively (RCPPS, RSQRTPS: Intel SDM vol. 2 allows 1.5 * 2^-12 each).</summary>
    public float XmmRelative;

    /// <summary>x87 registers may be off by this many units in the last place (transcendental instructions: Intel SDM vol. 1, 8.3.10).</summary>
    public ulong X87UnitsInLastPlace;

    /// <summary>
    /// Ranges of bytes of the memory operand that are not compared: FPU pointers, which AMD's processors save only on exceptions, and
    /// FXSAVE's MXCSR_MASK, which tells their misaligned mode.
    /// </summary>
    public (int From, int To)[]? IgnoredStore;

    /// <summary>
    /// The operand is accessed in pieces whose order processors do not promise: CR2 may be any of its bytes.
    /// </summary>
    public bool AnyFaultAddress;

    /// <summary>It has two memory operands, and processors differ in which of them faults first when both do.</summary>
    public bool AnyFault;

    /// <summary>General registers the instruction loads may hold what was read before a fault: POPA is restartable all the same.</summary>
    public bool PartialOnFault;

    public static Tolerance For(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Rcpps or Mnemonic.Rcpss or Mnemonic.Rsqrtps or Mnemonic.Rsqrtss
            or Mnemonic.Vrcpps or Mnemonic.Vrcpss or Mnemonic.Vrsqrtps or Mnemonic.Vrsqrtss => new Tolerance { XmmRelative = 3 * 1.5f / 4096 },
        Mnemonic.Fsin or Mnemonic.Fcos or Mnemonic.Fsincos or Mnemonic.Fptan or Mnemonic.Fpatan or Mnemonic.F2xm1 or Mnemonic.Fyl2x
            or Mnemonic.Fyl2xp1 => new Tolerance { X87UnitsInLastPlace = 2, UndefinedStatusWord = 0x200 },
        Mnemonic.Fxsave or Mnemonic.Fxsave64 => new Tolerance { IgnoredStore = [(6, 24), (28, 32)], AnyFaultAddress = true },
        Mnemonic.Fxrstor or Mnemonic.Fxrstor64 or Mnemonic.Fldenv or Mnemonic.Frstor => new Tolerance { AnyFaultAddress = true },
        Mnemonic.Retf or Mnemonic.Iret or Mnemonic.Iretd or Mnemonic.Iretq => new Tolerance { AnyFaultAddress = true },
        Mnemonic.Cmpsb or Mnemonic.Cmpsw or Mnemonic.Cmpsd or Mnemonic.Cmpsq => new Tolerance { AnyFault = true },
        Mnemonic.Popa or Mnemonic.Popad => new Tolerance { PartialOnFault = true },
        Mnemonic.Fnstenv or Mnemonic.Fnsave => new Tolerance
        {
            AnyFaultAddress = true,
            IgnoredStore = instruction.Code is Code.Fnstenv_m14byte or Code.Fnsave_m94byte ? [(6, 14)] : [(12, 28)],
        },
        _ => default,
    };
}
