using System.Runtime.CompilerServices;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Verify;

/// <summary>What the flags of the previous instruction imply about the two registers, if the next one is a conditional jump.</summary>
internal enum FlagFact : byte
{
    None,

    /// <summary>Not above: the distance is at most the number.</summary>
    DistanceAtMost,

    /// <summary>Zero: the address register has none of the number's bits.</summary>
    NoBits,

    /// <summary>Below: an operand of one byte more than the number, at the address, does not cross a page boundary.</summary>
    WithinPage,

    /// <summary>Zero: the jump table's entry is of the address.</summary>
    Matches,

    /// <summary>Zero: the walk has translated the address to a host address, for reads or for writes.</summary>
    WalkedForRead,
    WalkedForWrite,

    /// <summary>Zero: vector registers are loaded.</summary>
    VectorsLoaded,
}

/// <summary>Slots of the state that may hold an address: the two spills, and the groups' addresses.</summary>
[InlineArray(Count)]
internal struct CheckedSlots
{
    public const int Count = 2 + HotWords.GroupSlots;
    private CheckedValue _element;
}

/// <summary>The abstract state at one instruction of emitted code.</summary>
internal struct CheckedState
{
    private const int PageSize = Memory.GuestRam.PageSize;

    public CheckedValue Scratch;
    public CheckedValue Address;
    public CheckedSlots Slots;
    public FlagFact Fact;
    public int FactNumber;

    /// <summary>The most instructions that were taken back of those that the entry has counted.</summary>
    public int Given;

    /// <summary>Which of the guest's registers are in host registers.</summary>
    public Flavor Flavor;

    /// <summary>The state at an entry: nothing is known.</summary>
    public static CheckedState AtEntry(Flavor flavor) => new() { Flavor = flavor };

    public void SetScratch(CheckedValue value)
    {
        Scratch = value;
        if (Address.Kind is ValueKind.Distance or ValueKind.PageOffset)
        {
            // The distance from an entry that is no longer known.
            Address = CheckedValue.Data;
        }
    }

    public void SetAddress(CheckedValue value)
    {
        Address = value;
        if (Scratch.IsAboutAddress)
        {
            Scratch = Scratch.Forget();
        }
    }

    /// <summary>Merges the state of another path to the same instruction.</summary>
    /// <returns>Whether that changed the state, to one with less knowledge.</returns>
    public bool Merge(in CheckedState other)
    {
        CheckedState before = this;
        Scratch = Scratch.Merge(other.Scratch);
        Address = Address.Merge(other.Address);
        if (Address.Kind is ValueKind.Distance or ValueKind.PageOffset && Scratch.Kind != ValueKind.TlbEntry)
        {
            Address = CheckedValue.Data;
        }

        bool changed = Scratch != before.Scratch || Address != before.Address;
        if (Fact != other.Fact || FactNumber != other.FactNumber)
        {
            changed |= Fact != FlagFact.None;
            Fact = FlagFact.None;
            FactNumber = 0;
        }

        changed |= other.Given > Given;
        Given = Math.Max(Given, other.Given);
        for (int i = 0; i < CheckedSlots.Count; i++)
        {
            Slots[i] = Slots[i].Merge(other.Slots[i]);
            changed |= Slots[i] != before.Slots[i];
        }

        return changed;
    }

    /// <summary>Refines the state on the edge where a fact holds.</summary>
    public void Learn(FlagFact fact, int number)
    {
        switch (fact)
        {
            case FlagFact.DistanceAtMost when Address.Kind == ValueKind.Distance && number is >= 0 and < PageSize:
                Address = new(ValueKind.PageOffset, number, Address.Writable);
                break;
            case FlagFact.NoBits when Address.Kind == ValueKind.Distance && ~number is >= 0 and < PageSize:
                Address = new(ValueKind.PageOffset, ~number, Address.Writable);
                break;
            case FlagFact.NoBits when Address.Kind is ValueKind.Data or ValueKind.InPage && number is >= 0 and < PageSize && (number & (number + 1)) == 0:
                // The address is a multiple of a power of two, so that many bytes from it are in one page.
                Address = new(ValueKind.InPage, number + 1);
                break;
            case FlagFact.WithinPage when Scratch.Kind == ValueKind.PageDifference && Address.Kind is ValueKind.Data or ValueKind.InPage:
                Address = new(ValueKind.InPage, Scratch.Size + 1);
                break;
            case FlagFact.Matches when Scratch.Kind == ValueKind.JumpEntry:
                Scratch = new(ValueKind.JumpMatch);
                break;
            case FlagFact.WalkedForRead or FlagFact.WalkedForWrite when Address.Kind == ValueKind.Walked:
                Address = new(ValueKind.Memory, Math.Max(Address.Size, 1), fact == FlagFact.WalkedForWrite);
                break;
            case FlagFact.VectorsLoaded:
                Flavor = Flavor.Vector;
                break;
        }
    }

    /// <summary>Refines the state on the edge where a fact does not hold: a failed walk leaves the address unchanged.</summary>
    public void Refute(FlagFact fact)
    {
        if (fact is FlagFact.WalkedForRead or FlagFact.WalkedForWrite && Address.Kind == ValueKind.Walked)
        {
            Address = Address.Size == 0 ? CheckedValue.Data : new(ValueKind.InPage, Address.Size);
        }
    }
}
