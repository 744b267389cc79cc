using Iced.Intel;
using Uml.Differential.Tests.Comparison;
using Uml.Differential.Tests.Engines;

namespace Uml.Differential.Tests.Generation;

/// <summary>
/// Makes programs of several instructions with branches, a loop, calls, pushes and pops: what single instructions do not show, such as
/// flags and blocks carried from one to the next.
/// </summary>
/// <remarks>
/// Addresses stay predictable because a few registers are never written: one base, one small index, one loop counter and RSP. Flags that
/// an instruction leaves undefined are settled by a comparison right behind it.
/// Forms whose results processors choose are left out (<see cref="ProcessorChoices"/>).
/// </remarks>
internal sealed class SequenceGenerator
{
    private const int MaxSteps = 20, Stack = 4;
    private readonly int _bitness;
    private readonly EncodingGenerator _encodings;
    private readonly InstructionInfoFactory _info = new();
    private readonly List<OpCodeInfo> _forms, _pushes, _jumps, _strings;
    private readonly byte[] _code = new byte[16];
    private readonly List<Step> _steps = [];
    private readonly List<int> _regions = [];
    private int _base, _index, _counter, _region;

    public SequenceGenerator(FormCatalog catalog)
    {
        _bitness = catalog.Bitness;
        _encodings = new EncodingGenerator(_bitness);
        _forms = [.. catalog.Covered.Where(IsUsable)];
        _pushes = [.. catalog.Covered.Where(form => !ProcessorChoices.IsLeftOutOfPrograms(form.Code) && form.Mnemonic is Mnemonic.Push or Mnemonic.Pop or Mnemonic.Pushf or Mnemonic.Pushfq or Mnemonic.Pushfd)];
        _strings = [.. catalog.Covered.Where(form => IsString(form) && !form.IsInputOutput && form.Mnemonic is not
            (Mnemonic.Xlatb or Mnemonic.Mov or Mnemonic.Maskmovq or Mnemonic.Maskmovdqu or Mnemonic.Vmaskmovdqu))];
        _jumps = [.. catalog.Covered.Where(form => form.Code.IsJccShortOrNear() && form.OperandSize != 16)];
    }

    public IReadOnlyList<OpCodeInfo> Forms => _forms;

    /// <summary>The register that memory operands of the last program are based on.</summary>
    public int Base => _base;

    /// <summary>Whether the last program relies on what a register holds.</summary>
    public bool IsReserved(int register) => register == Stack || IsSettled(register);

    /// <summary>The program and state a seed stands for.</summary>
    public TestCase Create(ulong seed)
    {
        var rng = new Rng(seed);
        while (true)
        {
            var test = new TestCase { Bitness = _bitness, Seed = seed, Form = null };
            StateGenerator.Fill(ref rng, test);
            ChooseRegisters(ref rng, ref test.State);
            WriteProgram(ref rng);
            test.Steps = [.. _steps];
            if (Step.TryLink(test.Steps, out byte[] code) && code.Length is > 0 and <= Layout.MaxProgramSize)
            {
                return test;
            }
        }
    }

    private static bool IsUsable(OpCodeInfo form) =>
        !form.IsPrivileged && !form.IsInputOutput && !form.IsStackInstruction && !form.IsSaveRestore && !form.MustBeCpl0
        && form.Mnemonic is not (Mnemonic.Rcpps or Mnemonic.Rcpss or Mnemonic.Rsqrtps or Mnemonic.Rsqrtss
            or Mnemonic.Vrcpps or Mnemonic.Vrcpss or Mnemonic.Vrsqrtps or Mnemonic.Vrsqrtss or Mnemonic.Vmaskmovdqu or Mnemonic.Vldmxcsr or Mnemonic.Fsin or Mnemonic.Fcos
            or Mnemonic.Fsincos or Mnemonic.Fptan or Mnemonic.Fpatan or Mnemonic.F2xm1 or Mnemonic.Fyl2x or Mnemonic.Fyl2xp1 // approximate
            or Mnemonic.Fnstsw or Mnemonic.Fnstenv or Mnemonic.Fnsave or Mnemonic.Fxsave or Mnemonic.Fxsave64 // store undefined bits
            or Mnemonic.Fldenv or Mnemonic.Frstor or Mnemonic.Fxrstor or Mnemonic.Fxrstor64 or Mnemonic.Ldmxcsr or Mnemonic.Fldcw
            or Mnemonic.Maskmovq or Mnemonic.Maskmovdqu or Mnemonic.Xlatb or Mnemonic.Wrgsbase or Mnemonic.Rdgsbase
            or Mnemonic.Int or Mnemonic.Int3 or Mnemonic.Into or Mnemonic.Ud0 or Mnemonic.Ud1 or Mnemonic.Ud2 or Mnemonic.Hlt
            or Mnemonic.Cli or Mnemonic.Sti or Mnemonic.Bound or Mnemonic.Leave or Mnemonic.Enter)
        && !ProcessorChoices.IsLeftOutOfPrograms(form.Code) && !IsBranch(form) && !IsString(form) && !VexPrefix.HasIndexVector(form);

