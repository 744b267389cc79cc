using Iced.Intel;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Decode;
using Uml.Core.Cpu.Emit;
using Uml.Core.Cpu.Execute;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Translate;

/// <summary>
/// Turns a decoded block into host code: the hot path first, then what it jumps to when something is out of the ordinary. Families of
/// instructions are in partial files.
/// </summary>
internal sealed unsafe partial class BlockTranslator
{
    /// <summary>More places than any block has (see <see cref="SiteTable"/>).</summary>
    public const int MaximumSites = 2048;

    /// <summary>More than any block takes, in each part of code memory: room that has to be left before one is begun.</summary>
    public const int MaximumSize = 128 << 10;

    private readonly HostAssembler _code;
    private readonly CodeMemory _memory;
    private readonly RuntimeStubs _stubs;
    private readonly SiteTable _sites;
    private readonly Planner _planner;
    private readonly int _usesToSpecialize;
    private readonly Plan[] _plans = new Plan[Block.MaxInstructions];
    private readonly CodeBytesReader _reader = new();
    private readonly Decoder _decoder64, _decoder32;

    private Block* _block;
    private Flavor _flavor;

    /// <summary>The block is 64-bit code: addresses and words on the stack are that wide.</summary>
    private bool IsLong => (_block->Mode & CpuMode.Long64) != 0;

    private int _count;

    /// <summary>The jump taken when the block is not entered.</summary>
    private byte* _exhausted;

    /// <summary>
    /// Of a block that runs over the end of its page: where it looks whether the page behind is still the same, the epoch in which it is,
    /// and the jump taken in another.
    /// </summary>
    private byte* _check;
    private byte* _checkEpoch;
    private byte* _unchecked;

    /// <summary>Where the block begins.</summary>
    private byte* _entry;

    /// <summary>Where the guest's flags come from when the block is entered; none when they are saved.</summary>
    private FlagState _incoming;

    public BlockTranslator(HostAssembler code, CodeMemory memory, RuntimeStubs stubs, SiteTable sites, Planner planner, int usesToSpecialize)
    {
        _usesToSpecialize = usesToSpecialize;
        _planner = planner;
        _code = code;
        _probe = new TlbProbe(code);
        _memory = memory;
        _stubs = stubs;
        _sites = sites;
        _decoder64 = Decoder.Create(64, _reader);
        _decoder32 = Decoder.Create(32, _reader);
    }

    /// <summary>Where code that seldom runs goes: apart, so that what runs lies close together in the host's caches.</summary>
    public byte* ColdPosition { get; set; }

    /// <summary>Translates a block at the assembler's position.</summary>
    /// <param name="block">The block.</param>
    /// <param name="flavor">What is in registers.</param>
    /// <param name="incoming">Where the flags come from; none when they are saved.</param>
    /// <param name="needed">Gets the flavor that the block needs.</param>
    /// <param name="translation">Gets the translation.</param>
    /// <returns>False when nothing was done: the block needs a higher flavor, or would have to save flags that come from a source.</returns>
    public bool TryTranslate(Block* block, Flavor flavor, in FlagState incoming, out Flavor needed, out TranslatedBlock translation)
    {
        translation = default;
        Begin(block, flavor, in incoming);
        Describe(out needed);
        if (needed > flavor || !FlagAnalysis.Run(_plans.AsSpan(0, _count), in incoming, PassesOn))
        {
            return false;
        }

        translation = EmitBlock();
        return true;
    }

    /// <summary>Whether the next block is known, so that it can be told what flags are made of.</summary>
    private bool PassesOn => _plans[_count - 1].Form is not (Form.Return or Form.JumpIndirect or Form.CallIndirect);

    private void Begin(Block* block, Flavor flavor, in FlagState incoming)
    {
        _block = block;
        _flavor = flavor;
        _count = block->Count;
        _incoming = incoming;
        _cold.Clear();
        _groups.Clear();
        _exits.Clear();
        _loaded = -1;
        _edges.Clear();
        _handlers.Clear();
        _handlerJumps.Clear();
    }

