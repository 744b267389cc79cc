using System.Buffers.Binary;
using Uml.Core.Cpu.Control;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;
using Uml.Core.Cpu;
using Uml.Devices.Platform;
using Uml.Fuzz.Running;
using static Uml.Fuzz.Guests.SystemLayout;

namespace Uml.Fuzz.Guests;

/// <summary>The mode a guest begins in.</summary>
internal enum StartMode
{
    Long64,
    Compatibility,
    Flat32,
    Legacy,
    Pae,
    Real,
}

/// <summary>Tables that work in every mode, the damage done to them, and the registers a guest begins with.</summary>
internal sealed unsafe class SystemState(FuzzRandom random, StartMode mode)
{
    private const ulong Rights = 0x67;

    private readonly byte[] _memory = new byte[End];

    /// <summary>What goes into the guest's memory.</summary>
    /// <param name="code">The code, which every gate leads into.</param>
    public byte[] CreateMemory(ReadOnlySpan<byte> code)
    {
        random.Fill(_memory.AsSpan((int)Stack));
        code.CopyTo(_memory.AsSpan((int)Code));
        WritePaging();
        WriteSegments();
        WriteGates();
        Damage();
        return _memory;
    }

    /// <summary>Puts the processor into the mode, with random registers. Control registers are written as a guest would, so only what is allowed comes about.</summary>
    public void Apply(ProcessorRegisters registers)
    {
        CpuState* s = registers.State;
        Enter(s);
        for (int i = 0; i < CpuState.GprCount; i++)
        {
            s->Gpr[i] = Address(random);
        }

        s->Gpr[4] = mode == StartMode.Real ? 0x8000 : StackEnd - 0x100;
        StartStates.SetTables(s, Gdt, (ushort)(random.OneIn(4) ? random.Nasty() : 0xFFF), mode == StartMode.Real ? 0 : Idt, (ushort)(random.OneIn(8) ? random.Nasty() : 0xFFF));
        s->Segments[(int)SegmentIndex.Tr] = new SegmentRegister { Base = Tss, Limit = 0x1FFF, Selector = TaskSelector, Attributes = 0x8B };
        s->Segments[(int)SegmentIndex.Ldtr] = new SegmentRegister { Base = Ldt, Limit = 0xFFF, Selector = LocalTable, Attributes = 0x82 };
        s->LStar = s->SysenterEip = s->CStar = Code + (ulong)random.Below(0x1000);
        s->Star = ((ulong)Data0 << 48) | ((ulong)Code64 << 32);
        (s->SysenterCs, s->SysenterEsp) = (Code64, StackEnd - 0x200);
        s->Efer |= 1;
        ControlRegisters.SetCr4(s, s->Cr4 | (random.UInt64() & 0x37_0F9C & ~(1UL << 17)));
        ControlRegisters.SetCr0(s, s->Cr0 | (random.UInt64() & 0x5_003E));
        s->Xcr0 = random.OneIn(2) ? 7UL : 3;
        Flags.Set(s, random.UInt64() & (random.OneIn(8) ? 0x25_4FD5UL : 0x24_0ED5));
        if (random.OneIn(8))
        {
            (s->Dr0, s->Dr1, s->Dr7) = (Address(random), Address(random), (random.UInt64() & 0xFFFF_03FF) | 0x400);
        }

        if (random.OneIn(3) && mode != StartMode.Real)
        {
            // User code; its segments say so too.
            s->Cpl = 3;
            s->Segments[(int)SegmentIndex.Cs].Attributes |= 3 << 5;
            s->Segments[(int)SegmentIndex.Ss].Attributes |= 3 << 5;
        }

        Mmu.FlushAll(s);
        Mmu.SwitchAddressSpace(s, keep: false);
        DebugState.RefreshStepping(s);
    }

    private void Enter(CpuState* s)
    {
        ulong entry = Code + (ulong)random.Below(0x100);
        switch (mode)
        {
            case StartMode.Long64:
                StartStates.EnterLong64(s, entry, PageMap, Code64, Data0);
                break;
            case StartMode.Compatibility:
                StartStates.EnterLong64(s, entry, PageMap, Code32, Data0);
                s->Segments[(int)SegmentIndex.Cs].Attributes = 0xC09B;
                break;
            case StartMode.Real:
                StartStates.EnterReal16(s, (ushort)(Code >> 4), (ushort)(entry - Code));
                break;
            default:
                StartStates.EnterProtected32Flat(s, (uint)entry, Code32, Data0);
                (s->Cr3, s->Cr4) = mode == StartMode.Pae ? (PaePointers, 0x20UL) : (LegacyDirectory, 0x10);
                s->Cr0 |= mode == StartMode.Flat32 ? 0 : 1UL << 31;
                break;
        }
    }