    private static bool IsBranch(OpCodeInfo form) => form.Code.IsJccShortOrNear() || form.Mnemonic
        is Mnemonic.Jmp or Mnemonic.Call or Mnemonic.Ret or Mnemonic.Loop or Mnemonic.Loope or Mnemonic.Loopne
        or Mnemonic.Jcxz or Mnemonic.Jecxz or Mnemonic.Jrcxz;

    private static bool IsString(OpCodeInfo form)
    {
        for (int i = 0; i < form.OpCount; i++)
        {
            if (form.GetOpKind(i) is OpCodeOperandKind.seg_rSI or OpCodeOperandKind.es_rDI or OpCodeOperandKind.seg_rDI
                or OpCodeOperandKind.seg_rBX_al or OpCodeOperandKind.mem_offs)
            {
                return true;
            }
        }

        return false;
    }

    private void ChooseRegisters(ref Rng rng, ref MachineSnapshot state)
    {
        int count = _bitness == 64 ? 16 : 8;
        do
        {
            _base = rng.Below(count);
            _index = rng.Below(count);
            _counter = rng.Below(count);
        }
        while (_base == _index || _base == _counter || _index == _counter || _base == Stack || _index == Stack || _counter == Stack
            || _base is 5 or 13 || (_bitness == 32 && _counter == 1)); // RBP and R13 as a base always carry a displacement: leave them free

        state.Gprs[_base] = (_bitness == 64 && rng.OneIn(4) ? Layout.High : Layout.Data) + 0x800;
        state.Gprs[_index] = (ulong)rng.Below(16);
        state.Gprs[_counter] = (ulong)(1 + rng.Below(4));
        state.Gprs[Stack] = Layout.Stack + 0x800;
        state.GsBase = 0;
        _encodings.PreferredBase = _base;
        _encodings.PreferredIndex = _index;
    }

    private void WriteProgram(ref Rng rng)
    {
        _steps.Clear();
        _regions.Clear();
        _region = 0;
        int wanted = 2 + rng.Below(MaxSteps - 2);
        bool hasLoop = false;
        while (_steps.Count < wanted)
        {
            switch (rng.Below(16))
            {
                case 0 when _steps.Count + 4 < wanted:
                    AddCall(ref rng);
                    break;
                case 1 when !hasLoop:
                    AddLoop(ref rng);
                    hasLoop = true;
                    break;
                case 5 when !IsSettled(1) && !IsSettled(6) && !IsSettled(7):
                    AddString(ref rng);
                    break;
                case 2:
                    AddInstruction(ref rng, _pushes);
                    break;
                case 3 or 4 when _jumps.Count > 0:
                    AddInstruction(ref rng, _jumps);
                    break;
                default:
                    AddInstruction(ref rng, _forms);
                    break;
            }
        }

        ResolveForwardBranches(ref rng);
    }

    private void Add(Step step)
    {
        _steps.Add(step);
        _regions.Add(_region);
    }

