using Iced.Intel;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Verify;

/// <summary>Calls of stubs, and the sites that tell the runtime what it may patch and where it goes on.</summary>
// SAFETY: a site is one of the table's: its number was checked against the count, and neighbours against both ends. Other pointers of a
// site are compared with places of this translation and not followed.
internal sealed unsafe partial class CodeChecker
{
    /// <summary>Goes over a call.</summary>
    /// <returns>Whether it comes back.</returns>
    private bool Call(int index, ref CheckedState s, out string? defect)
    {
        if (_stubs.ContractAt((nint)_instructions[index].Instruction.NearBranchTarget) is not { } contract)
        {
            defect = "it calls what is no stub";
            return false;
        }

        Site* site = null;
        defect = CheckContract(contract, in s);
        if (defect is null && contract.HasSite)
        {
            defect = TryGetSite(index, s.Flavor, out site) ? CheckSite(contract.Kind, site, in s) : "it is not followed by the number of a site of its own";
        }

        return defect is null && Return(contract.Kind, site, ref s, out defect);
    }

    /// <summary>What a stub asks of those who call it.</summary>
    private string? CheckContract(StubContract contract, in CheckedState s)
    {
        bool takesAddress = contract.Kind is StubKind.Access or StubKind.Lookup or StubKind.Reenter or StubKind.WalkForRead or StubKind.WalkForWrite;
        bool isOfGate = contract.Kind is StubKind.LoadVectors or StubKind.LoadX87;
        bool patches = contract.Kind is StubKind.Link or StubKind.Specialize;
        if ((isOfGate && _emitted.Exit == null) || (patches && _emitted.Exit != null))
        {
            return "only what leads to another translation of the block changes the flavor, and it has no jump of its own";
        }

        bool isKept = (contract.Flavor == Flavor.Count || contract.Flavor == s.Flavor) && !(takesAddress && s.Address.IsHidden)
            && !(contract.Kind == StubKind.Refill && s.Scratch.IsHidden);
        return isKept ? null : "it does not keep to the contract of the stub";
    }

    /// <summary>What the runtime takes from a site.</summary>
    private static string? CheckSite(StubKind kind, Site* site, in CheckedState s)
    {
        if (kind is StubKind.Interpret or StubKind.LoadX87 && site->OpIndex != 0)
        {
            return "it does not keep to the contract of the stub: another operation than the first would go to the first one's handler";
        }

        bool isComputedCall = kind is StubKind.Commit or StubKind.Handler && site->Form == Form.CallIndirect;
        return isComputedCall && s.Slots[StateFields.SecondSpill].IsHidden
            ? "it does not keep to the contract of the stub: the guest would go on at an address of the host"
            : null;
    }

    /// <summary>What is known when a stub has been called.</summary>
    /// <returns>Whether it comes back.</returns>
    private bool Return(StubKind kind, Site* site, ref CheckedState s, out string? defect)
    {
        CheckedValue address = s.Address;
        s.Scratch = s.Address = CheckedValue.Hidden;
        LeaveSlots(ref s, kind);
        defect = null;
        switch (kind)
        {
            case StubKind.Access:
                defect = site->Size is >= 1 and <= AccessBuffer.Size ? null : "its operand is larger than any";
                s.Address = new(ValueKind.Memory, site->Size, site->Use != OperandUse.Read);
                return true;
            case StubKind.WalkForRead or StubKind.WalkForWrite:
                s.Address = new(ValueKind.Walked, address.Kind == ValueKind.InPage ? address.Size : 0);
                s.Fact = kind == StubKind.WalkForRead ? FlagFact.WalkedForRead : FlagFact.WalkedForWrite;
                return true;
            case StubKind.LoadVectors:
                s.Fact = FlagFact.VectorsLoaded;
                return true;
            case StubKind.Refill:
                s.Given = 0;
                return true;
            case StubKind.LoadX87:
                s.Flavor = Flavor.X87;
                return true;
            case StubKind.Lookup:
                defect = GoOnAt(site, in s);
                return true;
            case StubKind.CheckPage:
                defect = IsEpoch(site->Epoch) ? GoOnAt(site, in s) : "its epoch is none";
                return true;
            case StubKind.Specialize:
                defect = IsPatchable(site) && HasLinkBehind(site) ? null : "what would be patched is no jump of its own";
                return true;
            case StubKind.Link:
                defect = IsLinkable(site) ? null : "what would be patched is no jump of its own";
                return site->Epoch != null;
            default:
                return kind is not (StubKind.Reenter or StubKind.Interpret);
        }
    }

