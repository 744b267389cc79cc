using Uml.Core.Cpu.Emit;

namespace Uml.Core.Cpu.Translate;

internal sealed unsafe partial class BlockTranslator
{
    private readonly List<ColdGroup> _groups = [];

    /// <summary>How far behind the address register the operand lies: members of a group share one address.</summary>
    private int _operandOffset;

    /// <summary>The index behind the group that is being emitted, and whether its members go by its address.</summary>
    private int _groupEnd;
    private bool _inGroup;

    /// <summary>A group of accesses that has to be done one by one.</summary>
    private struct ColdGroup
    {
        public byte* Jump;
        public byte* Misaligned;
        public byte* Done;
        public int Start;
        public int End;
        public int Remake;
        public bool HostFlagsAfter;
    }

    /// <summary>Emits an instruction that is a member of the group: its address is known already.</summary>
    /// <returns>False when it is not one.</returns>
    private bool TryEmitGrouped(in Plan plan)
    {
        if (!_inGroup || !plan.IsMember)
        {
            return false;
        }

        _operandOffset = plan.GroupOffset;
        EmitOperation(in plan);
        _operandOffset = 0;
        return true;
    }

    /// <summary>Looks up the whole range of a group.</summary>
    private void BeginGroup(int index)
    {
        ref Plan plan = ref _plans[index];
        int @base = GuestRegisters.Host(plan.GroupBase);
        _code.LoadAddress(GuestRegisters.Address, @base, plan.GroupLow);
        byte* jump = EmitTranslation(plan.GroupWrites ? OperandUse.Update : OperandUse.Read, plan.GroupSpan, aligned: false);
        var group = new ColdGroup { Jump = jump, Start = index, End = index + plan.GroupLength, Remake = _remake };
        if (plan.GroupAligned >= 0)
        {
            _code.LoadAddress(GuestRegisters.Scratch, GuestRegisters.Address, plan.GroupAligned);
            _code.TestImmediate(GuestRegisters.Scratch, 15);
            group.Misaligned = _code.JumpIf(Condition.Ne);
        }

        _inGroup = true;
        _groupEnd = group.End;
        _groups.Add(group);
    }

    /// <summary>Ends the group behind the last access of its last member.</summary>
    private void EndGroup(int index)
    {
        if (!_inGroup || index + 1 != _groupEnd)
        {
            return;
        }

        _inGroup = false;
        ref ColdGroup group = ref System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_groups)[^1];
        group.Done = _code.Position;
        group.HostFlagsAfter = _hostFlags;
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