    private TranslatedBlock EmitBlock()
    {
        AccessGroups.Find(_plans.AsSpan(0, _count));
        byte* body = EmitEntry();
        BeginFlags(in _incoming);
        _grouping = true;
        for (int i = 0; i < _count; i++)
        {
            BeginGroup(i);
            Emit(i);
            EndGroups(i);
        }

        _grouping = false;

        EmitEnd();
        byte* end = _code.Position;
        _code.Begin(ColdPosition);
        EmitColdPaths();
        EmitLeave(out byte* abandoned);
        ColdPosition = _code.Position;
        _code.Begin(end);
        return Finish(body, abandoned);
    }

    private TranslatedBlock Finish(byte* body, byte* abandoned) => new()
    {
        Entry = _memory.ToExecutable(_entry),
        Body = _memory.ToExecutable(body),
        Abandon = _memory.ToExecutable(abandoned),
    };

    /// <summary>Translates a block for those who come with too little in registers: loads the rest and goes on in the translation that needs it.</summary>
    public TranslatedBlock EmitGate(Block* block, Flavor flavor, Flavor needed)
    {
        Begin(block, flavor, default);
        byte* body = EmitEntry();
        byte* target = _memory.ToWritable(block->Translations[(int)needed].Body);
        byte* unmasked = null;
        if (flavor == Flavor.Integer)
        {
            _code.Call(_stubs.LoadVectors);
            unmasked = _code.JumpIf(Condition.Ne);
        }

        if (needed == Flavor.X87)
        {
            _code.Call(_stubs.LoadX87);
            _code.Annotation(_sites.Add(new Site { Block = block, Flavor = Flavor.Vector }));
        }

        _code.Jump(target);
        if (unmasked != null)
        {
            _code.Bind(unmasked);
            _code.Call(_stubs.Interpret);
            _code.Annotation(_sites.Add(new Site { Block = block, Flavor = Flavor.Integer }));
        }

        EmitLeave(out byte* abandoned);
        return Finish(body, abandoned);
    }

    private static int PageOffset(Block* block) => (int)(block->Physical & 0xFFF);

    private void Describe(out Flavor needed)
    {
        needed = Flavor.Integer;
        Op* ops = Block.Ops(_block);
        byte* code = Block.Code(_block);
        Decoder decoder = IsLong ? _decoder64 : _decoder32;
        for (int i = 0; i < _count; i++)
        {
            ref Plan plan = ref _plans[i];
            plan = default;
            plan.PageOffset = PageOffset(_block) + ops[i].Offset;
            _reader.Reset(code + ops[i].Offset, code + ops[i].Offset + ops[i].Length);
            decoder.IP = (ulong)plan.PageOffset;
            decoder.Decode(out plan.Instruction);
            _planner.Describe(ref plan, _block, ops + i);
            if (plan.Form == Form.SetInterrupt && i + 1 == _count)
            {
                // What must not be interrupted is in another block.
                Planner.GiveUp(ref plan);
            }

            plan.IsSideExit = plan.Form == Form.JumpIf && i + 1 < _count;
            if (plan.Form != Form.Handler && plan.Needed > needed)
            {
                needed = plan.Needed;
            }
        }
    }

    /// <summary>Counts the block's instructions and looks whether something waits (see <see cref="Flow.Enter"/>).</summary>
    /// <returns>The first byte behind that.</returns>
    private byte* EmitEntry()
    {
        _code.Align(16);
        _entry = _code.Position;
        _code.ArithmeticMemoryImmediate(Arithmetic.Sub, GuestRegisters.State, StateLayout.Remaining, _count);
        _exhausted = _code.JumpIf(Condition.S);
        if (_block->SecondPage != Block.NoPage)
        {
            _check = _code.Position;
            _unchecked = EmitEpochCheck(out _checkEpoch);
        }

        return _code.Position;
    }

