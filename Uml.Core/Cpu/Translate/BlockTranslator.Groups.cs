using Uml.Core.Cpu.Emit;

namespace Uml.Core.Cpu.Translate;

internal sealed unsafe partial class BlockTranslator
{
    private readonly List<ColdGroup> _groups = [];

    /// <summary>How far behind the address register the operand lies: members of a group share one address.</summary>
    private int _operandOffset;

    /// <summary>The groups that are being emitted, by number, and the indexes behind them; negative when there is none.</summary>
    private int _group;
    private int _groupEnd;
    private int _stack;
    private int _stackEnd;

    /// <summary>Whether the address register has the address of the stack's group; otherwise it has been kept.</summary>
    private bool _stackIsLoaded;

    /// <summary>A group of accesses that has to be done one by one.</summary>
    private struct ColdGroup
    {
        public byte* Jump;
        public byte* Misaligned;
        public byte* Done;
        public int Start;
        public int End;
        public int Remake;
        public bool IsSaved;
        public bool HostFlagsAfter;
    }

    /// <summary>Emits an instruction that is a member of a group: its address is known already.</summary>
    /// <returns>False when it is not one.</returns>
    private bool TryEmitGrouped(in Plan plan)
    {
        if (_stack >= 0 && plan.InStack.Is)
        {
            if (!_stackIsLoaded)
            {
                _code.Load(GuestRegisters.Address, GuestRegisters.State, StateLayout.StackAddress);
                _stackIsLoaded = true;
            }

            _operandOffset = plan.InStack.Offset;
        }
        else if (_group >= 0 && plan.InGroup.Is)
        {
            _operandOffset = plan.InGroup.Offset;
        }
        else
        {
            return false;
        }

        EmitOperation(in plan);
        _operandOffset = 0;
        return true;
    }

    /// <summary>Looks up the ranges of the groups that begin with an instruction.</summary>
    private void BeginGroups(int index)
    {
        ref Plan plan = ref _plans[index];
        if (plan.Group.Length != 0)
        {
            _group = BeginGroup(index, in plan.Group);
            _groupEnd = index + plan.Group.Length;
        }

        if (plan.Stack.Length != 0)
        {
            _stack = BeginGroup(index, in plan.Stack);
            _stackEnd = index + plan.Stack.Length;
            _stackIsLoaded = true;
            if (plan.Stack.IsInterrupted)
            {
                _code.Store(GuestRegisters.State, StateLayout.StackAddress, GuestRegisters.Address);
            }
        }
    }

    private int BeginGroup(int index, in AccessGroup access)
    {
        int @base = GuestRegisters.Host(access.Base);
        _code.LoadAddress(GuestRegisters.Address, @base, access.Low);
        byte* jump = EmitTranslation(access.Writes ? OperandUse.Update : OperandUse.Read, access.Span, aligned: false);
        var group = new ColdGroup { Jump = jump, Start = index, End = index + access.Length, Remake = _remake, IsSaved = _savedFlags };
        if (access.Aligned >= 0)
        {
            _code.LoadAddress(GuestRegisters.Scratch, GuestRegisters.Address, access.Aligned);
            _code.TestImmediate(GuestRegisters.Scratch, 15);
            group.Misaligned = _code.JumpIf(Condition.Ne);
        }

        _groups.Add(group);
        return _groups.Count - 1;
    }

    /// <summary>Ends the groups behind the last access of their last member.</summary>
    private void EndGroups(int index)
    {
        if (_group >= 0 && index + 1 == _groupEnd)
        {
            EndGroup(ref _group);
        }

        if (_stack >= 0 && index + 1 == _stackEnd)
        {
            EndGroup(ref _stack);
        }

        if (!_plans[index].InStack.Is && !AccessGroups.IsTransparent(in _plans[index]))
        {
            _stackIsLoaded = false;
        }
    }

    private void EndGroup(ref int number)
    {
        ref ColdGroup group = ref System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_groups)[number];
        group.Done = _code.Position;
        group.HostFlagsAfter = _hostFlags;
        number = -1;
    }

    /// <summary>The members one by one, each with a look of its own.</summary>
    private void EmitColdGroup(in ColdGroup group)
    {
        _code.Bind(group.Jump);
        if (group.Misaligned != null)
        {
            _code.Bind(group.Misaligned);
        }

        _hostFlags = false;
        _remake = group.Remake;
        _savedFlags = group.IsSaved;
        for (int i = group.Start; i < group.End; i++)
        {
            if (i + 1 == group.End && _plans[i].Form is Form.Call or Form.Return)
            {
                EmitFlowAccess(i);
            }
            else
            {
                Emit(i);
            }
        }

        if (group.HostFlagsAfter && !_hostFlags)
        {
            RestoreFlags();
        }

        _code.Jump(group.Done);
    }

    /// <summary>The memory access of a call or return.</summary>
    private void EmitFlowAccess(int index)
    {
        if (_plans[index].Form == Form.Call)
        {
            EmitPushAccess(index);
        }
        else
        {
            EmitStackTop(index);
        }
    }
}
