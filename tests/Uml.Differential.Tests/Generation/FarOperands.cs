using System.Runtime.InteropServices;
using Iced.Intel;
using Uml.Differential.Tests.Engines;

namespace Uml.Differential.Tests.Generation;

/// <summary>
/// Selectors and far pointers. Only selectors that mean the same in the host's descriptor table and in the guest's are used; code
/// segments stay of the program's own width, as exit slots are.
/// </summary>
internal readonly ref struct FarOperands(TestCase test, Instruction instruction)
{
    /// <summary>Null, kernel code and data, Linux's user segments with right and wrong privilege, beyond the table's end.</summary>
    private static ReadOnlySpan<ushort> Selectors => [0, 3, 0x10, 0x13, 0x18, 0x1B, 0x20, 0x23, 0x28, 0x2B, 0x30, 0x33, 0xFFF8, 0xFFFB];

    private readonly ushort OwnCode => test.Bitness == 64 ? Layout.UserCode64 : Layout.UserCode32;

    public static bool IsFar(in Instruction instruction) => instruction.IsJmpFar || instruction.IsJmpFarIndirect
        || instruction.IsCallFar || instruction.IsCallFarIndirect;

    public static bool PlacesStack(in Instruction instruction) => IsFarReturn(instruction)
        || (instruction.Mnemonic == Mnemonic.Pop && instruction.Op0Kind == OpKind.Register && instruction.Op0Register.IsSegmentRegister());

    /// <summary>Instructions whose operand is a selector, or a far pointer to load.</summary>
    public static bool LoadsSelector(in Instruction instruction) => instruction.Mnemonic
            is Mnemonic.Lar or Mnemonic.Lsl or Mnemonic.Verr or Mnemonic.Verw or Mnemonic.Lds or Mnemonic.Les
        || (instruction.Mnemonic == Mnemonic.Mov && instruction.Op0Kind == OpKind.Register && instruction.Op0Register.IsSegmentRegister());

    /// <summary>The frame of RETF and IRET, or the selector that POP loads.</summary>
    /// <returns>False when part of the frame faults: how much of it is read before the first check differs.</returns>
    public bool PlaceStack(ref Rng rng, ulong pointer)
    {
        int size = instruction.Code switch
        {
            Code.Retfw or Code.Retfw_imm16 or Code.Iretw or Code.Popw_DS or Code.Popw_ES => 2,
            Code.Retfd or Code.Retfd_imm16 or Code.Iretd or Code.Popd_DS or Code.Popd_ES => 4,
            _ => 8,
        };
        int release = instruction.OpCount == 1 && instruction.Op0Kind == OpKind.Immediate16 ? instruction.Immediate16 : 0;
        if (!test.TryGetMemory(pointer, (5 * size) + release, out Span<byte> frame))
        {
            return !test.TryGetMemory(pointer, 1, out _);
        }

        EdgeValues.Fill(ref rng, frame);
        if (!IsFarReturn(instruction))
        {
            MemoryMarshal.Write(frame, ChooseSelector(ref rng));
            return true;
        }

        Write(frame, size, Targets.ChooseBranch(ref rng, test.Bitness));
        WriteSelector(frame[size..], size, ChooseCode(ref rng), ref rng);
        if (instruction.Code is Code.Retfw or Code.Retfd or Code.Retfq or Code.Retfw_imm16 or Code.Retfd_imm16 or Code.Retfq_imm16)
        {
            return true;
        }

        // Neither TF nor NT, AC, VM: single steps, tasks and the like are system tests.
        Write(frame[(2 * size)..], size, rng.Next() & ~0x2_4100UL & ~0x4_0000UL);
        WriteSelector(frame[(4 * size)..], size, rng.OneIn(3) ? ChooseSelector(ref rng) : Layout.UserData, ref rng);
        return true;
    }

    /// <returns>False when the operand as drawn is not to be run.</returns>
    public bool PlaceOperand(ref Rng rng, Span<byte> code, EncodingGenerator encodings)
    {
        if (instruction.Op0Kind is OpKind.FarBranch16 or OpKind.FarBranch32)
        {
            encodings.Decode(code, Layout.Program, out ConstantOffsets offsets);
            Write(code[offsets.ImmediateOffset..], offsets.ImmediateSize, Targets.ChooseBranch(ref rng, test.Bitness));
            MemoryMarshal.Write(code[offsets.ImmediateOffset2..], ChooseCode(ref rng));
            return true;
        }

        if (instruction.Mnemonic == Mnemonic.Mov && instruction.Op0Register is not (Register.DS or Register.ES))
        {
            return false; // FS is the host thread's, SS ends programs in many ways, GS has a base that selectors replace
        }

        if (!Operands.HasMemory(instruction))
        {
            int last = instruction.OpCount - 1;
            int number = Operands.GprNumber(instruction.GetOpRegister(last));
            test.State.Gprs[number] = (test.State.Gprs[number] & ~0xFFFFUL) | ChooseSelector(ref rng);
            return true;
        }

        return PlaceMemory(ref rng);
    }

    private bool PlaceMemory(ref Rng rng)
    {
        ulong address = Operands.EffectiveAddress(instruction, test.Bitness, ref test.State);
        bool isPointer = IsFar(instruction) || instruction.Mnemonic is Mnemonic.Lds or Mnemonic.Les;
        int offsetSize = isPointer ? Operands.MemorySize(instruction) - 2 : 0;
        if (!test.TryGetMemory(address, offsetSize + 2, out Span<byte> content))
        {
            // The selector must be one of ours wherever it can be read at all.
            return !test.TryGetMemory(address, 1, out _) || !test.TryGetMemory(address + (ulong)offsetSize + 1, 1, out _);
        }

        if (isPointer)
        {
            Write(content, offsetSize, Targets.ChooseBranch(ref rng, test.Bitness));
        }

        MemoryMarshal.Write(content[offsetSize..], IsFar(instruction) ? ChooseCode(ref rng) : ChooseSelector(ref rng));
        return true;
    }

    private static bool IsFarReturn(in Instruction instruction) =>
        instruction.Mnemonic is Mnemonic.Retf or Mnemonic.Iret or Mnemonic.Iretd or Mnemonic.Iretq;

    private static ushort ChooseSelector(ref Rng rng) => Selectors[rng.Below(Selectors.Length)];

    private ushort ChooseCode(ref Rng rng)
    {
        ushort other = test.Bitness == 64 ? Layout.UserCode32 : Layout.UserCode64;
        ushort selector = rng.OneIn(3) ? ChooseSelector(ref rng) : OwnCode;
        return (selector | 3) == other ? OwnCode : selector;
    }

    private static void WriteSelector(Span<byte> slot, int size, ushort selector, ref Rng rng) =>
        Write(slot, size, selector | (rng.Next() << 16));

    private static void Write(Span<byte> destination, int size, ulong value) =>
        MemoryMarshal.AsBytes(new ReadOnlySpan<ulong>(in value))[..size].CopyTo(destination);
}
