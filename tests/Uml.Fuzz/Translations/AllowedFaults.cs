using Iced.Intel;
using Uml.Core.Cpu;
using Uml.Core.Cpu.Contract;

namespace Uml.Fuzz.Translations;

/// <summary>
/// Which faults of accepted code are no findings. SECURITY.md names them: divisors and the alignment of operands are not checked, and
/// what is never to be reached is a UD2. They end the machine and touch nothing.
/// </summary>
internal static unsafe class AllowedFaults
{
    private const int LongestInstruction = 15;

    private const int Sigill = 4, Sigfpe = 8, Sigsegv = 11;

    /// <summary>The exception of misaligned operands, #GP. An address that is not mapped would be #PF.</summary>
    private const ulong GeneralProtection = 13;

    /// <summary>What kind of allowed fault the engine took; null when it was none.</summary>
    public static string? Find(JitEngine jit)
    {
        ref readonly FaultSlot fault = ref jit.Fault;
        ulong place = fault.Rip - (ulong)jit.Code.Executable;
        if (place >= jit.Code.Size)
        {
            return null;
        }

        // SAFETY: inside code memory, up to its end.
        int length = (int)Math.Min(LongestInstruction, jit.Code.Size - place);
        Instruction at = Decoder.Create(64, new ReadOnlySpan<byte>(jit.Code.Writable + place, length).ToArray(), fault.Rip).Decode();
        return fault.Signal switch
        {
            Sigill when at.Mnemonic == Mnemonic.Ud2 => "UD2",
            Sigfpe when at.Mnemonic is Mnemonic.Div or Mnemonic.Idiv => "division",
            Sigsegv when IsMisaligned(in fault, in at) => "misaligned",
            _ => null,
        };
    }

    /// <summary>
    /// Whether a vector operand is at an address that is canonical (a non-canonical one has the same exception) and not aligned.
    /// Checked code has its operands at the address register or the stack pointer.
    /// </summary>
    private static bool IsMisaligned(in FaultSlot fault, in Instruction i)
    {
        const int r14 = 6;
        int size = i.MemorySize.GetSize();
        int register = i.MemoryBase switch { Register.R14 => r14, Register.RSP => FaultSlot.RspIndex, _ => -1 };
        if (fault.Registers[FaultSlot.TrapIndex] != GeneralProtection || size < 16 || register < 0 || i.MemoryIndex != Register.None)
        {
            return false;
        }

        ulong address = fault.Registers[register] + i.MemoryDisplacement64;
        return address < 1UL << 47 && address % (ulong)size != 0;
    }
}
