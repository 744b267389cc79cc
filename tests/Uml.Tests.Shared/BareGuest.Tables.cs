using Uml.Core.Cpu.Paging;
using Uml.Core.Memory;

namespace Uml.Tests.Shared;

/// <content>Page tables, descriptor tables and the IDT.</content>
internal sealed unsafe partial class BareGuest
{
    public const ulong PageTables = 0x1000, PageTable = 0x4000, Gdt = 0x6000, Idt = 0x7000, Tss = 0x8000, Ldt = 0x9000;
    public const ushort Code64 = 0x08, Data0 = 0x10, Code32 = 0x18, User32 = 0x23, UserData = 0x2B, User64 = 0x33, TssSelector = 0x38,
        LdtSelector = 0x48, Scratch = 0x58;

    public const byte Hlt = 0xF4;

    /// <summary>The first tables of each level, which lead to <see cref="PageTable"/>, lie behind the root; all others at the end of RAM.</summary>
    private const ulong Directories = PageTables + 0x1000;

    private readonly Dictionary<(ulong Region, int Shift), ulong> _tables = [];
    private ulong _firstTables = Directories, _freeTables;

    /// <summary>Flags of entries that lead to tables: present, writable, user.</summary>
    public ulong TableFlags { get; init; } = 7;

    /// <summary>Maps a page, and makes the tables that lead to it (Intel SDM vol. 3, 4.5).</summary>
    public void Map(ulong linear, ulong physical, ulong flags = 7)
    {
        Poke(EntryAddress(linear, 12), physical | flags);
        Mmu.InvalidatePage(State, linear);
    }

    /// <summary>The last entry that a page is mapped by.</summary>
    public ulong PageEntry(ulong linear) => Peek<ulong>(EntryAddress(linear, 12));

    /// <summary>Sets accessed and dirty bits in the tables that lead to the page table, as kernels do: the emitted page walk writes then.</summary>
    public BareGuest MarkTables()
    {
        for (ulong entry = PageTables; entry < PageTable; entry += GuestRam.PageSize)
        {
            Poke(entry, Peek<ulong>(entry) | 0x60);
        }

        return this;
    }

    /// <summary>Where an entry is that covers 2^<paramref name="shift"/> bytes.</summary>
    public ulong EntryAddress(ulong linear, int shift) => Table(linear, shift) + (((linear >> shift) & 511) * 8);

    public void SetGate64(int vector, ulong target, int type = 0x8E, int ist = 0, ushort selector = Code64)
    {
        (ulong low, ulong high) = Gate64(target, type, ist, selector);
        Poke(Idt + ((ulong)vector * 16), low);
        Poke(Idt + ((ulong)vector * 16) + 8, high);
    }

    public void SetGate32(int vector, uint target, int type = 0x8E, ushort selector = Code32) =>
        Poke(Idt + ((ulong)vector * 8), Gate64(target, type, 0, selector).Low);

    /// <summary>A gate of 64-bit mode; its low half is one of 32-bit mode.</summary>
    public static (ulong Low, ulong High) Gate64(ulong target, int type, int ist, ushort selector) =>
        ((target & 0xFFFF) | ((ulong)selector << 16) | ((ulong)ist << 32) | ((ulong)type << 40) | ((target & 0xFFFF0000) << 32), target >> 32);

    public void SetDescriptor(ushort selector, ulong descriptor) => Poke(Gdt + (ulong)(selector & 0xFFF8), descriptor);

    /// <summary>A descriptor from its parts; flags are G, D/B, L, AVL in bits 3..0.</summary>
    public static ulong Descriptor(uint @base, uint limit, int access, int flags) =>
        (limit & 0xFFFF) | ((ulong)(@base & 0xFFFFFF) << 16) | ((ulong)access << 40) | ((ulong)(limit >> 16 & 0xF) << 48)
        | ((ulong)flags << 52) | ((ulong)(@base >> 24) << 56);

    private void WriteGdt()
    {
        Poke(Gdt, 0UL);
        SetDescriptor(Code64, Descriptor(0, 0xFFFFF, 0x9B, 0xA));
        SetDescriptor(Data0, Descriptor(0, 0xFFFFF, 0x93, 0xC));
        SetDescriptor(Code32, Descriptor(0, 0xFFFFF, 0x9B, 0xC));
        SetDescriptor(User32, Descriptor(0, 0xFFFFF, 0xFB, 0xC));
        SetDescriptor(UserData, Descriptor(0, 0xFFFFF, 0xF3, 0xC));
        SetDescriptor(User64, Descriptor(0, 0xFFFFF, 0xFB, 0xA));
        SetDescriptor(TssSelector, Descriptor((uint)Tss, 0x67, 0x89, 0));
        SetDescriptor(LdtSelector, Descriptor((uint)Ldt, 0x1F, 0x82, 0));
    }

    /// <summary>The table whose entries cover 2^<paramref name="shift"/> bytes each, and one of them the address.</summary>
    private ulong Table(ulong linear, int shift)
    {
        if (shift == 39)
        {
            return PageTables;
        }

        (ulong, int) key = (linear >> (shift + 9), shift);
        if (!_tables.TryGetValue(key, out ulong table))
        {
            ulong entry = EntryAddress(linear, shift + 9);
            table = TakeTable();
            _tables.Add(key, table);
            Poke(entry, table | TableFlags);
        }

        return table;
    }

    private ulong TakeTable()
    {
        ulong table = _firstTables <= PageTable ? _firstTables : _freeTables -= GuestRam.PageSize;
        _firstTables += GuestRam.PageSize;
        return table;
    }
}
