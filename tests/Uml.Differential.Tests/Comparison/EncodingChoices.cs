using Iced.Intel;

namespace Uml.Differential.Tests.Comparison;

/// <summary>
/// Encodings that processors of different makers take for different instructions, or some for none: the part of
/// <see cref="ProcessorChoices"/> that no outcome can be adjusted for. Our decoder does as Intel's processors; no case has them.
/// </summary>
internal static class EncodingChoices
{
    private const byte OperandSize = 0x66, Lock = 0xF0, RepeatNot = 0xF2, Repeat = 0xF3;

    /// <summary>Why a form is no case at all; null when it may be one.</summary>
    public static string? WhyLeftOut(Code code) => code switch
    {
        Code.Call_m1664 or Code.Jmp_m1664 => "AMD's processors ignore REX.W here, Intel's and ours do not: covered by the system tests",
        Code.Reservednop_rm16_r16_0F0D or Code.Reservednop_rm32_r32_0F0D or Code.Reservednop_rm64_r64_0F0D =>
            "AMD's processors raise #UD for the register forms, Intel's and ours do nothing",
        _ => null,
    };

    /// <summary>MOVSXD of 16 bits: AMD's processors read four bytes of memory, Intel's two.</summary>
    public static bool ReadsTwoSizes(in Instruction instruction) =>
        instruction.Code == Code.Movsxd_r16_rm16 && instruction.Op1Kind == OpKind.Memory;

    /// <summary>VPEXTRD and VPINSRD with W outside 64-bit mode: AMD's processors raise #UD, Intel's ignore it.</summary>
    public static bool MindsVexW(Mnemonic mnemonic) => mnemonic is Mnemonic.Vpextrd or Mnemonic.Vpinsrd;

    /// <summary>An instruction that means something else to some processors with the prefixes it has.</summary>
    /// <param name="instruction">The instruction.</param>
    /// <param name="prefixes">Its prefixes, REX among them.</param>
    /// <param name="opcode">The first byte of its opcode.</param>
    /// <param name="bitness">Of the code.</param>
    public static bool IsAmbiguous(in Instruction instruction, ReadOnlySpan<byte> prefixes, byte opcode, int bitness)
    {
        // AMD's processors obey operand-size prefixes of transfers.
        bool isTransfer = instruction.FlowControl is not (FlowControl.Next or FlowControl.Interrupt or FlowControl.Exception);

        // With REX.B some take PAUSE for XCHG R8.
        bool isPause = opcode == 0x90 && prefixes.Contains(Repeat) && (prefixes[^1] & 0xF1) == 0x41;

        // AMD's take LOOPE and LOOPNE for each other behind F2 and F3.
        bool isLoop = instruction.Mnemonic is Mnemonic.Loope or Mnemonic.Loopne && prefixes.ContainsAny(Repeat, RepeatNot);
        return (bitness == 64 && isTransfer && prefixes.Contains(OperandSize)) || isPause || isLoop;
    }

    /// <summary>Bytes that are no instruction to our decoder, and one to AMD's processors.</summary>
    /// <param name="prefixes">The prefixes.</param>
    /// <param name="code">What is behind them.</param>
    public static bool IsValidToSome(ReadOnlySpan<byte> prefixes, ReadOnlySpan<byte> code)
    {
        // LOCK MOV CR0 is MOV CR8; LOCK VERW is VERW.
        bool isLocked = code is [0x0F, 0x20 or 0x22, ..] || (code is [0x0F, 0x00, < 0xC0 and var modRm, ..] && (modRm & 0x38) == 0x28);

        // VPERMQ and VPERMPD without W.
        return (prefixes.Contains(Lock) && isLocked) || code is [0xC4, 0xE3, 0x7D, 0x00 or 0x01, ..];
    }
}