    /// <summary>CALL body; JMP over; body: ...; RET. Jumps from elsewhere never lead into the body.</summary>
    private void AddCall(ref Rng rng)
    {
        int group = _steps.Count;
        Add(new Step([0xE8, 0, 0, 0, 0]) { Group = group, Target = group + 2, TargetSize = 4 });
        int jump = _steps.Count;
        Add(new Step([0xE9, 0, 0, 0, 0]) { Group = group });
        int outer = _region;
        _region = group + 1;
        for (int i = 1 + rng.Below(3); i > 0; i--)
        {
            AddInstruction(ref rng, _forms);
        }

        Add(new Step([0xC3]) { Group = group });
        _region = outer;
        _steps[jump] = _steps[jump] with { Target = _steps.Count, TargetSize = 4 };
    }

    /// <summary>DEC counter; JNZ back to any step of this region.</summary>
    private void AddLoop(ref Rng rng)
    {
        int target = rng.Below(_steps.Count + 1);
        while (target > 0 && (target == _steps.Count || _regions[target] != _region))
        {
            target--;
        }

        byte[] bytes = _bitness == 64
            ? [(byte)(0x48 | (_counter >> 3)), 0xFF, (byte)(0xC8 | (_counter & 7)), 0x0F, 0x85, 0, 0, 0, 0]
            : [0xFF, (byte)(0xC8 | _counter), 0x0F, 0x85, 0, 0, 0, 0];
        Add(new Step(bytes) { Target = target, TargetSize = 4 });
    }

    /// <summary>MOV ESI, address; MOV EDI, address; MOV ECX, count; a string instruction.</summary>
    private void AddString(ref Rng rng)
    {
        OpCodeInfo form = _strings[rng.Below(_strings.Count)];
        for (int attempt = 0; attempt < 60; attempt++)
        {
            if (!_encodings.TryWrite(ref rng, form, Layout.Program, _code, out Instruction instruction, out int length)
                || instruction.SegmentPrefix != Register.None || WritesSettledRegister(instruction))
            {
                continue;
            }

            byte[] bytes = new byte[15 + length];
            WriteMove(bytes, 0xBE, (uint)Layout.Data + 0x800 + (uint)rng.Below(0x400));
            WriteMove(bytes.AsSpan(5), 0xBF, (uint)Layout.Data + 0x800 + (uint)rng.Below(0x400));
            WriteMove(bytes.AsSpan(10), 0xB9, (uint)rng.Below(20));
            _code.AsSpan(0, length).CopyTo(bytes.AsSpan(15));
            Add(new Step(bytes));
            return;
        }
    }

    private static void WriteMove(Span<byte> bytes, byte opcode, uint value)
    {
        bytes[0] = opcode;
        System.Runtime.InteropServices.MemoryMarshal.Write(bytes[1..], value);
    }

    private bool IsSettled(int register) => register == _base || register == _index || register == _counter;

    private void AddInstruction(ref Rng rng, List<OpCodeInfo> forms)
    {
        OpCodeInfo form = forms[rng.Below(forms.Count)];
        for (int attempt = 0; attempt < 60; attempt++)
        {
            if (_encodings.TryWrite(ref rng, form, Layout.Program, _code, out Instruction instruction, out int length)
                && TryMakeStep(ref rng, instruction, _code.AsSpan(0, length), out Step? step))
            {
                Add(step!);
                return;
            }
        }
    }

    private bool TryMakeStep(ref Rng rng, in Instruction instruction, Span<byte> code, out Step? step)
    {
        step = null;
        _encodings.Decode(code, Layout.Program, out ConstantOffsets offsets);
        if (instruction.Code.IsJccShortOrNear())
        {
            step = new Step(code.ToArray()) { TargetSize = offsets.ImmediateSize, Target = 0 };
            return offsets.ImmediateSize is 1 or 4;
        }

        // Selectors are for single instructions, where they are chosen.
        bool isSelector = FarOperands.LoadsSelector(instruction) || FarOperands.PlacesStack(instruction);
        if (isSelector || WritesSettledRegister(instruction) || Operands.IsBitString(instruction) || Operands.UsesGs(instruction)
            || !IsDefined(instruction) || !TryAim(ref rng, instruction, code, offsets, out ulong ripTarget))
        {
            return false;
        }

        var state = new MachineSnapshot();
        state.Gprs[1] = 31; // the count for which most is undefined
        bool settles = Undefined.Flags(instruction, ref state) != 0;
        byte[] bytes = settles ? [.. code, 0x38, (byte)(0xC0 | rng.Below(64))] : code.ToArray(); // CMP r8, r8 defines all six
        step = new Step(bytes)
        {
            RipOffset = ripTarget != 0 ? offsets.DisplacementOffset : -1,
            RipEnd = code.Length,
            RipTarget = ripTarget,
        };
        return true;
    }

