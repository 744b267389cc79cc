using Iced.Intel;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Emit;

namespace Uml.Core.Cpu.Translate;

/// <summary>
/// Emits a block that is planned: its instructions one after another on the hot path, then, where it lies apart, what they jump to when
/// something is out of the ordinary. Has one emitter for each kind of instruction; each of them uses those made before it only.
/// </summary>
internal sealed unsafe class BlockEmitter
{
    // SAFETY: the caller has room for a block at both positions (see TranslationStore.HasRoom), and nothing else is written there meanwhile.
    private readonly HostAssembler _code;
    private readonly BlockContext _context;
    private readonly FlagTracker _flags;
    private readonly AddressEmitter _addresses;
    private readonly AccessEmitter _access;
    private readonly GroupEmitter _groups;
    private readonly HandlerEmitter _handlers;
    private readonly EdgeEmitter _edges;
    private readonly StackEmitter _stack;
    private readonly ComputationEmitter _computations;
    private readonly SystemEmitter _system;
    private readonly JumpEmitter _jumps;
    private readonly ComputedJumpEmitter _computedJumps;
    private readonly EntryEmitter _entry;

    public BlockEmitter(HostAssembler code, CodeMemory memory, RuntimeStubs stubs, SiteTable sites, BlockContext context, int usesToSpecialize)
    {
        _code = code;
        _context = context;
        var calls = new StubCalls(code, memory, stubs, sites, context);
        var homes = new RegisterHomes(code);
        var flagEmitter = new FlagEmitter(code);
        _flags = new FlagTracker(code, flagEmitter, homes, context);
        var encoder = new InstructionEncoder(code, homes);
        var operations = new OperationEmitter(code, homes, flagEmitter, _flags, encoder, context);
        _addresses = new AddressEmitter(code, homes, context);
        _access = new AccessEmitter(code, calls, _addresses, new TlbProbe(code), flagEmitter, _flags, operations, context);
        _groups = new GroupEmitter(code, _access, operations, _flags, context);
        _handlers = new HandlerEmitter(code, calls, flagEmitter, _flags, context);
        var jumpTable = new JumpTableEmitter(code, context);
        _edges = new EdgeEmitter(code, calls, sites, jumpTable, flagEmitter, _flags, context, usesToSpecialize);
        _stack = new StackEmitter(code, homes, _access, _groups, context);
        _computations = new ComputationEmitter(code, homes, _flags, _addresses, _access, _groups, _handlers, context);
        _system = new SystemEmitter(code, calls, homes, _flags, _access, _stack, _handlers, context);
        _jumps = new JumpEmitter(code, _flags, _stack, _edges, context);
        _computedJumps = new ComputedJumpEmitter(code, calls, homes, _access, _stack, _handlers, jumpTable, context);
        _entry = new EntryEmitter(code, calls, jumpTable, flagEmitter, context);
    }

    /// <summary>Emits the block.</summary>
    /// <param name="hot">Where its hot path goes.</param>
    /// <param name="cold">Where the rest goes.</param>
    public EmittedBlock Emit(byte* hot, byte* cold)
    {
        _code.Begin(hot);
        _access.Begin();
        _groups.Begin();
        _handlers.Begin();
        _edges.Begin();
        EmittedBlock made = _entry.EmitEntry();
        EmitHotPath();
        made.HotEnd = _code.Position;
        made.Cold = cold;
        _code.Begin(cold);
        EmitColdPaths();
        made.Abandon = _entry.EmitLeave();
        made.ColdEnd = _code.Position;
        return made;
    }

    /// <summary>Emits what leads to a translation of the block in a higher flavor; all of it goes to one place.</summary>
    public EmittedBlock EmitGate(byte* hot, byte* cold, byte* target, Flavor needed)
    {
        _code.Begin(hot);
        EmittedBlock made = _entry.EmitEntry();
        _entry.EmitGate(target, needed);
        made.Abandon = _entry.EmitLeave();
        made.HotEnd = _code.Position;
        made.Cold = made.ColdEnd = cold;
        made.Exit = target;
        made.ExitFlavor = needed;
        return made;
    }

    private void EmitHotPath()
    {
        _flags.Now = FlagsNow.At(in _context.Incoming);
        for (int i = 0; i < _context.Count; i++)
        {
            _groups.BeginAt(i);
            Emit(i);
            _groups.EndAt(i);
        }

        _groups.EndHotPath();
        if (_context[_context.Count - 1].Form is not (Form.Jump or Form.Call or Form.JumpIndirect or Form.CallIndirect or Form.Return))
        {
            _edges.Emit(_context.PageOffset + _context.Block->ByteLength);
        }
    }

    /// <summary>In this order: each may add to what follows.</summary>
    private void EmitColdPaths()
    {
        for (int i = 0; i < _groups.Count; i++)
        {
            EmitColdGroup(i);
        }

        _edges.EmitExits();
        for (int i = 0; i < _handlers.Count; i++)
        {
            HandlerEmitter.ColdHandler cold = _handlers.BeginCold(i);
            if (cold.Done == null)
            {
                _computedJumps.EmitMiss(in cold);
            }
            else
            {
                _handlers.EndCold(in cold);
            }
        }

        _edges.EmitUnlinked();
        _access.EmitCold();
    }

    /// <summary>The instructions of a group one by one, each with a look of its own.</summary>
    private void EmitColdGroup(int number)
    {
        (int start, int end) = _groups.BeginCold(number);
        for (int i = start; i < end; i++)
        {
            switch (_context[i].Form)
            {
                // At the end of a block: only the access is the group's.
                case Form.Call: _stack.EmitPushAccess(i); break;
                case Form.Return: _stack.EmitTop(i); break;
                default: Emit(i); break;
            }
        }

        _groups.EndCold(number);
    }

    private void Emit(int index)
    {
        ref Plan plan = ref _context[index];
        switch (plan.Form)
        {
            case Form.Handler: _handlers.Emit(index); return;
            case Form.Nothing: return;
            case Form.Plain: _computations.EmitPlain(index); break;
            case Form.Divide: _computations.EmitDivide(index); break;
            case Form.BitTest: _computations.EmitBitTest(index); break;
            case Form.Lea: _addresses.EmitLea(in plan); return;
            case Form.Push or Form.PushImmediate: _stack.EmitPush(index); return;
            case Form.PushMemory: _stack.EmitPushMemory(index); return;
            case Form.Pop: _stack.EmitTop(index); return;
            case Form.LeaveFrame: _stack.EmitLeaveFrame(index); return;
            case Form.PushFlags: _system.EmitPushFlags(index); return;
            case Form.ClearInterrupt: _system.EmitClearInterrupt(index); return;
            case Form.SetInterrupt: _system.EmitSetInterrupt(index); return;
            case Form.SwapGs: _system.EmitSwapGs(index); return;
            case Form.ReadSegment: _system.EmitReadSegment(index); return;
            case Form.TimeStamp: _system.EmitTimeStamp(index); return;
            case Form.StringMove or Form.StringStore: _system.EmitString(index); return;
            case Form.LoadControlWord: _system.EmitLoadControlWord(index); return;
            case Form.Jump: _jumps.EmitJump(index); return;
            case Form.JumpIf: _jumps.EmitConditionalJump(index); return;
            case Form.Call: _jumps.EmitCall(index); return;
            case Form.JumpIndirect: _computedJumps.EmitJump(index); return;
            case Form.CallIndirect: _computedJumps.EmitCall(index); return;
            case Form.Return: _computedJumps.EmitReturn(index); return;
        }

        if (plan.Changes != RflagsBits.None)
        {
            _flags.EndProducer(index);
        }
    }
}
