using Iced.Intel;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Decode;
using Uml.Core.Cpu.Emit;

namespace Uml.Core.Cpu.Verify;

/// <summary>Called with a translation before it is checked; a test may change its bytes and run the checker on them.</summary>
internal unsafe delegate void TranslationHook(CodeChecker checker, Block* block, Flavor flavor, in EmittedBlock code);

/// <summary>
/// Checks a finished translation before it can run, and trusts nothing about how it was emitted. It decodes the code and follows every path.
/// Each memory access must be to a permitted field of the state, or to guest memory after a TLB hit. Branches go only inside the translation,
/// to known stubs, or to a target from the jump table. No privileged or system instruction is allowed, RSP and R15 do not change, and no host
/// address reaches a place that the guest can read. It relies on the stubs and the runtime keeping to <see cref="StubContract"/>, and on
/// the entries that the runtime makes in the TLB and the jump table.
/// </summary>
/// <remarks>
/// Abstract interpretation: the state at an instruction is the meet of the states on all paths to it (<see cref="CheckedState"/>), found by
/// passes over the code until nothing changes. It does not check what the guest computes, nor for division by zero, misaligned operands or
/// a reachable UD2 (each would raise a signal, which ends the machine). A loop that does not pass through the entry, where instructions are
/// counted, has to call a stub that exits once the poll word is set.
/// </remarks>
internal sealed unsafe partial class CodeChecker
{
    private readonly RuntimeStubs _stubs;
    private readonly SiteTable _sites;
    private readonly CodeMemory _memory;
    private readonly bool _hasWideVectors;
    private readonly CodeBytesReader _reader = new();
    private readonly Decoder _decoder;
    private readonly InstructionInfoFactory _factory = new();
    private HostInstruction[] _instructions = new HostInstruction[256];
    private CheckedState[] _states = new CheckedState[256];
    private bool[] _isReached = new bool[256];

    /// <summary>The addresses of the instructions, in ascending order.</summary>
    private nint[] _addresses = new nint[256];
    private int _count;
    private bool _changed;
    private Block* _block;
    private EmittedBlock _emitted;

    public CodeChecker(RuntimeStubs stubs, SiteTable sites, CodeMemory memory, bool hasWideVectors)
    {
        _stubs = stubs;
        _sites = sites;
        _memory = memory;
        _hasWideVectors = hasWideVectors;
        _decoder = Decoder.Create(64, _reader);
    }

    /// <summary>Checks a translation.</summary>
    /// <param name="block">Its block.</param>
    /// <param name="flavor">The flavor at the entry.</param>
    /// <param name="code">The translation.</param>
    /// <returns>Null if it may run, else the defect.</returns>
    public string? Check(Block* block, Flavor flavor, in EmittedBlock code)
    {
        _block = block;
        _emitted = code;
        _count = 0;
        if (code.Hot >= code.HotEnd)
        {
            return $"{Where()}: there is no code";
        }

        // SAFETY: the emitter has just written all of both parts, and nothing else writes to code memory meanwhile.
        string? defect = Decode(code.Hot, code.HotEnd) ?? Decode(code.Cold, code.ColdEnd) ?? CheckEntry();
        if (defect is not null)
        {
            return defect;
        }

        CheckedState entry = CheckedState.AtEntry(flavor);
        defect = Reach((nint)code.Hot, in entry) ?? Reach((nint)code.Body, in entry) ?? Reach((nint)code.Abandon, in entry);
        do
        {
            _changed = false;
            for (int i = 0; i < _count && defect is null; i++)
            {
                defect = _isReached[i] ? Follow(i) : null;
            }
        }
        while (_changed && defect is null);

        return defect ?? CheckLoops();
    }

    private string? Decode(byte* start, byte* end)
    {
        _reader.Reset(start, end);
        _decoder.IP = (ulong)start;
        while (_decoder.IP < (ulong)end)
        {
            if (_count == _instructions.Length)
            {
                Grow();
            }

            _addresses[_count] = (nint)_decoder.IP;
            _isReached[_count] = false;
            _decoder.Decode(out Instruction instruction);
            InstructionInfo info = _factory.GetInfo(in instruction);
            _instructions[_count] = HostInstruction.Of(in instruction, in info, _hasWideVectors, out string? defect);
            _count++;
            if (defect is not null)
            {
                return Describe(_count - 1, defect);
            }
        }

        return null;
    }

    private void Grow()
    {
        Array.Resize(ref _instructions, _count * 2);
        Array.Resize(ref _states, _count * 2);
        Array.Resize(ref _isReached, _count * 2);
        Array.Resize(ref _addresses, _count * 2);
    }

    /// <summary>Each entry counts the block's instructions, so that no loop of blocks runs without polling.</summary>
    private string? CheckEntry()
    {
        ref readonly Instruction first = ref _instructions[0].Instruction;
        bool counts = _count > 1 && first.Code is Code.Sub_rm64_imm8 or Code.Sub_rm64_imm32 && first.MemoryBase == Register.RSP
            && (long)first.MemoryDisplacement64 == StateLayout.Remaining && first.GetImmediate(1) == _block->Count
            && _instructions[1].Instruction.Code == Code.Js_rel32_64 && Refills((nint)_instructions[1].Instruction.NearBranchTarget);
        return counts ? null : Describe(0, "the block's instructions are not counted");
    }

