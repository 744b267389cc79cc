using Iced.Intel;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Verify;

/// <summary>The transfer function: the effect of instructions on the abstract state.</summary>
// SAFETY: site numbers lie between those of this translation and the table's count; the address of a site's field is compared and not
// followed.
internal sealed unsafe partial class CodeChecker
{
    private const Register State = Register.RSP, Scratch = Register.R13, Scratch32 = Register.R13D, Address = Register.R14, Address32 = Register.R14D,
        Tlb = Register.R15;

    /// <summary>Applies an instruction that falls through.</summary>
    /// <returns>The defect; null if there is none.</returns>
    private string? Operate(ref CheckedState s, in HostInstruction host)
    {
        ref readonly Instruction i = ref host.Instruction;
        if (host.AccessSize == 0)
        {
            return TryDerive(ref s, in i) ? null : Finish(ref s, in host);
        }

        if (i.Mnemonic == Mnemonic.Fldcw && i.MemoryBase != State)
        {
            return "it may unmask an exception";
        }

        switch (i.MemoryBase)
        {
            case Tlb: return TryTranslate(ref s, in i) ? null : "it does not take an entry of the TLB that goes with the address";
            case Scratch: return TryTable(ref s, in i) ? null : "what it accesses is not known";
            case State when i.MemoryIndex == Register.None: return AccessState(ref s, in host);
            case Address when i.MemoryIndex == Register.None:
                return IsInMemory(s.Address, in host) ? Finish(ref s, in host) : "what it accesses is not within guest memory";
            default: return "what it accesses is not known";
        }
    }

    /// <summary>The default rule: an instruction reads values and writes values.</summary>
    private static string? Finish(ref CheckedState s, in HostInstruction host)
    {
        if ((host.ReadsScratch && s.Scratch.IsHidden) || (host.ReadsAddress && s.Address.IsHidden))
        {
            return "it takes an address of the host for a value";
        }

        if (host.IsPartial && ((host.WritesScratch && s.Scratch.IsHidden) || (host.WritesAddress && s.Address.IsHidden)))
        {
            return "it leaves some of an address of the host in a value";
        }

        if (host.WritesScratch)
        {
            s.SetScratch(CheckedValue.Data);
        }

        if (host.WritesAddress)
        {
            s.SetAddress(CheckedValue.Data);
        }

        return null;
    }

    private static bool IsInMemory(CheckedValue address, in HostInstruction host)
    {
        long displacement = (long)host.Instruction.MemoryDisplacement64;
        return address.Kind == ValueKind.Memory && displacement >= 0 && displacement + host.AccessSize <= address.Size
            && (address.Writable || !host.WritesMemory);
    }

    /// <summary>Arithmetic on the way from an address to an entry of the TLB or of the jump table.</summary>
    private bool TryDerive(ref CheckedState s, in Instruction i)
    {
        int last = i.OpCount - 1;
        bool hasImmediate = last > 0 && i.GetOpKind(last) is >= OpKind.Immediate8 and <= OpKind.Immediate32to64;
        int number = hasImmediate ? (int)(long)i.GetImmediate(last) : 0;
        switch (i.Op0Register)
        {
            case Scratch32 when DeriveOffset(in s, in i, number) is { } offset:
                s.SetScratch(offset);
                return true;
            case Scratch when DeriveScratch(in s, in i, number) is { } value:
                s.SetScratch(value);
                return true;
            case Scratch when i.Code == Code.Cmp_rm64_imm32 && s.Scratch.Kind == ValueKind.PageDifference && number == GuestRam.PageSize:
                s.Fact = FlagFact.WithinPage;
                return true;

            // The offset in the page, which the guest knows, may be tested.
            case Scratch when i.Code == Code.Test_rm64_imm32 && s.Scratch.IsHidden:
                return s.Scratch.Kind == ValueKind.NearMemory && number is >= 0 and < GuestRam.PageSize;
            case Address when i.Code == Code.Test_rm64_imm32 && s.Address.IsHidden:
                return s.Address.Kind == ValueKind.Memory && number is >= 0 and < GuestRam.PageSize;
            case Address when i.Code == Code.Test_rm64_imm32:
                (s.Fact, s.FactNumber) = (FlagFact.NoBits, number);
                return true;
            case Address when i.Code is Code.Cmp_rm64_imm32 or Code.Cmp_rm64_imm8 && s.Address.Kind == ValueKind.Distance:
                (s.Fact, s.FactNumber) = (FlagFact.DistanceAtMost, number);
                return true;
            case Address32 when i.Code is Code.Or_rm32_imm8 && (number & X87State.ExceptionMasks) == X87State.ExceptionMasks && !s.Address.IsHidden:
                s.SetAddress(new(ValueKind.MaskedControlWord));
                return true;
            default:
                return false;
        }
    }

