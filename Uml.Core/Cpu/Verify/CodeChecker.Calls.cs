using Iced.Intel;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Verify;

/// <summary>Checks calls of stubs, and the sites that say what the runtime patches and where it continues.</summary>
// SAFETY: a site is one of the table's: its number was checked against the count, and neighbours against both ends. Other pointers of a
// site are compared with places of this translation and not followed.
internal sealed unsafe partial class CodeChecker
{
    /// <summary>Checks a call.</summary>
    /// <returns>Whether it returns.</returns>
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

    /// <summary>Checks what a stub requires of its callers.</summary>
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

    /// <summary>Checks the fields of a site that the runtime uses.</summary>
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

    /// <summary>The state after a call of a stub.</summary>
    /// <returns>Whether it returns.</returns>
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

    /// <summary>
    /// The effect of stubs on the slots. A code address may be saved across the store of a call's push, which at most drops the
    /// translation.
    /// </summary>
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

    /// <summary>The site whose number follows a call.</summary>
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

    /// <summary>Adds the path where the runtime continues at the site's code instead of behind the call.</summary>
    private string? GoOnAt(Site* site, in CheckedState s) => Reach((nint)_memory.ToWritable(site->Unlinked), in s);

    /// <summary>Whether the next site is that of the same jump with saved flags, which the runtime reads the target from.</summary>
    private bool HasLinkBehind(Site* site) => site - _sites.Sites + 1 < _sites.Count && (site + 1)->HasDirect && (site + 1)->Block == _block
        && (site + 1)->Flavor == site->Flavor && IsPatchable(site + 1);

    private bool IsLinkable(Site* site) => IsPatchable(site) && (site->Epoch == null || IsEpoch(site->Epoch))
        && (!site->HasDirect
            || (site - _sites.Sites > _emitted.FirstSite && (site - 1)->Block == _block && (site - 1)->Flavor == site->Flavor && IsPatchable(site - 1)));

    /// <summary>Whether the site's jump is a jump of this translation, and leads to where unchaining restores it to.</summary>
    private bool IsPatchable(Site* site) => IndexOf((nint)site->Unlinked) >= 0 && TryGetEnding((nint)site->Jump, out Instruction jump)
        && jump.FlowControl is FlowControl.UnconditionalBranch or FlowControl.ConditionalBranch && (byte*)jump.NearBranchTarget == site->Unlinked
        && !(IndexOf((nint)jump.IP) is var index && _isReached[index] && GivesBackAll(in _states[index]));

    /// <summary>Whether the address that an epoch is written to is the immediate of a comparison with the table's epoch.</summary>
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