    /// <summary>Whether the code at an address calls the stub that polls and refills the budget, and jumps back to the entry.</summary>
    private bool Refills(nint address)
    {
        int index = IndexOf(address);
        while (index >= 0 && index + 1 < _count && _instructions[index].Instruction.FlowControl == FlowControl.Next)
        {
            index++;
        }

        return index >= 0 && index + 1 < _count && _stubs.ContractAt((nint)_instructions[index].Instruction.NearBranchTarget)?.Kind == StubKind.Refill
            && _instructions[index + 1].Instruction.FlowControl == FlowControl.UnconditionalBranch
            && (byte*)_instructions[index + 1].Instruction.NearBranchTarget == _emitted.Hot;
    }

    /// <summary>Adds a path to an instruction.</summary>
    private string? Reach(nint address, in CheckedState state)
    {
        int index = IndexOf(address);
        if (index <= 0 && GivesBackAll(in state))
        {
            return $"{Where()}: a way to {address:X} {GivesBack}";
        }

        if (index < 0)
        {
            return (byte*)address == _emitted.Exit && _emitted.Exit != null && state.Flavor == _emitted.ExitFlavor
                ? null
                : $"{Where()}: control flow leads to {address:X}, where none may";
        }

        if (!_isReached[index])
        {
            _isReached[index] = true;
            _states[index] = state;
            _changed = true;
        }
        else if (_states[index].Flavor != state.Flavor)
        {
            return Describe(index, "it is reached in two flavors");
        }
        else
        {
            _changed |= _states[index].Merge(in state);
        }

        return null;
    }

    private int IndexOf(nint address) => Array.BinarySearch(_addresses, 0, _count, address);

    /// <summary>Follows the edges from an instruction.</summary>
    private string? Follow(int index)
    {
        ref readonly HostInstruction host = ref _instructions[index];
        CheckedState state = _states[index];
        (FlagFact fact, int number) = (state.Fact, state.FactNumber);
        state.Fact = FlagFact.None;
        state.FactNumber = 0;
        if (host.Needed > state.Flavor)
        {
            return Describe(index, "it uses registers that are not the guest's there");
        }

        string? defect;
        switch (host.Instruction.FlowControl)
        {
            case FlowControl.Next:
                defect = Operate(ref state, in host);
                return defect is null ? Continue(index, in state) : Describe(index, defect);
            case FlowControl.UnconditionalBranch:
                return Reach((nint)host.Instruction.NearBranchTarget, in state);
            case FlowControl.ConditionalBranch:
                return Branch(index, fact, number, in state);
            case FlowControl.Call:
                bool comesBack = Call(index, ref state, out defect);
                return defect is null ? comesBack ? Continue(index, in state) : null : Describe(index, defect);
            case FlowControl.Exception:
                return null;
            default:
                defect = CheckComputedJump(in state, in host.Instruction);
                return defect is null ? null : Describe(index, defect);
        }
    }

    private string? Continue(int index, in CheckedState state)
    {
        nint next = (nint)_instructions[index].Instruction.NextIP;
        return IndexOf(next) == index + 1 ? Reach(next, in state) : Describe(index, "execution runs on behind its end");
    }

    private string? Branch(int index, FlagFact fact, int number, in CheckedState state)
    {
        ref readonly Instruction i = ref _instructions[index].Instruction;
        CheckedState taken = state;
        CheckedState passed = state;
        (ConditionCode holds, ConditionCode fails) = fact switch
        {
            FlagFact.DistanceAtMost => (ConditionCode.be, ConditionCode.a),
            FlagFact.WithinPage => (ConditionCode.b, ConditionCode.ae),
            _ => (ConditionCode.e, ConditionCode.ne),
        };
        if (i.ConditionCode == holds)
        {
            taken.Learn(fact, number);
            passed.Refute(fact);
        }
        else if (i.ConditionCode == fails)
        {
            passed.Learn(fact, number);
            taken.Refute(fact);
        }

        return Reach((nint)i.NearBranchTarget, in taken) ?? Continue(index, in passed);
    }

    private string Where() =>
        $"Translation of the block of {_block->Count} instructions at guest-physical {_block->Physical:X} (mode {_block->Mode})";

    private string Describe(int index, string defect)
    {
        ref readonly Instruction i = ref _instructions[index].Instruction;
        byte* at = (byte*)_addresses[index];
        bool isHot = at < _emitted.HotEnd;
        string bytes = Convert.ToHexString(new ReadOnlySpan<byte>(at, i.Length));
        return $"{Where()}: {(isHot ? "hot" : "cold")}+{at - (isHot ? _emitted.Hot : _emitted.Cold):X} {bytes} {i}: {defect} " +
            $"(R13 {_states[index].Scratch}, R14 {_states[index].Address}).";
    }
}
