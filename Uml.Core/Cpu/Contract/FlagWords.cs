using Uml.Core.Cpu.Semantics.Float;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Contract;

/// <summary>
/// Converts between the flag representations of the interpreter and of translated code (<see cref="HotWords.FlagWord"/>).
/// </summary>
// SAFETY: s is a live processor's state; only its flags and MXCSR are touched.
internal static unsafe class FlagWords
{
    /// <summary>Bit 1 of RFLAGS, where AH has it.</summary>
    private const uint AlwaysSet = Flags.Fixed1 << 8;

    /// <summary>SF, ZF, AF, PF and CF are in AH as in the low byte of RFLAGS, OF is in AL.</summary>
    public static void ToLazy(CpuState* s)
    {
        var word = (uint)s->Hot.FlagWord;
        Flags.SetStatus(s, ((word >> 8) & 0xFF) | ((word & 1) != 0 ? Flags.OF : 0));
    }

    public static void FromLazy(CpuState* s)
    {
        uint status = Flags.GetStatus(s);
        s->Hot.FlagWord = ((status & 0xFF) << 8) | AlwaysSet | ((status & Flags.OF) != 0 ? 1u : 0);
    }

    /// <summary>Whether the guest has masked all floating-point exceptions of vector instructions: only then they may run on the host.</summary>
    public static bool IsMasked(CpuState* s) => (s->Mxcsr & SseFloat.AllMasks) == SseFloat.AllMasks;
}