    private void EmitLeave(out byte* abandoned)
    {
        _code.Bind(_exhausted);
        _code.ArithmeticMemoryImmediate(Arithmetic.Add, GuestRegisters.State, StateLayout.Remaining, _count);
        SaveRemade(in _incoming);
        _code.MoveImmediate(GuestRegisters.Scratch, PageOffset(_block));
        _code.Call(_stubs.Refill(_flavor));
        _code.Jump(_entry);
        byte* overrun = _block->SecondPage == Block.NoPage ? null : EmitPageCheck();
        abandoned = _code.Position;
        if (overrun != null)
        {
            _code.Bind(overrun);
        }

        SaveRemade(in _incoming);
        _code.Load(GuestRegisters.Address, GuestRegisters.State, StateLayout.PageRip);
        _code.LoadAddress(GuestRegisters.Address, GuestRegisters.Address, PageOffset(_block));
        _code.Call(_stubs.Reenter(_flavor));
        _code.Annotation(_sites.Add(new Site { Block = _block, Flavor = _flavor }));
    }

    /// <summary>Looks whether the page behind the block's is the same in the present epoch.</summary>
    /// <returns>A jump taken when it is not, with the block as if it had not been entered.</returns>
    private byte* EmitPageCheck()
    {
        _code.Bind(_unchecked);
        SaveRemade(in _incoming);
        _code.Call(_stubs.CheckPage(_flavor));
        int site = _sites.Add(new Site { Block = _block, Flavor = _flavor, Epoch = _checkEpoch });
        _code.Annotation(site);
        _code.Jump(_check);
        _sites.Sites[site].Unlinked = _memory.ToExecutable(_code.Position);
        _code.ArithmeticMemoryImmediate(Arithmetic.Add, GuestRegisters.State, StateLayout.Remaining, _count);
        return _code.Jump();
    }

    private void Emit(int index)
    {
        ref Plan plan = ref _plans[index];
        switch (plan.Form)
        {
            case Form.Handler: EmitHandler(index); return;
            case Form.Nothing: return;
            case Form.Plain:
                KeepInputs(in plan);
                EmitPlain(index);
                KeepResult(in plan);
                break;
            case Form.Lea: EmitLea(in plan); return;
            case Form.Push or Form.PushImmediate: EmitPush(index); return;
            case Form.PushMemory: EmitPushMemory(index); return;
            case Form.PushFlags: EmitPushFlags(index); return;
            case Form.ClearInterrupt: EmitClearInterrupt(index); return;
            case Form.SetInterrupt: EmitSetInterrupt(index); return;
            case Form.SwapGs: EmitSwapGs(index); return;
            case Form.ReadSegment: EmitReadSegment(in plan); return;
            case Form.TimeStamp: EmitTimeStamp(index); return;
            case Form.BitTest: EmitBitTest(index); break;
            case Form.StringMove or Form.StringStore: EmitString(index); return;
            case Form.Pop: EmitStackTop(index); return;
            case Form.LeaveFrame: EmitLeaveFrame(index); return;
            case Form.Divide: EmitDivide(index); break;
            case Form.LoadControlWord: EmitLoadControlWord(index); return;
            case Form.Jump: EmitEdge(BranchTarget(in plan), SourceAtEnd); return;
            case Form.JumpIf: EmitConditionalJump(index); return;
            case Form.Call: EmitCall(index); return;
            case Form.JumpIndirect: EmitIndirectJump(index); return;
            case Form.CallIndirect: EmitIndirectCall(index); return;
            case Form.Return: EmitReturn(index); return;
        }

        if (plan.Changes != RflagsBits.None)
        {
            EndProducer(index);
        }
    }

    /// <summary>Where a block goes that does not end with a jump.</summary>
    private void EmitEnd()
    {
        ref Plan last = ref _plans[_count - 1];
        if (last.Form is Form.Jump or Form.Call or Form.JumpIndirect or Form.CallIndirect or Form.Return)
        {
            return;
        }

        EmitEdge(PageOffset(_block) + _block->ByteLength, SourceAtEnd);
    }

    /// <summary>An instruction that the interpreter runs.</summary>
    private void EmitHandler(int index)
    {
        _code.Call(_stubs.CallHandler(_flavor, X87Forms.MayTouch(in _plans[index].Instruction, in _plans[index].Encoding)));
        _code.Annotation(_sites.Add(new Site { Block = _block, OpIndex = (byte)index, Flavor = _flavor }));
        FlagsAreSaved();
    }

    private static int BranchTarget(in Plan plan) => (int)(long)plan.Instruction.NearBranchTarget;
}
