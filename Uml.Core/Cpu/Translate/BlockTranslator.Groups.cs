using Iced.Intel;
using Uml.Core.Cpu.Contract;

namespace Uml.Core.Cpu.Translate;

internal sealed unsafe partial class BlockTranslator
{
    private readonly List<ColdGroup> _groups = [];

    /// <summary>How far behind the address register the operand lies: members of a group share one address.</summary>
    private int _operandOffset;

    /// <summary>Whether accesses go by their groups' addresses: on the hot path.</summary>
    private bool _grouping;

    /// <summary>The groups that are open, innermost last: by number in <see cref="_groups"/>.</summary>
    private readonly Stack<int> _open = new(AccessGroups.Slots);

    /// <summary>The leader of the group whose address is in the address register, or -1.</summary>
    private int _loaded;

    /// <summary>A group of accesses that has to be done one by one.</summary>
    private struct ColdGroup
    {
        public byte* Jump;
        public byte* Misaligned;
        public byte* Done;
        public int Start;
        public int End;
        public FlagState Source;
        public bool IsSaved;
        public int Producer;
        public RflagsBits HostFlagsAfter;
    }

    /// <summary>Emits an instruction that is a member of a group: its address is known already.</summary>
    /// <returns>False when it is not one.</returns>
    private bool TryEmitGrouped(in Plan plan)
    {
        if (!_grouping || plan.Leader < 0)
        {
            return false;
        }

        if (_loaded != plan.Leader)
        {
            _code.Load(GuestRegisters.Address, GuestRegisters.State, StateLayout.GroupAddress(_plans[plan.Leader].Group.Slot));
            _loaded = plan.Leader;
        }

        _operandOffset = plan.GroupOffset;
        EmitOperation(in plan);
        _operandOffset = 0;
        return true;
    }

    /// <summary>Looks up the range of the group that begins with an instruction, if one does.</summary>
    private void BeginGroup(int index)
    {
        ref AccessGroup access = ref _plans[index].Group;
        if (access.Length == 0)
        {
            return;
        }

        _code.LoadAddress(GuestRegisters.Address, GuestRegisters.Host(access.Base), access.Low, IsLong);
        byte* jump = EmitTranslation(access.Writes ? OperandUse.Update : OperandUse.Read, access.Span, aligned: false);
        var group = new ColdGroup { Jump = jump, Start = index, End = index + access.Length, Source = _source, IsSaved = _savedFlags, Producer = _producer };
        if (access.Aligned >= 0)
        {
            int aligned = GuestRegisters.Address;
            if (access.Aligned != 0)
            {
                aligned = GuestRegisters.Scratch;
                _code.LoadAddress(aligned, GuestRegisters.Address, access.Aligned);
            }

            _code.TestImmediate(aligned, 15);
            group.Misaligned = _code.JumpIf(Condition.Ne);
        }

        if (access.Slot >= 0)
        {
            _code.Store(GuestRegisters.State, StateLayout.GroupAddress(access.Slot), GuestRegisters.Address);
        }

        _loaded = index;
        _open.Push(_groups.Count);
        _groups.Add(group);
    }

    /// <summary>Ends groups behind the last access of their last member.</summary>
    private void EndGroups(int index)
    {
        while (_open.TryPeek(out int number) && _groups[number].End == index + 1)
        {
            ref ColdGroup group = ref System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_groups)[number];
            group.Done = _code.Position;
            group.HostFlagsAfter = _hostFlags;
            _open.Pop();
        }

        if (_plans[index].Leader < 0 && !AccessGroups.IsTransparent(in _plans[index]))
        {
            _loaded = -1;
        }
    }

    /// <summary>The members one by one, each with a look of its own.</summary>
    private void EmitColdGroup(in ColdGroup group)
    {
        _code.Bind(group.Jump);
        if (group.Misaligned != null)
        {
            _code.Bind(group.Misaligned);
        }

        _hostFlags = RflagsBits.None;
        _source = group.Source;
        _savedFlags = group.IsSaved;
        _producer = group.Producer;
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

        if ((group.HostFlagsAfter & ~_hostFlags) != RflagsBits.None)
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
