namespace Uml.Core.Cpu.Verify;

/// <summary>What the checker knows of a value in one of the two registers that addresses pass through, or in a slot of the state.</summary>
internal enum ValueKind : byte
{
    /// <summary>Anything, an address of the host among it: nothing may take it.</summary>
    Hidden,

    /// <summary>Anything that the guest may know.</summary>
    Data,

    /// <summary>An x87 control word that masks all exceptions.</summary>
    MaskedControlWord,

    // ---- in the scratch register, by what is in the address register; they end when that is written ----

    /// <summary>A copy of the address; its bits from the TLB's index on; the offset of its TLB entry.</summary>
    AddressCopy,
    AddressShifted,
    TlbIndex,

    /// <summary>The offset of the TLB entry whose tag was taken from the address.</summary>
    TlbEntry,

    /// <summary>The address and a number of bytes; the bits in which that differs from the address.</summary>
    AddressPlus,
    PageDifference,

    /// <summary>The address times the jump table's multiplier; that shifted; the offset of its entry; the entry.</summary>
    HashProduct,
    HashShifted,
    HashOffset,
    JumpEntry,

    // ---- in the scratch register ----

    /// <summary>An entry of the jump table that has the address looked for.</summary>
    JumpMatch,
    JumpTable,

    /// <summary>Code from such an entry, of the flavor that the number says.</summary>
    Code,

    /// <summary>The address of a site's counter.</summary>
    Counter,

    /// <summary>The host's address of guest memory and a number: only its place in its page is no secret.</summary>
    NearMemory,

    // ---- in the address register ----

    /// <summary>A linear address of so many bytes that do not run over the end of a page.</summary>
    InPage,

    /// <summary>A linear address less the tag of its TLB entry.</summary>
    Distance,

    /// <summary>Such a distance of at most so many bytes: the offset in the page that the entry is for.</summary>
    PageOffset,

    /// <summary>What a walk has left: the host's address, or still the linear one, of so many bytes; of one when the number is 0.</summary>
    Walked,

    /// <summary>The host's address of so many bytes of guest memory.</summary>
    Memory,
}

/// <summary>A value: what it is, the number of bytes where that has one, and whether guest memory may be written.</summary>
internal readonly record struct CheckedValue(ValueKind Kind, int Size = 0, bool Writable = false)
{
    public static readonly CheckedValue Hidden = new(ValueKind.Hidden), Data = new(ValueKind.Data);

    /// <summary>Whether it is, or may be, an address of the host.</summary>
    public bool IsHidden => Kind is ValueKind.Hidden or ValueKind.Walked or ValueKind.Memory or ValueKind.JumpEntry or ValueKind.JumpMatch or ValueKind.JumpTable
        or ValueKind.Code or ValueKind.Counter or ValueKind.NearMemory;

    /// <summary>Whether it says something about the address register.</summary>
    public bool IsAboutAddress => Kind is >= ValueKind.AddressCopy and <= ValueKind.JumpEntry;

    /// <summary>What remains known when nothing says any more what it was.</summary>
    public CheckedValue Forget() => IsHidden ? Hidden : Data;

    public override string ToString() => Size == 0 ? $"{Kind}" : $"{Kind} of {Size}{(Writable ? ", writable" : "")}";

    /// <summary>What is known when it is one of two.</summary>
    public CheckedValue Merge(CheckedValue other)
    {
        if (this == other)
        {
            return this;
        }

        if (Kind == other.Kind && Kind is ValueKind.Memory or ValueKind.InPage)
        {
            return new(Kind, Math.Min(Size, other.Size), Writable && other.Writable);
        }

        return IsHidden || other.IsHidden ? Hidden : Data;
    }
}