    /// <summary>Results that are undefined, rather than flags, have no place in a sequence.</summary>
    private static bool IsDefined(in Instruction instruction) =>
        !(instruction.Mnemonic is Mnemonic.Shld or Mnemonic.Shrd && instruction.Op1Register.GetSize() == 2)
        && !EncodingChoices.ReadsTwoSizes(in instruction);

    private bool WritesSettledRegister(in Instruction instruction)
    {
        uint settled = (1u << _base) | (1u << _index) | (1u << _counter);
        bool isStack = instruction.IsStackInstruction;
        foreach (UsedRegister used in _info.GetInfo(instruction).GetUsedRegisters())
        {
            int number = Operands.GprNumber(used.Register);
            if (number < 0 || used.Access is OpAccess.Read or OpAccess.CondRead or OpAccess.NoMemAccess)
            {
                continue;
            }

            // A stack instruction moves RSP by a known amount, unless it also names it.
            if ((settled >> number & 1) != 0 || (number == Stack && !(isStack && !(instruction.Op0Kind == OpKind.Register
                && Operands.GprNumber(instruction.Op0Register) == Stack))))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Accepts memory operands that only use the base and the index, and gives long displacements small values.</summary>
    private bool TryAim(ref Rng rng, in Instruction instruction, Span<byte> code, in ConstantOffsets offsets, out ulong ripTarget)
    {
        ripTarget = 0;
        if (!Operands.HasMemory(instruction) || instruction.Mnemonic == Mnemonic.Lea)
        {
            return true;
        }

        int displacement = rng.Below(0x400) - 0x200;
        if (rng.OneIn(2))
        {
            displacement &= ~15;
        }

        if (instruction.IsIPRelativeMemoryOperand)
        {
            ripTarget = Layout.Data + 0x800 + (ulong)displacement;
            return true;
        }

        int index = Operands.GprNumber(instruction.MemoryIndex);
        bool uses32 = instruction.MemoryBase.GetSize() == 4 && _bitness == 64;
        if (Operands.GprNumber(instruction.MemoryBase) != _base || instruction.MemoryBase.GetSize() < 4 || uses32 || (index >= 0 && index != _index))
        {
            return false;
        }

        if (offsets.DisplacementSize == 4)
        {
            System.Runtime.InteropServices.MemoryMarshal.Write(code[offsets.DisplacementOffset..], displacement);
        }

        return true;
    }

    private void ResolveForwardBranches(ref Rng rng)
    {
        for (int i = 0; i < _steps.Count; i++)
        {
            if (_steps[i].Target != 0 || !IsConditional(_steps[i]))
            {
                continue;
            }

            int target = i + 1 + rng.Below(_steps.Count - i);
            while (target > i + 1 && (target < _steps.Count ? _regions[target] : 0) != _regions[i])
            {
                target--;
            }

            _steps[i] = _steps[i] with { Target = target };
        }
    }

    /// <summary>A conditional branch whose target is still open (a loop's is not: it starts with DEC).</summary>
    private static bool IsConditional(Step step) =>
        step.Bytes.Length - step.TargetSize is int opcode and > 0
        && ((step.TargetSize == 1 && (step.Bytes[opcode - 1] & 0xF0) == 0x70)
            || (step.TargetSize == 4 && step.Bytes[opcode - 2] == 0x0F && !IsLoop(step)));

    private static bool IsLoop(Step step) => step.Bytes[0] == 0xFF || (step.Bytes.Length > 2 && step.Bytes[1] == 0xFF);
}
