using Iced.Intel;
using Uml.Differential.Tests.Comparison;

namespace Uml.Differential.Tests.Generation;

/// <summary>Which cases with prefixes cannot be compared: what the host's process depends on, and what processors do not agree on.</summary>
internal static class PrefixQuirks
{
    private const byte Fs = 0x64;

    /// <summary>With as many no instruction is longer than fifteen bytes.</summary>
    private const int MostPrefixes = 4;

    /// <summary>Whether all processors do the same with an instruction.</summary>
    /// <param name="instruction">The instruction.</param>
    /// <param name="code">Its bytes, and others behind.</param>
    /// <param name="bitness">Of the code.</param>
    public static bool IsComparable(in Instruction instruction, ReadOnlySpan<byte> code, int bitness)
    {
        ReadOnlySpan<byte> prefixes = Prefixes(code[..instruction.Length], bitness);
        if (instruction.SegmentPrefix == Register.FS && AccessesMemory(in instruction))
        {
            return false; // the host thread's own
        }

        return !EncodingChoices.IsAmbiguous(in instruction, prefixes, code[prefixes.Length], bitness);
    }

    /// <summary>Whether all processors do the same with bytes that are no instruction: raise #UD, or #GP for too many.</summary>
    /// <param name="code">The bytes, and others behind.</param>
    /// <param name="bitness">Of the code.</param>
    public static bool IsInvalidForAll(ReadOnlySpan<byte> code, int bitness)
    {
        ReadOnlySpan<byte> prefixes = Prefixes(code, bitness);
        if (prefixes.Contains(Fs) || EncodingChoices.IsValidToSome(prefixes, code[prefixes.Length..]))
        {
            return false;
        }

        // Which exception it is when there are too many bytes of something that is invalid anyway is each processor's own choice.
        return prefixes.Length <= MostPrefixes || IsTooLong(code, prefixes.Length, bitness);
    }

    /// <summary>Whether it is an instruction but for prefixes that change nothing: those before another of their kind, and REX before others.</summary>
    private static bool IsTooLong(ReadOnlySpan<byte> code, int prefixes, int bitness)
    {
        List<byte> bytes = [.. code];
        for (int i = 0; i < prefixes;)
        {
            bool isRedundant = i + 1 < prefixes && ((bitness == 64 && (bytes[i] & 0xF0) == 0x40) || bytes.IndexOf(bytes[i], i + 1, prefixes - i - 1) >= 0);
            if (isRedundant)
            {
                bytes.RemoveAt(i);
                prefixes--;
            }
            else
            {
                i++;
            }
        }

        Instruction shorter = Decoder.Create(bitness, bytes.ToArray()).Decode();

        // Whether UD0 and UD1 take a ModR/M byte before they raise #UD differs.
        return !shorter.IsInvalid && shorter.Mnemonic is not (Mnemonic.Ud0 or Mnemonic.Ud1) && IsComparable(in shorter, bytes.ToArray(), bitness);
    }

    private static ReadOnlySpan<byte> Prefixes(ReadOnlySpan<byte> code, int bitness)
    {
        int length = 0;
        while (length < code.Length && (PrefixPatterns.IsLegacy(code[length]) || (bitness == 64 && (code[length] & 0xF0) == 0x40)))
        {
            length++;
        }

        return code[..length];
    }

    private static bool AccessesMemory(in Instruction instruction)
    {
        for (int i = 0; i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) is OpKind.Memory or (>= OpKind.MemorySegSI and <= OpKind.MemoryESRDI))
            {
                return true;
            }
        }

        return instruction.IsStringInstruction;
    }
}
