namespace Uml.Core.Cpu.Verify;

/// <summary>The abstract value of the scratch or the address register, or of a slot of the state.</summary>
internal enum ValueKind : byte
{
    /// <summary>Any value, possibly a host address: it must not reach the guest.</summary>
    Hidden,

    /// <summary>Any value that the guest may know.</summary>
    Data,

    /// <summary>An x87 control word that masks all exceptions.</summary>
    MaskedControlWord,

    // ---- in the scratch register, derived from the address register; no longer known when that is written ----

    /// <summary>A copy of the address; its bits from the TLB's index on; the offset of its TLB entry.</summary>
    AddressCopy,
    AddressShifted,
    TlbIndex,

    /// <summary>The offset of the TLB entry whose tag was subtracted from the address.</summary>
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

    /// <summary>An entry of the jump table that matches the target address.</summary>
    JumpMatch,
    JumpTable,

    /// <summary>The code address from such an entry, for the flavor with that number.</summary>
    Code,

    /// <summary>The address of a site's counter.</summary>
    Counter,

    /// <summary>A host address of guest memory plus a constant: only its offset in the page may be used.</summary>
    NearMemory,

    // ---- in the address register ----

    /// <summary>A linear address; that many bytes from it do not cross a page boundary.</summary>
    InPage,

    /// <summary>A linear address minus the tag of its TLB entry.</summary>
    Distance,

    /// <summary>Such a distance of at most that many bytes: the offset in the entry's page.</summary>
    PageOffset,

    /// <summary>The result of a walk: the host address of that many bytes (of one if 0), or still the linear address.</summary>
    Walked,

    /// <summary>The host address of that many bytes of guest memory.</summary>
    Memory,
}

/// <summary>An abstract value: its kind, the kind's number, and whether guest memory at it may be written.</summary>
internal readonly record struct CheckedValue(ValueKind Kind, int Size = 0, bool Writable = false)
{
    public static readonly CheckedValue Hidden = new(ValueKind.Hidden), Data = new(ValueKind.Data);

    /// <summary>Whether it is, or may be, a host address.</summary>
    public bool IsHidden => Kind is ValueKind.Hidden or ValueKind.Walked or ValueKind.Memory or ValueKind.JumpEntry or ValueKind.JumpMatch or ValueKind.JumpTable
        or ValueKind.Code or ValueKind.Counter or ValueKind.NearMemory;

    /// <summary>Whether it is derived from the address register.</summary>
    public bool IsAboutAddress => Kind is >= ValueKind.AddressCopy and <= ValueKind.JumpEntry;

    /// <summary>The least specific value that it can be weakened to.</summary>
    public CheckedValue Forget() => IsHidden ? Hidden : Data;

    public override string ToString() => Size == 0 ? $"{Kind}" : $"{Kind} of {Size}{(Writable ? ", writable" : "")}";

    /// <summary>The value that covers both.</summary>
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
