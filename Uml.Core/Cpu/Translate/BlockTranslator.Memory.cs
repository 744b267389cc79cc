using Iced.Intel;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Emit;
using Uml.Core.Cpu.State;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Translate;

internal sealed unsafe partial class BlockTranslator
{
    private readonly List<ColdAccess> _cold = [];
    private readonly TlbProbe _probe;

    /// <summary>A memory access that may turn out not to be plain memory.</summary>
    private struct ColdAccess
    {
        public byte* Jump;
        public byte* Resume;
        public byte* Done;
        public int Index;
        public FlagState Source;
        public bool HostFlagsAfter;
        public OperandUse Use;
        public byte Size;
        public bool Aligned;
        public SegmentIndex Segment;
    }

    /// <summary>LEA.</summary>
    private void EmitLea(in Plan plan)
    {
        int guest = plan.Instruction.Op0Register.GetNumber();
        int host = Home(guest, GuestRegisters.Address, load: false);
        EmitEffective(in plan, host, wide: plan.Encoding.Wide && !plan.Encoding.AddressSize);
        PutBack(guest, host);
    }

    /// <summary>The linear address of the memory operand, into the address register. Flags stay unless a segment base is added.</summary>
    private void EmitLinear(in Plan plan)
    {
        EmitEffective(in plan, GuestRegisters.Address, wide: IsLong && !plan.Encoding.AddressSize);
        SegmentIndex segment = Decode.OperandFields.SegmentOf(plan.Instruction.MemorySegment);
        if (segment is SegmentIndex.Fs or SegmentIndex.Gs)
        {
            _code.ArithmeticMemory(Arithmetic.Add, GuestRegisters.Address, GuestRegisters.State, StateLayout.SegmentBase(segment), IsLong);
        }
    }

    /// <summary>The effective address of the memory operand. A base or an index that is in memory passes through the scratch registers.</summary>
    private void EmitEffective(in Plan plan, int destination, bool wide)
    {
        ref readonly Encoding e = ref plan.Encoding;
        int displacement = (int)e.Displacement;
        if (e.IsRelative)
        {
            EmitRelative(e.Displacement, destination, wide);
            return;
        }

        int index = e.Index < 0 ? HostRegister.Rsp : Home(e.Index, GuestRegisters.Scratch, load: true);
        if (e.Base < 0)
        {
            if (IsLong || e.Index >= 0)
            {
                _code.LoadAddressWithoutBase(destination, index, e.Scale, displacement, wide);
            }
            else
            {
                _code.MoveImmediate(destination, (uint)displacement);
            }

            return;
        }

        int @base = Home(e.Base, GuestRegisters.Address, load: true);
        if (e.Index < 0)
        {
            EmitBase(destination, @base, displacement, wide);
        }
        else
        {
            _code.LoadAddress(destination, @base, index, e.Scale, displacement, wide);
        }
    }

    private void EmitBase(int destination, int @base, int displacement, bool wide)
    {
        if (displacement != 0)
        {
            _code.Memory(0x8D, destination, @base, displacement, wide);
        }
        else if (!wide || destination != @base)
        {
            _code.Register(0x8B, destination, @base, wide);
        }
    }

    /// <summary>RIP-relative: from the page that runs, whose address the translation does not know.</summary>
    private void EmitRelative(long offset, int destination, bool wide)
    {
        _code.Load(destination, GuestRegisters.State, StateLayout.PageRip);
        if (offset != (int)offset)
        {
            // As far as a displacement reaches, and the instruction's own place in its page and length beyond that.
            const int step = 2 * GuestRam.PageSize;
            _code.LoadAddress(destination, destination, step);
            offset -= step;
        }

        _code.LoadAddress(destination, destination, (int)offset);
        if (!wide)
        {
            _code.Move(destination, destination, wide: false);
        }
    }

    /// <summary>Turns the linear address of an instruction's operand into a host address.</summary>
    /// <returns>What <see cref="EndAccess"/> takes.</returns>
    private int EmitProbe(int index)
    {
        ref Plan plan = ref _plans[index];
        return EmitProbe(index, plan.Use, plan.MemorySize, plan.Aligned, Block.Ops(_block)[index].Segment);
    }

    private int EmitStackProbe(int index, OperandUse use) => EmitProbe(index, use, _plans[index].Word, aligned: false, SegmentIndex.Ss);