    /// <summary>32-bit arithmetic of the scratch register.</summary>
    private static CheckedValue? DeriveOffset(in CheckedState s, in Instruction i, int number)
    {
        ValueKind kind = (i.Code, s.Scratch.Kind) switch
        {
            (Code.VEX_Rorx_r32_rm32_imm8, _) when i.Op1Register == Address32 && number == Paging.Tlb.IndexShift && !s.Address.IsHidden => ValueKind.AddressShifted,
            (Code.And_rm32_imm32, ValueKind.AddressShifted) when number == Paging.Tlb.IndexMask => ValueKind.TlbIndex,
            (Code.Imul_r32_rm32_imm32, _) when i.Op1Register == Address32 && number == JumpTables.HashMultiplier && !s.Address.IsHidden => ValueKind.HashProduct,
            (Code.Shr_rm32_imm8, ValueKind.HashProduct) when number == JumpTables.HashShift => ValueKind.HashShifted,
            (Code.And_rm32_imm8, ValueKind.HashShifted) when number == JumpTables.IndexMask => ValueKind.HashOffset,
            _ => ValueKind.Hidden,
        };
        return kind == ValueKind.Hidden ? null : new CheckedValue(kind);
    }

    /// <summary>64-bit arithmetic of the scratch register.</summary>
    private CheckedValue? DeriveScratch(in CheckedState s, in Instruction i, int number)
    {
        switch (i.Code)
        {
            case Code.Mov_r64_rm64 when i.Op1Register == Address && !s.Address.IsHidden:
                return new(ValueKind.AddressCopy);
            case Code.Shr_rm64_imm8 when s.Scratch.Kind == ValueKind.AddressCopy && number == Paging.Tlb.IndexShift:
                return new(ValueKind.AddressShifted);
            case Code.Lea_r64_m when i.MemoryBase == Address && i.MemoryIndex == Register.None:
                long displacement = (long)i.MemoryDisplacement64;
                return s.Address.Kind == ValueKind.Memory ? new(ValueKind.NearMemory)
                    : s.Address.IsHidden ? CheckedValue.Hidden
                    : displacement is >= 0 and < GuestRam.PageSize ? new(ValueKind.AddressPlus, (int)displacement) : CheckedValue.Data;
            case Code.Xor_r64_rm64 when i.Op1Register == Address && s.Scratch.Kind == ValueKind.AddressPlus:
                return s.Scratch with { Kind = ValueKind.PageDifference };
            case Code.Mov_r64_imm64 when IsCounter(i.Immediate64):
                return new(ValueKind.Counter);
            default:
                return null;
        }
    }

