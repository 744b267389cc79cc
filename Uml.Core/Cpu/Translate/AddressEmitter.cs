using Iced.Intel;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Decode;
using Uml.Core.Cpu.Emit;
using Uml.Core.Cpu.State;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Translate;

/// <summary>Computes addresses of the guest: of memory operands, and for LEA.</summary>
/// <param name="code">Writes it.</param>
/// <param name="homes">Brings registers that are kept in the state.</param>
/// <param name="context">The block.</param>
internal sealed class AddressEmitter(HostAssembler code, RegisterHomes homes, BlockContext context)
{
    private const int Address = GuestRegisters.Address;

    /// <summary>LEA.</summary>
    public void EmitLea(in Plan plan)
    {
        int guest = plan.Instruction.Op0Register.GetNumber();
        int host = homes.Use(guest, Address, load: false);
        EmitEffective(in plan, host, wide: plan.Encoding.Wide && !plan.Encoding.AddressSize);
        homes.PutBack(guest, host);
    }

    /// <summary>The linear address of the memory operand, into the address register. Flags stay unless a segment base is added.</summary>
    public void EmitLinear(in Plan plan)
    {
        EmitEffective(in plan, Address, wide: context.IsLong && !plan.Encoding.AddressSize);
        SegmentIndex segment = OperandFields.SegmentOf(plan.Instruction.MemorySegment);
        if (segment is SegmentIndex.Fs or SegmentIndex.Gs)
        {
            code.ArithmeticMemory(Arithmetic.Add, Address, GuestRegisters.State, StateLayout.SegmentBase(segment), context.IsLong);
        }
    }

    /// <summary>The effective address of the memory operand. A base or an index that is kept in the state passes through the scratch registers.</summary>
    private void EmitEffective(in Plan plan, int destination, bool wide)
    {
        ref readonly Encoding e = ref plan.Encoding;
        int displacement = (int)e.Displacement;
        if (e.IsRelative)
        {
            EmitRelative(e.Displacement, destination, wide);
            return;
        }

        int index = e.Index < 0 ? HostRegister.Rsp : homes.Use(e.Index, GuestRegisters.Scratch, load: true);
        if (e.Base < 0)
        {
            if (context.IsLong || e.Index >= 0)
            {
                code.LoadAddressWithoutBase(destination, index, e.Scale, displacement, wide);
            }
            else
            {
                code.MoveImmediate(destination, (uint)displacement);
            }

            return;
        }

        int @base = homes.Use(e.Base, Address, load: true);
        if (e.Index >= 0)
        {
            code.LoadAddress(destination, @base, index, e.Scale, displacement, wide);
        }
        else if (displacement != 0)
        {
            code.LoadAddress(destination, @base, displacement, wide);
        }
        else if (!wide || destination != @base)
        {
            code.Move(destination, @base, wide);
        }
    }

    /// <summary>RIP-relative: from the page that runs, whose address the translation does not know.</summary>
    private void EmitRelative(long offset, int destination, bool wide)
    {
        code.Load(destination, GuestRegisters.State, StateLayout.PageRip);
        if (offset != (int)offset)
        {
            // As far as a displacement reaches, and the instruction's own place in its page and length beyond that.
            const int step = 2 * GuestRam.PageSize;
            code.LoadAddress(destination, destination, step);
            offset -= step;
        }

        code.LoadAddress(destination, destination, (int)offset);
        if (!wide)
        {
            code.Move(destination, destination, wide: false);
        }
    }
}