    private int EmitProbe(int index, OperandUse use, int size, bool aligned, SegmentIndex segment)
    {
        byte* jump = EmitTranslation(use, size, aligned);
        _cold.Add(new ColdAccess
        {
            Jump = jump,
            Resume = _code.Position,
            Index = index,
            Source = _source,
            Use = use,
            Size = (byte)size,
            Aligned = aligned,
            Segment = segment,
        });
        return _cold.Count - 1;
    }

    /// <summary>The look into the TLB for an operand, or for a range with several.</summary>
    /// <returns>The jump taken when there is no translation.</returns>
    private byte* EmitTranslation(OperandUse use, int size, bool aligned)
    {
        byte* jump = _probe.Emit(use, size, aligned);
        _hostFlags = RflagsBits.None;
        return jump;
    }

    /// <summary>Marks where an access goes on after its instruction was done elsewhere.</summary>
    private void EndAccess(int cold)
    {
        ref ColdAccess access = ref System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_cold)[cold];
        access.Done = _code.Position;

        // Made by the instruction, or brought there for it, which what follows may rely on.
        access.HostFlagsAfter = _hostFlags != RflagsBits.None || _plans[access.Index].Changes != RflagsBits.None;
    }

    private void EmitColdAccess(in ColdAccess access)
    {
        ref Plan plan = ref _plans[access.Index];
        _code.Bind(access.Jump);
        _probe.Restore(access.Use);
        bool write = access.Use != OperandUse.Read;
        EmitWalk(in access, write);
        SaveRemade(in access.Source);
        _code.Call(_stubs.Access(_flavor));
        _code.Annotation(_sites.Add(new Site
        {
            Block = _block,
            OpIndex = (byte)access.Index,
            Flavor = _flavor,
            Use = access.Use,
            Size = access.Size,
            Aligned = access.Aligned,
            Segment = access.Segment,
        }));
        if (!write)
        {
            _code.Jump(access.Resume);
            return;
        }

        // Zero: the address register points to the operand itself; otherwise to a buffer that is written to the guest afterwards.
        _code.JumpIf(Condition.E, access.Resume);
        FlagsAreSaved();
        if (plan.Changes != RflagsBits.None && plan.Changes != Planner.Status)
        {
            // What it keeps is asked for by whoever goes on, not by what comes next in this block: the write may have dropped that.
            RestoreFlags();
        }

        EmitOperation(in plan);
        if (plan.Changes != RflagsBits.None)
        {
            SaveFlags();
        }

        _code.Call(_stubs.Commit(_flavor));
        _code.Annotation(_sites.Add(new Site
        {
            Block = _block,
            OpIndex = (byte)access.Index,
            Flavor = _flavor,
            Form = plan.Form,
            Target = plan.Form == Form.Call ? BranchTarget(in plan) : 0,
        }));
        if (access.HostFlagsAfter)
        {
            LoadFlags();
        }

        _code.Jump(access.Done);
    }

    /// <summary>Refills the TLB where that is all there is to do.</summary>
    private void EmitWalk(in ColdAccess access, bool write)
    {
        if (access.Size == 1)
        {
            _code.Call(_stubs.Walk(write));
            _code.JumpIf(Condition.E, access.Resume);
            return;
        }

        byte* odd;
        if (access.Aligned)
        {
            _code.TestImmediate(GuestRegisters.Address, access.Size - 1);
            odd = _code.JumpIf(Condition.Ne);
        }
        else
        {
            _code.LoadAddress(GuestRegisters.Scratch, GuestRegisters.Address, access.Size - 1);
            _code.ArithmeticRegister(Arithmetic.Xor, GuestRegisters.Scratch, GuestRegisters.Address);
            _code.ArithmeticImmediate(Arithmetic.Cmp, GuestRegisters.Scratch, 0x1000);
            odd = _code.JumpIf(Condition.Ae);
        }

        _code.Call(_stubs.Walk(write));
        _code.JumpIf(Condition.E, access.Resume);
        _code.Bind(odd);
    }

    private void EmitColdPaths()
    {
        // In this order: the first two may add to what follows.
        for (int i = 0; i < _groups.Count; i++)
        {
            EmitColdGroup(_groups[i]);
        }

        EmitColdFlow();
        for (int i = 0; i < _cold.Count; i++)
        {
            EmitColdAccess(_cold[i]);
        }
    }
}