    private bool IsCounter(ulong address)
    {
        for (int site = _emitted.FirstSite; site < _sites.Count; site++)
        {
            if (address == (ulong)&_sites.Sites[site].Uses)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Arithmetic of the address with a field of its TLB entry.</summary>
    private static bool TryTranslate(ref CheckedState s, in Instruction i)
    {
        if (i.Op0Register != Address || i.MemoryIndex != Scratch || i.MemoryIndexScale != 1)
        {
            return false;
        }

        long field = (long)i.MemoryDisplacement64;
        bool isTag = field is TlbEntry.ReadTagOffset or TlbEntry.WriteTagOffset;
        switch (i.Code)
        {
            case Code.Sub_r64_rm64 when isTag && s.Scratch.Kind == ValueKind.TlbIndex && !s.Address.IsHidden:
                s.Scratch = new(ValueKind.TlbEntry);
                s.Address = new(ValueKind.Distance, 0, field == TlbEntry.WriteTagOffset);
                return true;
            case Code.Add_r64_rm64 when isTag && s.Scratch.Kind == ValueKind.TlbEntry && s.Address.Kind is ValueKind.Distance or ValueKind.PageOffset
                && s.Address.Writable == (field == TlbEntry.WriteTagOffset):
                s.SetAddress(CheckedValue.Data);
                return true;
            case Code.Add_r64_rm64 when field == TlbEntry.HostPageOffset && s.Scratch.Kind == ValueKind.TlbEntry && s.Address.Kind == ValueKind.PageOffset:
                s.SetAddress(new(ValueKind.Memory, GuestRam.PageSize - s.Address.Size, s.Address.Writable));
                return true;
            default:
                return false;
        }
    }

    /// <summary>Accesses through the scratch register: the jump table, its epoch, and a site's counter.</summary>
    private static bool TryTable(ref CheckedState s, in Instruction i)
    {
        if (i.MemoryIndex != Register.None)
        {
            return false;
        }

        long displacement = (long)i.MemoryDisplacement64;
        switch (i.Code)
        {
            case Code.Cmp_r64_rm64 when i.Op0Register == Address && s.Scratch.Kind == ValueKind.JumpEntry:
                s.Fact = FlagFact.Matches;
                return displacement == JumpTables.RipOffset(s.Flavor);
            case Code.Mov_r64_rm64 when i.Op0Register == Scratch && s.Scratch.Kind == ValueKind.JumpMatch:
                s.SetScratch(new(ValueKind.Code, (int)s.Flavor));
                return displacement == JumpTables.CodeOffset(s.Flavor);
            case Code.Cmp_rm32_imm32:
                return s.Scratch.Kind == ValueKind.JumpTable && displacement == JumpTables.EpochOffset;
            case Code.Sub_rm32_imm8:
                return s.Scratch.Kind == ValueKind.Counter && displacement == 0;
            default:
                return false;
        }
    }

    private string? AccessState(ref CheckedState s, in HostInstruction host)
    {
        ref readonly Instruction i = ref host.Instruction;
        long displacement = (long)i.MemoryDisplacement64;
        int slot = StateFields.SlotOf(displacement, host.AccessSize);
        if (slot >= 0)
        {
            return AccessSlot(ref s, in host, slot);
        }

        if (displacement == StateLayout.JumpTable && i.Op0Register == Scratch)
        {
            if (i.Code == Code.Mov_r64_rm64)
            {
                s.SetScratch(new(ValueKind.JumpTable));
                return null;
            }

            if (i.Code == Code.Add_r64_rm64 && s.Scratch.Kind == ValueKind.HashOffset)
            {
                s.Scratch = new(ValueKind.JumpEntry);
                return null;
            }
        }

        if (displacement == StateLayout.Remaining)
        {
            return IsCounting(ref s, in i) ? null : "it does not give back what was not run of the block";
        }

        return i.Mnemonic != Mnemonic.Fldcw && StateFields.Allow(displacement, host.AccessSize, host.WritesMemory)
            ? Finish(ref s, in host)
            : "it may not access that part of the state so";
    }

    /// <summary>The budget is counted down at the entry only, and up by at most the block's instructions on any path.</summary>
    private bool IsCounting(ref CheckedState s, in Instruction i)
    {
        if ((nint)i.IP == (nint)_emitted.Hot)
        {
            s.Given = 0;
            return true;
        }

        ulong given = i.Code is Code.Add_rm64_imm8 or Code.Add_rm64_imm32 ? i.GetImmediate(1) : 0;
        bool isOfBlock = given >= 1 && given <= (ulong)(_block->Count - s.Given);
        s.Given += isOfBlock ? (int)given : 0;
        return isOfBlock;
    }

    private const string GivesBack = "gives back all that the block has counted";

    /// <summary>Whether all that the entry has counted was taken back: then no other block may follow without polling.</summary>
    private bool GivesBackAll(in CheckedState s) => s.Given >= _block->Count;

    private static string? AccessSlot(ref CheckedState s, in HostInstruction host, int slot)
    {
        ref readonly Instruction i = ref host.Instruction;
        ref CheckedValue value = ref s.Slots[slot];
        switch (i.Code)
        {
            case Code.Mov_rm64_r64 when i.Op1Register is Scratch or Address:
                CheckedValue stored = i.Op1Register == Scratch ? s.Scratch : s.Address;
                value = stored.Kind is ValueKind.Memory or ValueKind.Code or ValueKind.MaskedControlWord ? stored : stored.Forget();
                return null;
            case Code.Mov_r64_rm64 when i.Op0Register == Scratch:
                s.SetScratch(value);
                return null;
            case Code.Mov_r64_rm64 when i.Op0Register == Address:
                s.SetAddress(value);
                return null;
            case Code.Fldcw_m2byte:
                return value.Kind == ValueKind.MaskedControlWord && (long)i.MemoryDisplacement64 == StateFields.StartOf(slot) ? null : "it may unmask an exception";
        }

        if (value.IsHidden && (host.ReadsMemory || host.AccessSize != sizeof(ulong)))
        {
            return "it takes an address of the host for a value";
        }

        value = host.WritesMemory ? CheckedValue.Data : value;
        return Finish(ref s, in host);
    }

    /// <summary>Checks a jump whose target is in memory: a matching entry of the jump table, or a code address saved from one.</summary>
    private string? CheckComputedJump(in CheckedState s, in Instruction i)
    {
        if (GivesBackAll(in s))
        {
            return GivesBack;
        }

        long displacement = (long)i.MemoryDisplacement64;
        bool isKnown = i.MemoryIndex == Register.None && i.MemoryBase switch
        {
            Scratch => s.Scratch.Kind == ValueKind.JumpMatch && displacement == JumpTables.CodeOffset(s.Flavor),
            State => StateFields.SlotOf(displacement, sizeof(ulong)) is >= 0 and int slot && s.Slots[slot] == new CheckedValue(ValueKind.Code, (int)s.Flavor),
            _ => false,
        };
        return isKnown ? null : "where it leads is not known";
    }
}