    /// <summary>What stubs do to the slots. Code that was found may be kept over the accesses of a call's push, which drop it at most.</summary>
    private static void LeaveSlots(ref CheckedState s, StubKind kind)
    {
        if (kind == StubKind.String)
        {
            s.Slots[StateFields.Spill] = s.Slots[StateFields.SecondSpill] = CheckedValue.Hidden;
        }

        bool keepsCode = kind is StubKind.Access or StubKind.Commit or StubKind.WalkForRead or StubKind.WalkForWrite;
        for (int i = 0; i < CheckedSlots.Count; i++)
        {
            s.Slots[i] = s.Slots[i].Kind == ValueKind.Code && !keepsCode ? CheckedValue.Hidden : s.Slots[i];
        }
    }

    /// <summary>The site whose number stands behind a call.</summary>
    private bool TryGetSite(int call, Flavor flavor, out Site* site)
    {
        site = null;
        if (call + 1 >= _count)
        {
            return false;
        }

        ref readonly Instruction note = ref _instructions[call + 1].Instruction;
        long number = (long)note.MemoryDisplacement64;
        bool isNote = note.IP == _instructions[call].Instruction.NextIP && note.Code == Code.Nop_rm32 && note.MemoryBase == Register.RAX
            && note.MemoryIndex == Register.None && note.Length == 7;
        if (!isNote || number < _emitted.FirstSite || number >= _sites.Count)
        {
            return false;
        }

        site = _sites.Sites + number;
        return site->Block == _block && site->OpIndex < _block->Count && site->Flavor == flavor;
    }

    /// <summary>The runtime may go on there instead of behind the call.</summary>
    private string? GoOnAt(Site* site, in CheckedState s) => Reach((nint)_memory.ToWritable(site->Unlinked), in s);

    /// <summary>The runtime asks the site behind that of a direct jump where the jump leads.</summary>
    private bool HasLinkBehind(Site* site) => site - _sites.Sites + 1 < _sites.Count && (site + 1)->HasDirect && (site + 1)->Block == _block
        && (site + 1)->Flavor == site->Flavor && IsPatchable(site + 1);

    private bool IsLinkable(Site* site) => IsPatchable(site) && (site->Epoch == null || IsEpoch(site->Epoch))
        && (!site->HasDirect
            || (site - _sites.Sites > _emitted.FirstSite && (site - 1)->Block == _block && (site - 1)->Flavor == site->Flavor && IsPatchable(site - 1)));

    /// <summary>The jump that is to be pointed elsewhere is a jump, and what it is pointed back to is where it leads now.</summary>
    private bool IsPatchable(Site* site) => IndexOf((nint)site->Unlinked) >= 0 && TryGetEnding((nint)site->Jump, out Instruction jump)
        && jump.FlowControl is FlowControl.UnconditionalBranch or FlowControl.ConditionalBranch && (byte*)jump.NearBranchTarget == site->Unlinked
        && !(IndexOf((nint)jump.IP) is var index && _isReached[index] && GivesBackAll(in _states[index]));

    /// <summary>What the runtime writes an epoch to is the immediate of a comparison with the table's.</summary>
    private bool IsEpoch(byte* epoch) => TryGetEnding((nint)epoch, out Instruction compare) && compare.Code == Code.Cmp_rm32_imm32
        && compare.MemoryBase == Scratch && (long)compare.MemoryDisplacement64 == JumpTables.EpochOffset;

    /// <summary>The instruction whose last four bytes are at an address.</summary>
    private bool TryGetEnding(nint field, out Instruction instruction)
    {
        int index = IndexOf(field);
        index = index < 0 ? ~index - 1 : -1;
        instruction = index >= 0 ? _instructions[index].Instruction : default;
        return index >= 0 && (nint)instruction.NextIP == field + sizeof(int);
    }
}
