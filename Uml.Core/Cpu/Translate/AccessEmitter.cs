using System.Runtime.InteropServices;
using Iced.Intel;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Emit;
using Uml.Core.Cpu.State;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Translate;

/// <summary>
/// Memory accesses: the TLB probe on the hot path, and what is done on a miss: the entry is filled, or the instruction accesses a buffer that
/// is written to the guest after it.
/// </summary>
/// <param name="code">Writes it.</param>
/// <param name="calls">Calls stubs.</param>
/// <param name="addresses">Computes addresses.</param>
/// <param name="probe">The look into the TLB.</param>
/// <param name="flagEmitter">Moves flags.</param>
/// <param name="flags">Knows where they are.</param>
/// <param name="operations">What is done with the operand.</param>
/// <param name="context">The block.</param>
internal sealed unsafe class AccessEmitter(
    HostAssembler code,
    StubCalls calls,
    AddressEmitter addresses,
    TlbProbe probe,
    FlagEmitter flagEmitter,
    FlagTracker flags,
    OperationEmitter operations,
    BlockContext context)
{
    // SAFETY: jumps are positions in the block that is emitted, bound before it ends. Emitted accesses go to guest memory only behind a probe
    // that has found it in the TLB, or to the buffer that the runtime gives.
    private const int Scratch = GuestRegisters.Scratch, Address = GuestRegisters.Address;

    private readonly List<ColdAccess> _cold = [];

    /// <summary>A memory access that may turn out not to be plain memory.</summary>
    private struct ColdAccess
    {
        /// <summary>The jump taken on a miss, where to go on with the operand's address, and where behind the instruction.</summary>
        public byte* Jump, Resume, Done;
        public int Index;
        public FlagState Source;
        public bool HostFlagsAfter;
        public OperandUse Use;
        public byte Size;
        public bool Aligned;
        public SegmentIndex Segment;
    }

    public void Begin() => _cold.Clear();

    /// <summary>An instruction on its memory operand.</summary>
    public void EmitOperation(int index)
    {
        int cold = EmitProbe(index);
        operations.Emit(in context[index]);
        End(cold);
    }

    /// <summary>An instruction on a word of the stack, whose address is in the address register.</summary>
    public void EmitStackOperation(int index, OperandUse use)
    {
        int cold = Probe(index, use, context[index].Word, aligned: false, SegmentIndex.Ss);
        operations.Emit(in context[index]);
        End(cold);
    }

    /// <summary>Loads an instruction's memory operand into a register.</summary>
    public void EmitLoad(int index, int register, bool wide)
    {
        int cold = EmitProbe(index);
        code.Load(register, Address, 0, wide);
        End(cold);
    }

    /// <summary>Gets the host address of an instruction's memory operand into the address register.</summary>
    /// <returns>What <see cref="End"/> takes.</returns>
    public int EmitProbe(int index)
    {
        addresses.EmitLinear(in context[index]);
        return Probe(index);
    }

    /// <summary>Turns the linear address of an instruction's operand into a host address.</summary>
    /// <returns>What <see cref="End"/> takes.</returns>
    public int Probe(int index)
    {
        ref Plan plan = ref context[index];
        return Probe(index, plan.Use, plan.MemorySize, plan.Aligned, Block.Ops(context.Block)[index].Segment);
    }

    /// <summary>The look into the TLB for an operand, or for a range with several.</summary>
    /// <returns>The jump taken when there is no translation.</returns>
    public byte* Translate(OperandUse use, int size, bool aligned)
    {
        byte* jump = probe.Emit(use, size, aligned);
        flags.NoteClobbered();
        return jump;
    }

    /// <summary>Marks where an access goes on after its instruction was done elsewhere.</summary>
    public void End(int cold)
    {
        ref ColdAccess access = ref CollectionsMarshal.AsSpan(_cold)[cold];
        access.Done = code.Position;

        // Made by the instruction, or brought there for it, which what follows may rely on.
        access.HostFlagsAfter = flags.Now.InHost != RflagsBits.None || context[access.Index].Changes != RflagsBits.None;
    }

    /// <summary>Emits what is done on misses.</summary>
    public void EmitCold()
    {
        for (int i = 0; i < _cold.Count; i++)
        {
            EmitCold(_cold[i]);
        }
    }

    private int Probe(int index, OperandUse use, int size, bool aligned, SegmentIndex segment)
    {
        byte* jump = Translate(use, size, aligned);
        _cold.Add(new ColdAccess
        {
            Jump = jump,
            Resume = code.Position,
            Index = index,
            Source = flags.Now.Source,
            Use = use,
            Size = (byte)size,
            Aligned = aligned,
            Segment = segment,
        });
        return _cold.Count - 1;
    }

    private void EmitCold(in ColdAccess access)
    {
        code.Bind(access.Jump);
        probe.Restore(access.Use);
        bool write = access.Use != OperandUse.Read;
        EmitWalk(in access, write);
        flagEmitter.SaveRemade(in access.Source);
        Site* site = calls.Access();
        site->OpIndex = (byte)access.Index;
        site->Use = access.Use;
        site->Size = access.Size;
        site->Aligned = access.Aligned;
        site->Segment = access.Segment;
        if (write)
        {
            EmitWrite(in access);
        }
        else
        {
            code.Jump(access.Resume);
        }
    }

    /// <summary>Behind the call that has found the operand of a write.</summary>
    private void EmitWrite(in ColdAccess access)
    {
        ref Plan plan = ref context[access.Index];

        // Zero: the address register points to the operand itself; otherwise to a buffer that is written to the guest afterwards.
        code.JumpIf(Condition.E, access.Resume);
        flags.NoteSaved();
        if (plan.Changes != RflagsBits.None && plan.Changes != Planner.Status)
        {
            // Flags that it leaves alone are read where execution goes on, which need not be in this block: the write may have dropped it.
            flags.BringBack();
        }

        operations.Emit(in plan);
        if (plan.Changes != RflagsBits.None)
        {
            flagEmitter.Save();
        }

        Site* site = calls.Commit();
        site->OpIndex = (byte)access.Index;
        site->Form = plan.Form;
        site->Target = plan.Form == Form.Call ? plan.BranchTarget : 0;
        if (access.HostFlagsAfter)
        {
            flagEmitter.Load();
        }

        code.Jump(access.Done);
    }

    /// <summary>Fills the TLB entry, if the walk finds the page and the access is within it.</summary>
    private void EmitWalk(in ColdAccess access, bool write)
    {
        byte* odd = null;
        if (access.Size != 1 && access.Aligned)
        {
            code.TestImmediate(Address, access.Size - 1);
            odd = code.JumpIf(Condition.Ne);
        }
        else if (access.Size != 1)
        {
            code.LoadAddress(Scratch, Address, access.Size - 1);
            code.ArithmeticRegister(Arithmetic.Xor, Scratch, Address);
            code.ArithmeticImmediate(Arithmetic.Cmp, Scratch, GuestRam.PageSize);
            odd = code.JumpIf(Condition.Ae);
        }

        calls.Walk(write);
        code.JumpIf(Condition.E, access.Resume);
        if (odd != null)
        {
            code.Bind(odd);
        }
    }
}
