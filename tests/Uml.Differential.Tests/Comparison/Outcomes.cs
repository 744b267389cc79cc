using System.Runtime.InteropServices;
using Iced.Intel;
using Uml.Differential.Tests.Engines;
using Uml.Differential.Tests.Generation;

namespace Uml.Differential.Tests.Comparison;

/// <summary>
/// What <see cref="ProcessorChoices"/> makes of what a processor did: exactly what the model's choice would have made it, or nothing when the
/// two differ in another way than that choice explains.
/// </summary>
internal static class Outcomes
{
    private const int Completed = MachineSnapshot.Completed, PageFault = 14, AlignmentCheck = 17, SimdException = 19;
    private const int Source = 6, Destination = 7;
    private const uint Ac = 0x4_0000;
    private const uint MxcsrFlags = 0x3F;
    private const ushort Top = 0x3800, X87Exceptions = 0xFF, ErrorSummary = 0x80, X87Masks = 0x3F, Conditions = 0x4700, Busy = 0x8000;

    /// <summary>#SS, #GP, #PF, #AC.</summary>
    private static bool IsMemoryFault(int vector) => vector is 12 or 13 or PageFault or AlignmentCheck;

    public static Explanation IsAlignmentFault(ChoiceCase c) =>
        c.Expected.State.Vector == AlignmentCheck && (c.Expected.State.Rflags & Ac) != 0 && (c.Actual.State.Vector != AlignmentCheck || c.Actual.State.Rip != c.Expected.State.Rip)
            ? Explanation.AlignmentChecked
            : Explanation.None;

    public static Explanation ClearUpperHalves(ChoiceCase c)
    {
        Explanation result = Explanation.None;
        foreach (int register in (ReadOnlySpan<int>)[1, 6, 7])
        {
            ref ulong expected = ref c.Expected.State.Gprs[register];
            if (expected == c.Before.Gprs[register] && c.Actual.State.Gprs[register] == (uint)expected && UsesAddresses32(c.Instruction))
            {
                expected = (uint)expected;
                result = Explanation.Adjusted;
            }
        }

        return result;
    }

    public static Explanation RestoreFlags(ChoiceCase c)
    {
        const ulong status = 0x8D5;
        if (!IsMemoryFault(c.Expected.State.Vector) || ((c.Actual.State.Rflags ^ c.Before.Rflags) & status) != 0)
        {
            return Explanation.None;
        }

        c.Expected.State.Rflags = (c.Expected.State.Rflags & ~status) | (c.Before.Rflags & status);
        return Explanation.Adjusted;
    }

