using Iced.Intel;

namespace Uml.Differential.Tests.Generation;

/// <summary>Where prefixes mean something else to processors of different makers, or what the host's process depends on.</summary>
internal static class PrefixQuirks
{
    private const byte Fs = 0x64, OperandSize = 0x66, Lock = 0xF0, RepeatNot = 0xF2, Repeat = 0xF3;

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

        bool isTransfer = instruction.FlowControl is not (FlowControl.Next or FlowControl.Interrupt or FlowControl.Exception);
        if (bitness == 64 && isTransfer && prefixes.Contains(OperandSize))
        {
            return false; // AMD's processors obey operand-size prefixes there, Intel's and our decoder do not
        }

        // With REX.B some processors take PAUSE for XCHG R8; AMD's take LOOPE and LOOPNE for each other behind F2 and F3.
        byte opcode = code[prefixes.Length];
        bool isPause = opcode == 0x90 && prefixes.Contains(Repeat) && (prefixes[^1] & 0xF1) == 0x41;
        bool isLoop = instruction.Mnemonic is Mnemonic.Loope or Mnemonic.Loopne && prefixes.ContainsAny(Repeat, RepeatNot);
        return !isPause && !isLoop;
    }

    /// <summary>Whether all processors do the same with bytes that are no instruction: raise #UD, or #GP for too many.</summary>
    /// <param name="code">The bytes, and others behind.</param>
    /// <param name="bitness">Of the code.</param>
    public static bool IsInvalidForAll(ReadOnlySpan<byte> code, int bitness)
    {
        ReadOnlySpan<byte> prefixes = Prefixes(code, bitness);
        ReadOnlySpan<byte> opcode = code[prefixes.Length..];

        // LOCK MOV CR0 is MOV CR8 to AMD's processors, which do not mind LOCK VERW either.
        if (prefixes.Contains(Fs) || (prefixes.Contains(Lock) && opcode is [0x0F, 0x20 or 0x22 or 0x00, ..]))
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
