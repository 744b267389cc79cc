using System.Runtime.InteropServices;
using Iced.Intel;
using Uml.Differential.Tests.Engines;

namespace Uml.Differential.Tests.Generation;

/// <summary>Makes single-instruction cases: one random encoding of a form, and a state in which it does something.</summary>
internal sealed class CaseGenerator(int bitness)
{
    private const int MaxAttempts = 400;
    private readonly EncodingGenerator _encodings = new(bitness);
    private readonly byte[] _code = new byte[16];

    /// <summary>The case a seed stands for.</summary>
    /// <exception cref="InvalidOperationException">No encoding and state were found: the generator does not understand the form.</exception>
    public TestCase Create(OpCodeInfo info, ulong seed)
    {
        var test = new TestCase { Bitness = bitness, Seed = seed, Form = info.Code };
        var rng = new Rng(seed);
        for (int attempt = 0; attempt < MaxAttempts; attempt++)
        {
            if (!_encodings.TryWrite(ref rng, info, Layout.Program, _code, out Instruction instruction, out int length))
            {
                continue;
            }

            StateGenerator.Fill(ref rng, test);
            Span<byte> code = _code.AsSpan(0, length);
            var placer = new OperandPlacer(test, _encodings, code, instruction);
            if (placer.Place(ref rng))
            {
                test.Steps = [new Step(code.ToArray())];
                return test;
            }
        }

        throw new InvalidOperationException($"No usable case of {info.Code} within {MaxAttempts} attempts of seed 0x{seed:x}.");
    }
}