    private void WritePaging()
    {
        // The first 4 MiB as they are: small pages, then large ones. The fourth gigabyte ends with devices.
        Put(PageMap, Pointers | Rights);
        Put(Pointers, PageDirectory | Rights);
        Put(Pointers + 24, DeviceDirectory | Rights);
        Put(PageDirectory, Table | Rights);
        Put(PageDirectory + 8, 0x20_0000 | Rights | 0x80);
        Put(DeviceDirectory + (0x1F6 * 8), MemoryMap.IoApicStart | Rights | 0x80);
        Put(DeviceDirectory + (0x1F7 * 8), MemoryMap.LocalApicStart | Rights | 0x80);
        Put(PaePointers, PaeDirectory | 1);
        Put(PaePointers + 24, DeviceDirectory | 1);
        Put(PaeDirectory, Table | Rights);
        Put(PaeDirectory + 8, 0x20_0000 | Rights | 0x80);
        BinaryPrimitives.WriteUInt32LittleEndian(_memory.AsSpan((int)LegacyDirectory), (uint)(LegacyTable | Rights));
        for (uint page = 0; page < 1024; page++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(_memory.AsSpan((int)(LegacyTable + (page * 4))), (page << 12) | (uint)Rights);
        }

        for (ulong page = 0; page < 512; page++)
        {
            Put(Table + (page * 8), (page << 12) | Rights);
        }
    }

    private void WriteSegments()
    {
        ReadOnlySpan<ulong> gdt =
        [
            0, 0x00AF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF, 0x00CF_9B00_0000_FFFF, 0x00CF_FB00_0000_FFFF, 0x00CF_F300_0000_FFFF, 0x00AF_FB00_0000_FFFF,
            0x0000_8900_D000_1FFF, 0, 0x0000_8200_B000_0FFF, 0, 0x0000_EC00_0008_0000 | (Code & 0xFFFF) | ((Code >> 16) << 48), 0, 0x0000_9B00_0000_FFFF,
            0x0000_E500_0038_0000, 0,
        ];
        for (int i = 0; i < gdt.Length; i++)
        {
            Put(Gdt + ((ulong)i * 8), gdt[i]);
            Put(Ldt + ((ulong)i * 8), gdt[i]);
        }

        // Stacks of all levels and of all interrupt stack tables, in both layouts; the I/O map at the end.
        for (ulong offset = 4; offset < 100; offset += 8)
        {
            Put(Tss + offset, StackEnd - (0x400 * (1 + (offset / 8))));
        }

        if (mode is not (StartMode.Long64 or StartMode.Compatibility))
        {
            Put(Tss + 8, Data0);
        }

        BinaryPrimitives.WriteUInt16LittleEndian(_memory.AsSpan((int)Tss + 102), 0x68);
    }

    private void WriteGates()
    {
        bool isLong = mode is StartMode.Long64 or StartMode.Compatibility;
        for (ulong vector = 0; vector < 256; vector++)
        {
            ulong target = Code + (ulong)random.Below(0x2000);
            if (mode == StartMode.Real)
            {
                BinaryPrimitives.WriteUInt32LittleEndian(_memory.AsSpan((int)vector * 4), (uint)((Code >> 4 << 16) | (target - Code)));
                continue;
            }

            ulong type = random.OneIn(3) ? 0xEFUL : 0xEE;
            ulong stack = isLong && (vector is >= 8 and < 15 || random.OneIn(2)) ? 1 + (ulong)random.Below(7) : 0;
            ulong gate = (target & 0xFFFF) | ((ulong)(isLong ? Code64 : Code32) << 16) | (stack << 32) | (type << 40) | ((target >> 16) << 48);
            Put(Idt + (vector * (isLong ? 16UL : 8)), gate);
        }
    }

    /// <summary>Much damage kills a guest at once; most get little.</summary>
    private void Damage()
    {
        int most = random.Pick<int>([0, 1, 2, 12]);
        for (int i = random.Below(most + 1); i > 0; i--)
        {
            Put(Paging + ((ulong)random.Below((int)(PagingEnd - Paging) / 8) * 8), PageEntry(random));
        }

        // The first entries of a table are those that count.
        for (int i = random.Below((most / 3) + 1); i > 0; i--)
        {
            Put(Paging + ((ulong)random.Below(9) << 12) + ((ulong)random.Below(8) * 8), PageEntry(random));
        }

        for (int i = random.Below(most + 4); i > 0; i--)
        {
            ulong table = random.OneIn(3) ? Ldt : Gdt;
            Put(table + ((ulong)(random.OneIn(12) ? random.Below(16) : 6 + random.Below(10)) * 8), Descriptor(random));
        }

        for (int i = random.Below(most + 1); i > 0; i--)
        {
            Put(Idt + ((ulong)random.Below(512) * 8), Descriptor(random));
        }

        for (int i = random.Below((most / 3) + 1); i > 0; i--)
        {
            Put(Tss + ((ulong)random.Below(14) * 8), Address(random));
        }
    }

    private void Put(ulong address, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(_memory.AsSpan((int)address), value);
}
