using System.Numerics;
using Uml.Core.Cpu.Emit;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Translate;

/// <summary>REP MOVS and REP STOS of up to a page, by the host's own, where all of it is plain memory in one page of each side.</summary>
internal sealed unsafe partial class BlockTranslator
{
    /// <summary>
    /// REP MOVS or REP STOS with addresses as wide as the mode's. Whatever is not ordinary, a single page that is not in the
    /// translation buffer included, is left to the handler, with nothing done.
    /// </summary>
    private void EmitString(int index)
    {
        ref Plan plan = ref _plans[index];
        bool moves = plan.Form == Form.StringMove;
        int scale = BitOperations.Log2(plan.MemorySize);
        const int scratch = GuestRegisters.Scratch, address = GuestRegisters.Address;

        _code.ArithmeticImmediate(Arithmetic.Cmp, HostRegister.Rcx, GuestRam.PageSize);
        byte* tooMany = _code.JumpIf(Condition.A);
        _code.TestMemoryByte(GuestRegisters.State, StateLayout.SystemFlags + 1, (int)(Flags.DF >> 8));
        byte* downwards = _code.JumpIf(Condition.Ne);

        // The first and the last byte are in one page when no bit above its offset differs. Without any byte there is nothing to do.
        EmitSpan(scratch, HostRegister.Rdi, scale);
        if (moves)
        {
            EmitSpan(address, HostRegister.Rsi, scale);
            _code.ArithmeticRegister(Arithmetic.Or, scratch, address);
        }

        _code.ArithmeticImmediate(Arithmetic.Cmp, scratch, GuestRam.PageSize);
        byte* crosses = _code.JumpIf(Condition.Ae);
        _code.Move(address, HostRegister.Rdi, IsLong);
        byte* destination = EmitTranslation(OperandUse.Write, 1, aligned: false);
        byte* source = destination;
        if (moves)
        {
            _code.Store(GuestRegisters.State, StateLayout.Spill, address);
            _code.Move(address, HostRegister.Rsi, IsLong);
            source = EmitTranslation(OperandUse.Read, 1, aligned: false);
            _code.Store(GuestRegisters.State, StateLayout.SecondSpill, HostRegister.Rsi);
            _code.Move(HostRegister.Rsi, address);
            _code.Load(address, GuestRegisters.State, StateLayout.Spill);
        }

        _code.Move(scratch, HostRegister.Rdi);
        _code.Move(HostRegister.Rdi, address);
        _code.LoadAddressWithoutBase(address, HostRegister.Rcx, scale, 0);
        _code.Repeat(moves ? 0xA4 : 0xAA, plan.MemorySize);
        _code.LoadAddress(HostRegister.Rdi, scratch, address, 0, 0, IsLong);
        if (moves)
        {
            _code.Load(HostRegister.Rsi, GuestRegisters.State, StateLayout.SecondSpill);
            _code.LoadAddress(HostRegister.Rsi, HostRegister.Rsi, address, 0, 0, IsLong);
        }

        ReadOnlySpan<nint> unusual = [(nint)tooMany, (nint)downwards, (nint)crosses, (nint)destination, (nint)source];
        AddHandlerFor(index, moves ? unusual : unusual[..^1]);
    }

    /// <summary>The bits in which the address of the first and of the last byte differ.</summary>
    private void EmitSpan(int result, int pointer, int scale)
    {
        _code.LoadAddress(result, pointer, HostRegister.Rcx, scale, -1);
        _code.ArithmeticRegister(Arithmetic.Xor, result, pointer);
    }
}
