using Iced.Intel;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;

namespace Uml.Core.Cpu.Translate;

internal sealed unsafe partial class BlockTranslator
{
    private readonly List<ColdHandler> _handlers = [];

    /// <summary>An instruction that goes to the interpreter in some cases.</summary>
    private struct ColdHandler
    {
        public byte* First;

        /// <summary>Further jumps that come here: where they begin in <see cref="_handlerJumps"/>, and how many they are.</summary>
        public int FurtherStart;
        public int FurtherCount;
        public int Index;
        public FlagState Source;

        /// <summary>Where to go on behind the instruction.</summary>
        public byte* Done;

        /// <summary>The start of a jump to a computed target, which is done again once the target is in the jump table.</summary>
        public byte* Retry;

        /// <summary>For a return: the lookup, which is done again likewise.</summary>
        public byte* Lookup;
    }

    private void EmitConditionalJump(int index)
    {
        ref Plan plan = ref _plans[index];
        int condition = (int)plan.Instruction.ConditionCode - (int)ConditionCode.o;
        condition = EmitCondition(in plan, condition);
        int target = BranchTarget(in plan);
        byte* taken = _code.JumpIf(condition);
        if (IsInPage(target) && !plan.IsSideExit)
        {
            _edges.Add(new Edge { Jump = taken, Target = target, Source = SourceAtEnd });
        }
        else
        {
            _exits.Add(new SideExit
            {
                Jump = taken,
                Target = target,
                Remaining = _count - (index + 1),
                Source = _savedFlags ? default : plan.IsSideExit ? SourceAtExit(in plan) : _source,
                InHost = _hostFlags,
                IsSaved = _savedFlags,
            });
        }
    }

    /// <summary>Gets the host's flags to where the condition can be tested; a single saved flag is tested in memory.</summary>
    /// <returns>The condition to jump on.</returns>
    private int EmitCondition(in Plan plan, int condition)
    {
        if (_hostFlags == RflagsBits.None && _source.IsNone)
        {
            int mask = (condition & ~1) switch { Condition.E => 0x40, Condition.B => 0x01, Condition.S => 0x80, Condition.P => 0x04, _ => 0 };
            if (mask != 0)
            {
                _code.TestMemoryByte(GuestRegisters.State, StateLayout.FlagWord + 1, mask);
                return (condition & 1) == 0 ? Condition.Ne : Condition.E;
            }
        }

        RequireFlags(in plan);
        return condition;
    }

    private void EmitCall(int index)
    {
        EmitPushAccess(index);
        EndGroups(index);
        MoveStackPointer(-_plans[index].Word);
        EmitEdge(BranchTarget(in _plans[index]), SourceAtEnd);
    }

    private void EmitIndirectJump(int index)
    {
        byte* start = _code.Position;
        EmitTarget(index);
        EmitLookup();
        AddMiss(index, start);
        EmitEnterFound();
    }

    /// <summary>The target is looked up first: the handler does all of the instruction when it is not found.</summary>
    private void EmitIndirectCall(int index)
    {
        byte* start = _code.Position;
        EmitTarget(index);
        EmitLookup();
        AddMiss(index, start);
        _code.Load(GuestRegisters.Scratch, GuestRegisters.Scratch, JumpTables.CodeOffset(_flavor));
        _code.Store(GuestRegisters.State, StateLayout.Spill, GuestRegisters.Scratch);
        _code.Store(GuestRegisters.State, StateLayout.SecondSpill, GuestRegisters.Address);
        EmitPushAccess(index);
        MoveStackPointer(-_plans[index].Word);
        _code.Load(GuestRegisters.Scratch, GuestRegisters.State, StateLayout.SecondSpill);
        _code.ArithmeticImmediate(Arithmetic.And, GuestRegisters.Scratch, -0x1000);
        _code.Store(GuestRegisters.State, StateLayout.PageRip, GuestRegisters.Scratch);
        _code.JumpMemory(GuestRegisters.State, StateLayout.Spill);
    }

    private void EmitReturn(int index)
    {
        ref Plan plan = ref _plans[index];
        EmitStackTop(index);
        EndGroups(index);
        byte* lookup = _code.Position;
        EmitLookup();
        _handlers.Add(new ColdHandler { First = _code.JumpIf(Condition.Ne), Index = index, Lookup = lookup });
        int arguments = plan.Instruction.OpCount != 0 ? plan.Instruction.Immediate16 : 0;
        MoveStackPointer(plan.Word + arguments);
        EmitEnterFound();
    }

