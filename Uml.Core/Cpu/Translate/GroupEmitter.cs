using System.Runtime.InteropServices;
using Iced.Intel;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Emit;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Translate;

/// <summary>
/// Groups of accesses (see <see cref="AccessGroups"/>) on the hot path: one look into the TLB in front of the first, whose result the others
/// share. Where it fails, all instructions of the group are emitted once more, out of line, each with a look of its own.
/// </summary>
/// <param name="code">Writes it.</param>
/// <param name="access">The look into the TLB.</param>
/// <param name="operations">What the members do with their operands.</param>
/// <param name="flags">Knows where the flags are.</param>
/// <param name="context">The block.</param>
internal sealed unsafe class GroupEmitter(
    HostAssembler code, AccessEmitter access, OperationEmitter operations, FlagTracker flags, BlockContext context)
{
    // SAFETY: jumps are positions in the block that is emitted, bound before it ends. A member's operand lies in the range that was looked up.
    private const int Address = GuestRegisters.Address;

    private readonly List<Group> _groups = [];

    /// <summary>The groups that are open, innermost last: by number in <see cref="_groups"/>.</summary>
    private readonly Stack<int> _open = new(HotWords.GroupSlots);

    /// <summary>The leader of the group whose address is in the address register, or -1.</summary>
    private int _loaded;

    /// <summary>Whether members go by their groups' addresses: on the hot path.</summary>
    private bool _isHot;

    /// <summary>A group as it was emitted.</summary>
    private struct Group
    {
        /// <summary>The jumps taken when its accesses have to be done one by one, and where to go on behind its last.</summary>
        public byte* Jump, Misaligned, Done;

        /// <summary>Its instructions, by number.</summary>
        public int Start, End;
        public FlagsNow Before;
        public RflagsBits InHostAfter;
    }

    /// <summary>How many groups there are.</summary>
    public int Count => _groups.Count;

    /// <summary>Begins with the hot path of a block.</summary>
    public void Begin()
    {
        _groups.Clear();
        _loaded = -1;
        _isHot = true;
    }

    /// <summary>Ends the hot path: from here on each access is done by itself.</summary>
    public void EndHotPath() => _isHot = false;

    /// <summary>Emits the operation of an instruction, with its group's address, with a lookup of its own, or on registers.</summary>
    public void EmitOperation(int index)
    {
        ref Plan plan = ref context[index];
        if (TryEmitMember(in plan))
        {
            return;
        }

        if (plan.Encoding.IsMemory)
        {
            access.EmitOperation(index);
        }
        else
        {
            operations.Emit(in plan);
        }
    }

    /// <summary>Emits the operation of an instruction that is a member of a group: its address is known already.</summary>
    /// <returns>False when it is not one.</returns>
    public bool TryEmitMember(in Plan plan)
    {
        if (!_isHot || plan.Leader < 0)
        {
            return false;
        }

        if (_loaded != plan.Leader)
        {
            code.Load(Address, GuestRegisters.State, StateLayout.GroupAddress(context[plan.Leader].Group.Slot));
            _loaded = plan.Leader;
        }

        operations.Emit(in plan, plan.GroupOffset);
        return true;
    }

    /// <summary>Looks up the range of the group that begins with an instruction, if one does.</summary>
    public void BeginAt(int index)
    {
        ref AccessGroup plan = ref context[index].Group;
        if (plan.Length == 0)
        {
            return;
        }

        code.LoadAddress(Address, GuestRegisters.Host(plan.Base), plan.Low, context.IsLong);
        byte* jump = access.Translate(plan.Writes ? OperandUse.Update : OperandUse.Read, plan.Span, aligned: false);
        var group = new Group { Jump = jump, Start = index, End = index + plan.Length, Before = flags.Now };
        if (plan.Aligned >= 0)
        {
            int aligned = Address;
            if (plan.Aligned != 0)
            {
                aligned = GuestRegisters.Scratch;
                code.LoadAddress(aligned, Address, plan.Aligned);
            }

            code.TestImmediate(aligned, 15);
            group.Misaligned = code.JumpIf(Condition.Ne);
        }

        if (plan.Slot >= 0)
        {
            code.Store(GuestRegisters.State, StateLayout.GroupAddress(plan.Slot), Address);
        }

        _loaded = index;
        _open.Push(_groups.Count);
        _groups.Add(group);
    }

    /// <summary>Ends groups behind the last access of their last member.</summary>
    public void EndAt(int index)
    {
        while (_open.TryPeek(out int number) && _groups[number].End == index + 1)
        {
            ref Group group = ref CollectionsMarshal.AsSpan(_groups)[number];
            group.Done = code.Position;
            group.InHostAfter = flags.Now.InHost;
            _open.Pop();
        }

        if (context[index].Leader < 0 && !AccessGroups.IsTransparent(in context[index]))
        {
            _loaded = -1;
        }
    }

    /// <summary>Begins the code for a group's instructions one by one.</summary>
    /// <returns>The first one, and the one behind the last.</returns>
    public (int Start, int End) BeginCold(int number)
    {
        ref Group group = ref CollectionsMarshal.AsSpan(_groups)[number];
        code.Bind(group.Jump);
        if (group.Misaligned != null)
        {
            code.Bind(group.Misaligned);
        }

        flags.Now = group.Before;
        return (group.Start, group.End);
    }

    /// <summary>Goes on behind the group on the hot path.</summary>
    public void EndCold(int number)
    {
        ref Group group = ref CollectionsMarshal.AsSpan(_groups)[number];
        flags.Require(group.InHostAfter);
        code.Jump(group.Done);
    }
}