/// <summary>
/// Bends operands to addresses inside the test's windows (or where they fault as planned): patches displacements and branch targets in
/// the code, sets address registers, counts and accumulators in the state.
/// </summary>
internal ref struct OperandPlacer(TestCase test, EncodingGenerator encodings, Span<byte> code, Instruction instruction)
{
    private readonly Span<byte> _code = code;
    private Instruction _instruction = instruction;

    /// <summary>General registers whose value is settled, one bit each.</summary>
    private uint _fixed;

    private readonly Span<ulong> Gprs => test.State.Gprs;

    /// <returns>False when an access might leave the test's address ranges; draw again.</returns>
    public bool Place(ref Rng rng)
    {
        PlaceCounts(ref rng);
        if (!PlaceString(ref rng))
        {
            return false;
        }

        if (!PlaceStack(ref rng))
        {
            return false;
        }

        int memory = Operands.FindMemory(_instruction);
        if (memory >= 0 && !PlaceMemory(ref rng))
        {
            return false;
        }

        PlaceValues(ref rng, memory);
        return PlaceBranch(ref rng) && new SpecialOperands(test, _instruction).Place(ref rng) && IsSafe(memory);
    }

    private void Fix(int register, ulong value)
    {
        Gprs[register] = test.Bitness == 64 ? value : (uint)value;
        _fixed |= 1U << register;
    }

    /// <summary>An address register of <paramref name="bits"/> bits; what lies above does not count and is random.</summary>
    private void FixAddress(ref Rng rng, int register, ulong value, int bits) =>
        Fix(register, bits == 64 ? value : (value & ((1UL << bits) - 1)) | (rng.Next() << bits));

    private readonly bool IsFixed(int register) => (_fixed >> register & 1) != 0;

    private void PlaceCounts(ref Rng rng)
    {
        if (_instruction.HasRepPrefix || _instruction.HasRepnePrefix)
        {
            if (_instruction.IsStringInstruction)
            {
                FixAddress(ref rng, 1, (ulong)(rng.OneIn(8) ? rng.Below(40) : rng.Below(7)), StringAddressBits());
            }
        }
        else if (_instruction.Mnemonic is Mnemonic.Loop or Mnemonic.Loope or Mnemonic.Loopne or Mnemonic.Jcxz or Mnemonic.Jecxz or Mnemonic.Jrcxz
            && rng.OneIn(2))
        {
            FixAddress(ref rng, 1, (ulong)rng.Below(3), test.Bitness == 64 ? rng.OneIn(2) ? 32 : 64 : rng.OneIn(2) ? 16 : 32);
        }

        if (Operands.IsBitString(_instruction))
        {
            // The bit offset is signed and reaches far beyond the operand.
            int bits = _instruction.Op1Register.GetSize() * 8;
            FixAddress(ref rng, Operands.GprNumber(_instruction.Op1Register), (ulong)(rng.Below(4096) - 2048), bits);
        }
    }

    private readonly int StringAddressBits()
    {
        for (int i = 0; i < _instruction.OpCount; i++)
        {
            switch (_instruction.GetOpKind(i))
            {
                case OpKind.MemorySegSI or OpKind.MemoryESDI or OpKind.MemorySegDI:
                    return 16;
                case OpKind.MemorySegESI or OpKind.MemoryESEDI or OpKind.MemorySegEDI:
                    return 32;
            }
        }

        return test.Bitness;
    }

    private bool PlaceString(ref Rng rng)
    {
        int bits = StringAddressBits();
        for (int i = 0; i < _instruction.OpCount; i++)
        {
            OpKind kind = _instruction.GetOpKind(i);
            bool isSource = kind is OpKind.MemorySegSI or OpKind.MemorySegESI or OpKind.MemorySegRSI;
            bool isDestination = kind is OpKind.MemoryESDI or OpKind.MemoryESEDI or OpKind.MemoryESRDI
                or OpKind.MemorySegDI or OpKind.MemorySegEDI or OpKind.MemorySegRDI;
            if (!isSource && !isDestination)
            {
                continue;
            }

            if (bits == 16)
            {
                Fix(isSource ? 6 : 7, rng.Next()); // below 64 KiB nothing is mapped
                continue;
            }

            bool addsGs = Operands.UsesGs(_instruction) && kind is not (OpKind.MemoryESDI or OpKind.MemoryESEDI or OpKind.MemoryESRDI);
            ulong target = Targets.Choose(ref rng, 64, bits == 64 && !addsGs);
            if (addsGs && (bits == 32 || Layout.IsNonCanonical(target)))
            {
                return false;
            }

            FixAddress(ref rng, isSource ? 6 : 7, target - (addsGs ? test.State.GsBase : 0), bits);
            PlaceContent(ref rng, target, 64);
        }

        return true;
    }

    private bool PlaceStack(ref Rng rng)
    {
        bool isLeave = _instruction.Mnemonic == Mnemonic.Leave;
        if (!_instruction.IsStackInstruction && !isLeave)
        {
            return true;
        }

        ulong pointer = Targets.ChooseStack(ref rng, test.Bitness);
        int register = isLeave ? 5 : 4;
        Fix(register, pointer);
        if (_instruction.Mnemonic == Mnemonic.Enter)
        {
            Fix(5, Targets.ChooseStack(ref rng, test.Bitness));
        }

        if (FarOperands.PlacesStack(_instruction))
        {
            return new FarOperands(test, _instruction).PlaceStack(ref rng, pointer);
        }

        bool isReturn = _instruction.Mnemonic == Mnemonic.Ret;
        if (!isReturn && test.TryGetMemory(pointer, 16, out Span<byte> top))
        {
            EdgeValues.Fill(ref rng, top);
            if (_instruction.Mnemonic is Mnemonic.Popf or Mnemonic.Popfd or Mnemonic.Popfq)
            {
                top[1] &= 0xBE; // neither TF nor NT: single steps and task returns are system tests
                top[2] &= 0xFB; // nor AC
            }
        }
        else if (isReturn && test.TryGetMemory(pointer, 8, out top))
        {
            MemoryMarshal.Write(top, Targets.ChooseBranch(ref rng, test.Bitness));
        }

        return true;
    }

    private bool PlaceMemory(ref Rng rng)
    {
        int size = Math.Clamp(Operands.MemorySize(_instruction), 1, 512);
        if (!AccessesMemory())
        {
            return true;
        }

        ulong target = Targets.Choose(ref rng, size, reachesHigh: true);
        if (!TrySolve(ref rng, target))
        {
            return false;
        }

        ulong address = Operands.EffectiveAddress(_instruction, test.Bitness, ref test.State);
        PlaceContent(ref rng, address, size);
        return true;
    }

    /// <summary>Whether the memory operand, after everything was placed, can only hit what the test owns.</summary>
    private readonly bool IsSafe(int memory)
    {
        if (memory < 0 || !AccessesMemory())
        {
            return true;
        }

        int margin = Operands.MemorySize(_instruction) + 16 + (_instruction.IsVsib ? SpecialOperands.GatherReach : 0);
        if (Operands.IsBitString(_instruction))
        {
            margin += 4096 + 16;
            if (_instruction.Op1Register.GetSize() > 2 && IsAddressRegister(_instruction.Op1Register))
            {
                return false; // an address taken as a bit offset reaches anywhere
            }
        }

        ulong address = Operands.EffectiveAddress(_instruction, test.Bitness, ref test.State);
        if (Operands.AddressBits(_instruction, test.Bitness) == 16)
        {
            return address + (ulong)margin < 0x1_0000; // below 64 KiB nothing is mapped; where operands wrap within is unspecified
        }

        return Layout.IsSafe(address, margin);
    }

    private readonly bool IsAddressRegister(Register register) =>
        Operands.GprNumber(register) is int number
        && (number == Operands.GprNumber(_instruction.MemoryBase) || number == Operands.GprNumber(_instruction.MemoryIndex));

    private readonly bool AccessesMemory() => _instruction.Mnemonic is not
        (Mnemonic.Lea or Mnemonic.Nop or Mnemonic.Prefetchnta or Mnemonic.Prefetcht0 or Mnemonic.Prefetcht1 or Mnemonic.Prefetcht2
        or Mnemonic.Prefetch or Mnemonic.Prefetchw or Mnemonic.Prefetchwt1 or Mnemonic.Ud0 or Mnemonic.Ud1);

    /// <summary>Makes base + index * scale + displacement come to the target, through whichever part is free.</summary>
    private bool TrySolve(ref Rng rng, ulong target)
    {
        int bits = Operands.AddressBits(_instruction, test.Bitness);
        int baseRegister = Operands.GprNumber(_instruction.MemoryBase), index = Operands.GprNumber(_instruction.MemoryIndex);
        ulong offset = target - (Operands.UsesGs(_instruction) ? test.State.GsBase : 0);
        if (bits != 64 && offset >> 32 != 0)
        {
            return false;
        }

        if (index >= 0 && index != baseRegister && !IsFixed(index))
        {
            // Without a base the 32-bit displacement has to bridge the rest; with one, the index may be anything.
            FixAddress(ref rng, index, baseRegister < 0 || rng.OneIn(2) ? (ulong)rng.Below(1 << 16) : Gprs[index], bits);
        }

        if (baseRegister >= 0 && !IsFixed(baseRegister))
        {
            ulong rest = offset - _instruction.MemoryDisplacement64;
            ulong scale = (ulong)_instruction.MemoryIndexScale;
            ulong value = baseRegister == index
                ? Operands.Wrap(rest, bits) / (scale + 1)
                : rest - (Operands.Value(_instruction.MemoryIndex, ref test.State) * scale);
            FixAddress(ref rng, baseRegister, value, bits);
            return true;
        }

        return TryPatchDisplacement(offset);
    }

    private bool TryPatchDisplacement(ulong offset)
    {
        encodings.Decode(_code, Layout.Program, out ConstantOffsets offsets);
        if (offsets.DisplacementSize < 4)
        {
            return true; // a settled base with a short displacement: near enough, or the caller rejects it
        }

        ulong origin = 0;
        if (_instruction.IsIPRelativeMemoryOperand)
        {
            origin = _instruction.NextIP;
        }
        else
        {
            origin = Operands.Value(_instruction.MemoryBase, ref test.State)
                + (Operands.Value(_instruction.MemoryIndex, ref test.State) * (ulong)_instruction.MemoryIndexScale);
        }

        ulong displacement = offset - origin;
        if (offsets.DisplacementSize == 8)
        {
            MemoryMarshal.Write(_code[offsets.DisplacementOffset..], displacement);
        }
        else if ((long)displacement == (int)displacement || Operands.AddressBits(_instruction, test.Bitness) == 32)
        {
            MemoryMarshal.Write(_code[offsets.DisplacementOffset..], (uint)displacement);
        }
        else
        {
            return false;
        }

        _instruction = encodings.Decode(_code, Layout.Program, out _);
        return true;
    }

    private readonly void PlaceContent(ref Rng rng, ulong address, int size)
    {
        if (test.TryGetMemory(address, size, out Span<byte> content))
        {
            EdgeValues.Fill(ref rng, content);
        }
        else if (test.TryGetMemory(address, 1, out content))
        {
            content[0] = (byte)EdgeValues.Integer(ref rng);
        }
    }

    /// <summary>Sets registers and memory so that comparisons come out equal and divisions do not always overflow.</summary>
    private readonly void PlaceValues(ref Rng rng, int memory)
    {
        switch (_instruction.Mnemonic)
        {
            case Mnemonic.Div or Mnemonic.Idiv when !rng.OneIn(4):
                PlaceDividend(ref rng);
                break;
            case Mnemonic.Cmpxchg when rng.OneIn(2):
                MakeEqual(memory, _instruction.Op1Register.GetSize());
                break;
            case Mnemonic.Cmpxchg8b or Mnemonic.Cmpxchg16b when rng.OneIn(2):
                MakePairEqual(_instruction.Mnemonic == Mnemonic.Cmpxchg8b ? 4 : 8);
                break;
            case Mnemonic.Pcmpestri or Mnemonic.Pcmpestri64 or Mnemonic.Pcmpestrm or Mnemonic.Pcmpestrm64
                or Mnemonic.Vpcmpestri or Mnemonic.Vpcmpestri64 or Mnemonic.Vpcmpestrm or Mnemonic.Vpcmpestrm64 when !rng.OneIn(4):
                Gprs[0] = (ulong)(rng.Below(44) - 22);
                Gprs[2] = (ulong)(rng.Below(44) - 22);
                break;
        }
    }

    private readonly void PlaceDividend(ref Rng rng)
    {
        int size = Operands.HasMemory(_instruction) ? Operands.MemorySize(_instruction) : _instruction.Op0Register.GetSize();
        ulong high = rng.Below(4) switch
        {
            0 => 0,
            1 => (ulong)((long)Gprs[0] >> 63),
            2 => (ulong)rng.Below(100),
            _ => (ulong)-rng.Below(3),
        };
        if (size == 1)
        {
            Gprs[0] = (Gprs[0] & ~0xFF00UL) | (high & 0xFF) << 8;
        }
        else if (!IsFixed(2))
        {
            Gprs[2] = test.Bitness == 64 ? high : (uint)high;
        }
    }

    private readonly void MakeEqual(int memory, int size)
    {
        if (memory < 0)
        {
            int number = Operands.GprNumber(_instruction.Op0Register);
            bool isHigh = _instruction.Op0Register is >= Register.AH and <= Register.BH;
            Gprs[number] = isHigh ? (Gprs[number] & ~0xFF00UL) | ((Gprs[0] & 0xFF) << 8) : Gprs[0];
            return;
        }

        ulong address = Operands.EffectiveAddress(_instruction, test.Bitness, ref test.State);
        if (test.TryGetMemory(address, size, out Span<byte> content))
        {
            MemoryMarshal.AsBytes(Gprs[..1])[..size].CopyTo(content);
        }
    }

    private readonly void MakePairEqual(int half)
    {
        ulong address = Operands.EffectiveAddress(_instruction, test.Bitness, ref test.State);
        if (test.TryGetMemory(address, 2 * half, out Span<byte> content))
        {
            MemoryMarshal.AsBytes(Gprs[..1])[..half].CopyTo(content);
            MemoryMarshal.AsBytes(Gprs[2..3])[..half].CopyTo(content[half..]);
        }
    }

    private bool PlaceBranch(ref Rng rng)
    {
        ulong target = Targets.ChooseBranch(ref rng, test.Bitness);
        if (FarOperands.IsFar(_instruction) || FarOperands.LoadsSelector(_instruction))
        {
            return new FarOperands(test, _instruction).PlaceOperand(ref rng, _code, encodings);
        }

        switch (_instruction.FlowControl)
        {
            case FlowControl.ConditionalBranch or FlowControl.UnconditionalBranch or FlowControl.Call:
                return TryPatchBranch(ref rng, target);
            case FlowControl.IndirectBranch or FlowControl.IndirectCall:
                return PlaceIndirect(target);
            default:
                return true;
        }
    }

    private bool TryPatchBranch(ref Rng rng, ulong target)
    {
        if (_instruction.Op0Kind is not (OpKind.NearBranch16 or OpKind.NearBranch32 or OpKind.NearBranch64))
        {
            return _instruction.FlowControl != FlowControl.ConditionalBranch;
        }

        encodings.Decode(_code, Layout.Program, out ConstantOffsets offsets);
        if (offsets.ImmediateSize == 2)
        {
            return true; // 32-bit code only: EIP wraps at 64 KiB, below which nothing is mapped
        }

        if (offsets.ImmediateSize == 1)
        {
            target = rng.OneIn(2) ? Layout.SlotBefore : Layout.SlotBehind;
            _code[offsets.ImmediateOffset] = (byte)(target - _instruction.NextIP);
        }
        else
        {
            MemoryMarshal.Write(_code[offsets.ImmediateOffset..], (uint)(target - _instruction.NextIP));
        }

        _instruction = encodings.Decode(_code, Layout.Program, out _);
        return true;
    }

    private readonly bool PlaceIndirect(ulong target)
    {
        if (_instruction.Op0Kind == OpKind.Register)
        {
            int number = Operands.GprNumber(_instruction.Op0Register);
            Gprs[number] = target;
            return number != 4;
        }

        ulong address = Operands.EffectiveAddress(_instruction, test.Bitness, ref test.State);
        int size = Operands.MemorySize(_instruction);
        if (size == 2)
        {
            return false;
        }

        if (test.TryGetMemory(address, size, out Span<byte> content))
        {
            MemoryMarshal.AsBytes(new Span<ulong>(ref target))[..size].CopyTo(content);
            return true;
        }

        // Straddles a page that faults, or lies in one; if it straddles two windows the target would be random.
        return !test.TryGetMemory(address, 1, out _) || !test.TryGetMemory(address + (ulong)size - 1, 1, out _);
    }
}