    /// <summary>The computed target of a jump or call, into the address register.</summary>
    private void EmitTarget(int index)
    {
        ref Plan plan = ref _plans[index];
        if (!plan.Encoding.IsMemory)
        {
            int host = Home(plan.Encoding.Rm, GuestRegisters.Address, load: true);
            if (host != GuestRegisters.Address)
            {
                _code.Move(GuestRegisters.Address, host, IsLong);
            }

            return;
        }

        EmitLinear(in plan);
        int cold = EmitProbe(index);
        _code.Load(GuestRegisters.Address, GuestRegisters.Address, 0, IsLong);
        EndAccess(cold);
    }

    /// <summary>Compares the address register with the jump table's entry for it, whose address goes to the scratch register.</summary>
    private void EmitLookup()
    {
        _code.Multiply32(GuestRegisters.Scratch, GuestRegisters.Address, JumpTables.HashMultiplier);
        _code.ShiftRight(GuestRegisters.Scratch, JumpTables.HashShift, wide: false);
        _code.ArithmeticImmediate(Arithmetic.And, GuestRegisters.Scratch, JumpTables.IndexMask, wide: false);
        _code.ArithmeticMemory(Arithmetic.Add, GuestRegisters.Scratch, GuestRegisters.State, StateLayout.JumpTable);
        _code.ArithmeticMemory(Arithmetic.Cmp, GuestRegisters.Address, GuestRegisters.Scratch, JumpTables.RipOffset(_flavor));
    }

    private void EmitEnterFound()
    {
        _code.ArithmeticImmediate(Arithmetic.And, GuestRegisters.Address, -0x1000);
        _code.Store(GuestRegisters.State, StateLayout.PageRip, GuestRegisters.Address);
        _code.JumpMemory(GuestRegisters.Scratch, JumpTables.CodeOffset(_flavor));
    }

    /// <summary>The jumps of <see cref="ColdHandler"/> that have more than one.</summary>
    private readonly List<nint> _handlerJumps = [];

    /// <summary>Leaves the instruction that was just emitted to its handler when one of the jumps is taken.</summary>
    private void AddHandlerFor(int index, params ReadOnlySpan<nint> jumps)
    {
        _handlers.Add(new ColdHandler
        {
            First = (byte*)jumps[0],
            FurtherStart = _handlerJumps.Count,
            FurtherCount = jumps.Length - 1,
            Index = index,
            Source = _source,
            Done = _code.Position,
        });
        _handlerJumps.AddRange(jumps[1..]);
        _hostFlags = RflagsBits.None;
    }

    private void AddMiss(int index, byte* start) =>
        _handlers.Add(new ColdHandler { First = _code.JumpIf(Condition.Ne), Index = index, Retry = start });

    private void EmitColdFlow()
    {
        for (int i = 0; i < _exits.Count; i++)
        {
            EmitSideExit(_exits[i]);
        }

        for (int i = 0; i < _handlers.Count; i++)
        {
            EmitColdHandler(_handlers[i]);
        }

        for (int i = 0; i < _edges.Count; i++)
        {
            EmitUnresolved(_edges[i]);
        }
    }

    private void EmitColdHandler(in ColdHandler handler)
    {
        _code.Bind(handler.First);
        for (int i = 0; i < handler.FurtherCount; i++)
        {
            _code.Bind((byte*)_handlerJumps[handler.FurtherStart + i]);
        }

        SaveRemade(in handler.Source);
        if (handler.Done == null)
        {
            EmitMiss(in handler);
            return;
        }

        // The handler leaves the flags saved; where this goes on they are expected in the host's.
        EmitHandler(handler.Index);
        LoadFlags();
        _code.Jump(handler.Done);
    }

    /// <summary>A computed jump whose target is not in the jump table.</summary>
    private void EmitMiss(in ColdHandler handler)
    {
        _code.Call(_stubs.Lookup(_flavor));
        int site = _sites.Add(new Site { Block = _block, Flavor = _flavor, Form = _plans[handler.Index].Form });
        _code.Annotation(site);
        if (handler.Retry != null)
        {
            _code.Jump(handler.Retry);
        }
        else
        {
            EmitStackTop(handler.Index);
            _code.Jump(handler.Lookup);
        }

        _sites.Sites[site].Unlinked = _memory.ToExecutable(_code.Position);
        EmitHandler(handler.Index);

        // The handler of a jump goes on elsewhere.
        _code.Trap();
    }
}