    private static bool UsesAddresses32(in Instruction i)
    {
        for (int n = 0; n < i.OpCount; n++)
        {
            if (i.GetOpKind(n) is OpKind.MemorySegESI or OpKind.MemoryESEDI)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Elements of a mask have the size of those that are loaded.</summary>
    public static Explanation ExtendGatherMask(ChoiceCase c)
    {
        if (c.Expected.State.Vector < 0)
        {
            return Explanation.None;
        }

        int mask = Slot(c.Instruction.Op2Register), destination = Slot(c.Instruction.Op0Register);
        int element = c.Instruction.MemorySize.GetSize();
        bool isWide = c.Instruction.Op0Register.IsYMM() || c.Instruction.Op2Register.IsYMM() || c.Instruction.MemoryIndex.IsYMM();
        bool loaded = false;
        for (int i = 0; i < 32; i += element)
        {
            Span<byte> bytes = (i < 16 ? c.Expected.State.Xmm(mask) : c.Expected.State.UpperYmm(mask)).Slice(i & 15, element);
            Span<byte> before = (i < 16 ? c.Before.Xmm(mask) : c.Before.UpperYmm(mask)).Slice(i & 15, element);
            loaded |= before[^1] >= 0x80 && bytes[^1] < 0x80;
            bytes.Fill(bytes[^1] >= 0x80 && (i < 16 || isWide) ? (byte)0xFF : (byte)0);
        }

        if (loaded && c.Instruction.Op0Register.IsXMM())
        {
            c.Expected.State.UpperYmm(destination).Clear();
        }

        return Explanation.Adjusted;
    }

    private static int Slot(Register register) => register.IsYMM() ? register - Register.YMM0 : register - Register.XMM0;

    /// <summary>Both name a byte of the operand.</summary>
    public static Explanation TakeFaultAddress(ChoiceCase c)
    {
        int size = Math.Max(16, c.Instruction.MemorySize.GetSize());
        if (c.Expected.State.Vector != PageFault || c.Actual.State.Vector != PageFault
            || Math.Abs((long)(c.Expected.State.Cr2 - c.Actual.State.Cr2)) >= size)
        {
            return Explanation.None;
        }

        if (c.Expected.State.Cr2 >> 12 != c.Actual.State.Cr2 >> 12)
        {
            // Another page may fault for another reason.
            c.Expected.State.ErrorCode = c.Actual.State.ErrorCode;
        }

        c.Expected.State.Cr2 = c.Actual.State.Cr2;
        return Explanation.Adjusted;
    }

    /// <summary>One names a byte of the operand at RSI, the other one of that at RDI.</summary>
    public static Explanation TakeOtherOperand(ChoiceCase c)
    {
        ref MachineSnapshot expected = ref c.Expected.State, actual = ref c.Actual.State;
        if (expected.Vector != PageFault || actual.Vector != PageFault || expected.Rip != actual.Rip
            || !IsAt(Source, expected.Cr2, c) || !IsAt(Destination, actual.Cr2, c))
        {
            return Explanation.None;
        }

        expected.Cr2 = actual.Cr2;
        expected.ErrorCode = actual.ErrorCode;
        return Explanation.Adjusted;
    }

    private static bool IsAt(int register, ulong address, ChoiceCase c)
    {
        ulong mask = c.Instruction.Op0Kind switch
        {
            OpKind.MemorySegSI => ushort.MaxValue,
            OpKind.MemorySegESI => uint.MaxValue,
            _ => ulong.MaxValue,
        };
        return address - (c.Expected.State.Gprs[register] & mask) < (ulong)c.Instruction.MemorySize.GetSize();
    }

    /// <summary>ST(i) are counted from TOP.</summary>
    public static Explanation ResetTop(ChoiceCase c)
    {
        ref MachineSnapshot state = ref c.Expected.State;
        if (!IsMemoryFault(state.Vector))
        {
            return Explanation.None;
        }

        int top = (state.StatusWord & Top) >> 11;
        MachineSnapshot old = state;
        for (int i = 0; i < 8; i++)
        {
            old.St((i - top) & 7).CopyTo(state.St(i));
        }

        state.StatusWord &= unchecked((ushort)~Top);
        return Explanation.Adjusted;
    }

    /// <summary>The exception is pending, and nothing else happened.</summary>
    public static Explanation TakeX87Exception(ChoiceCase c)
    {
        ref MachineSnapshot expected = ref c.Expected.State, actual = ref c.Actual.State;
        if (c.IsProgram && IsMemoryFault(expected.Vector) && (expected.ControlWord & X87Masks) != X87Masks && actual.Rip != expected.Rip)
        {
            return Explanation.Adjusted; // whose other engine went on
        }

        const int mayDiffer = X87Exceptions | Conditions | Busy; // FST leaves C0, C2 and C3 undefined
        if (!IsMemoryFault(expected.Vector) || (actual.StatusWord & ErrorSummary) == 0 || ((expected.StatusWord ^ actual.StatusWord) & ~mayDiffer) != 0
            || (actual.Vector == Completed && actual.Rip != expected.Rip + (ulong)c.Instruction.Length))
        {
            return Explanation.None;
        }

        (expected.Vector, expected.ErrorCode, expected.Cr2, expected.Rip) = (actual.Vector, actual.ErrorCode, actual.Cr2, actual.Rip);
        expected.StatusWord = actual.StatusWord;
        return Explanation.Adjusted;
    }

    public static Explanation TakeFirstEightBytes(ChoiceCase c)
    {
        ulong address = Operands.EffectiveAddress(c.Instruction, c.Bitness, ref c.Before);
        return IsMemoryFault(c.Expected.State.Vector) && c.Actual.State.Vector == c.Expected.State.Vector ? TakeBytes(c, address, sizeof(ulong)) : Explanation.None;
    }

    /// <summary>Above the selector the processor wrote zeros, and the model nothing.</summary>
    public static Explanation TakeUpperBytes(ChoiceCase c) => c.Expected.State.Vector == Completed && c.Actual.State.Vector == Completed
        ? TakeBytes(c, (uint)c.Before.Gprs[4] - sizeof(ushort), sizeof(ushort))
        : Explanation.None;

    /// <summary>The dword runs into the next page, which faults; the selector does not.</summary>
    public static Explanation TakeShortAccess(ChoiceCase c)
    {
        bool isPush = c.Instruction.Mnemonic == Mnemonic.Push;
        ulong first = (uint)(c.Expected.State.Gprs[4] - (isPush ? 4u : 0u));
        ulong upper = (uint)(first + sizeof(ushort));
        if (c.Expected.State.Vector != PageFault || c.Actual.State.Vector == PageFault || first >> 12 == (first + 3) >> 12
            || c.Expected.State.Cr2 >> 12 != (first + 3) >> 12 || (upper & 0xFFF) > 1)
        {
            return Explanation.None;
        }

        c.Expected.State = c.Actual.State;
        _ = TakeBytes(c, first, sizeof(ushort));
        return Explanation.Adjusted;
    }

    public static Explanation TakeConversionFlags(ChoiceCase c)
    {
        ref MachineSnapshot expected = ref c.Expected.State, actual = ref c.Actual.State;
        if (!IsMemoryFault(expected.Vector) || ((expected.Mxcsr ^ actual.Mxcsr) & ~MxcsrFlags) != 0 || (expected.Mxcsr & ~actual.Mxcsr) != 0)
        {
            return Explanation.None;
        }

        expected.Mxcsr = actual.Mxcsr;
        if (actual.Vector == SimdException)
        {
            (expected.Vector, expected.ErrorCode, expected.Cr2) = (actual.Vector, actual.ErrorCode, actual.Cr2);
        }

        return Explanation.Adjusted;
    }

    /// <summary>Elements that are quiet NaNs in both.</summary>
    public static Explanation TakeOtherNan(ChoiceCase c)
    {
        int slot = Slot(c.Instruction.Op0Register);
        bool isDouble = c.Instruction.Mnemonic is Mnemonic.Dppd or Mnemonic.Vdppd;
        bool lower = TakeOtherNan(c.Expected.State.Xmm(slot), c.Actual.State.Xmm(slot), isDouble);
        bool upper = TakeOtherNan(c.Expected.State.UpperYmm(slot), c.Actual.State.UpperYmm(slot), isDouble);
        return lower || upper ? Explanation.Adjusted : Explanation.None;
    }

    /// <summary>The same for one register.</summary>
    public static bool TakeOtherNan(Span<byte> expected, ReadOnlySpan<byte> actual, bool isDouble)
    {
        const uint quiet = 0x7FC0_0000;
        const ulong quietDouble = 0x7FF8_0000_0000_0000;
        bool taken = false;
        int size = isDouble ? sizeof(ulong) : sizeof(uint);
        for (int i = 0; i < expected.Length; i += size)
        {
            Span<byte> e = expected.Slice(i, size);
            ReadOnlySpan<byte> a = actual.Slice(i, size);
            bool areNans = isDouble
                ? (MemoryMarshal.Read<ulong>(e) & MemoryMarshal.Read<ulong>(a) & quietDouble) == quietDouble
                : (MemoryMarshal.Read<uint>(e) & MemoryMarshal.Read<uint>(a) & quiet) == quiet;
            if (areNans && !a.SequenceEqual(e))
            {
                a.CopyTo(e);
                taken = true;
            }
        }

        return taken;
    }

    private static Explanation TakeBytes(ChoiceCase c, ulong address, int count)
    {
        for (int i = 0; i < count; i++)
        {
            int offset = Layout.OffsetOf(c.Bitness == 32 ? (uint)(address + (ulong)i) : address + (ulong)i);
            if (offset >= 0)
            {
                c.Expected.Memory[offset] = c.Actual.Memory[offset];
            }
        }

        return Explanation.Adjusted;
    }
}
