using System.Runtime.InteropServices;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;
using Uml.Core.Cpu;

namespace Uml.Fuzz.Translations;

/// <summary>The host's addresses that a processor works with: none may get to where the guest could read it, and none may change.</summary>
internal sealed unsafe class HostAddresses
{
    /// <summary>An address in so many bytes around one of the host's counts as one: offsets are added on the way.</summary>
    private const ulong Reach = 64 << 20;

    /// <summary>The guest's data and stacks. Paging structures have too many numbers that look like addresses when they are read a few bytes off.</summary>
    private const ulong MemoryStart = BareGuest.Data - 0x1000, MemoryEnd = BareGuest.Handlers;

    private readonly BareGuest _machine;
    private readonly ulong[] _addresses;
    private readonly ulong[] _fields;

    private HostAddresses(BareGuest machine)
    {
        _machine = machine;
        CpuState* s = machine.State;
        JitEngine jit = machine.Cpu.Jit!;
        _fields = ReadFields(s);
        _addresses =
        [
            (ulong)s, (ulong)s->Engine->RamBase, (ulong)PagingState.Of(s)->Tlb, (ulong)s->Hot.JumpTable, (ulong)s->Engine->Pages,
            (ulong)PagingState.Of(s)->Walks, (ulong)BlockState.Of(s)->JumpCache,
            (ulong)s->Engine->Memory, (ulong)s->Engine->Blocks, (ulong)s->Engine->System, (ulong)s->Engine->Log,
            (ulong)s->Engine->Translator,
            (ulong)jit.Code.Executable, (ulong)jit.Code.Writable, (ulong)jit.Sites.Sites, (ulong)&s,
        ];
    }

    /// <summary>Notes what there is before the guest runs, on the thread that it runs on: its stack is among that.</summary>
    public static HostAddresses Of(BareGuest machine) => new(machine);

    /// <summary>Looks at what the guest has left behind.</summary>
    /// <returns>Where a host address is that the guest can read, or that something of the host's was changed; null when neither is so.</returns>
    public string? FindDamage()
    {
        CpuState* s = _machine.State;
        ulong[] fields = ReadFields(s);
        int changed = fields.AsSpan().CommonPrefixLength(_fields);
        if (changed < fields.Length)
        {
            return $"changed a field of the state that belongs to the host or to paging, number {changed}: 0x{_fields[changed]:x} to 0x{fields[changed]:x}";
        }

        // SAFETY: fields of the state, and a part of 16 MiB of RAM.
        return Search("a general register", new(s->Gpr, CpuState.GprCount * sizeof(ulong)))
            ?? Search("a vector register", new(&s->Vectors, sizeof(VectorRegisters)))
            ?? Search("the x87 unit", new(&s->X87, sizeof(X87State)))
            ?? Search("a field", MemoryMarshal.AsBytes<ulong>(
            [
                s->Rip, s->Hot.PageRip, s->Hot.FlagWord, s->FlagResult, s->FlagAux, s->SystemFlags,
                s->Hot.KeptFirst, s->Hot.KeptSecond, s->KernelGsBase,
                s->Segments[(int)SegmentIndex.Gs].Base, s->Segments[(int)SegmentIndex.Fs].Base, s->Cr2,
            ]))
            ?? Search("memory", new(s->Engine->RamBase + MemoryStart, (int)(MemoryEnd - MemoryStart)));
    }

    /// <summary>What translated code has no business to change, and this guest does not change.</summary>
    private static ulong[] ReadFields(CpuState* s) =>
    [
        (ulong)s->Engine->RamBase, s->Engine->RamLowEnd, s->Engine->RamHighEnd, (ulong)s->Engine->Pages,
        (ulong)PagingState.Of(s)->Walks, (ulong)PagingState.Of(s)->LargePages, (ulong)BlockState.Of(s)->JumpCache,
        (ulong)s->Engine->Memory, (ulong)s->Engine->Blocks, (ulong)s->Engine->System, (ulong)s->Engine->Log,
            (ulong)s->Engine->Translator,
        s->Engine->HostStack, s->Engine->HostMxcsr, PagingState.Of(s)->WalkMask, PagingState.Of(s)->WalkWant, PagingState.Of(s)->WalkReserved,
        s->Cr0, s->Cr3, s->Cr4, s->Efer, s->Xcr0, s->GdtBase, s->IdtBase, s->LStar,
        (ulong)s->Mode, (ulong)s->Features, s->Cpl,
    ];

    private string? Search(string place, ReadOnlySpan<byte> bytes)
    {
        for (int at = 0; at <= bytes.Length - sizeof(ulong); at++)
        {
            ulong value = MemoryMarshal.Read<ulong>(bytes[at..]);
            if (value > uint.MaxValue && Array.Exists(_addresses, address => value - address + Reach < 2 * Reach))
            {
                return $"leaves a host address in {place}, +0x{at:x}";
            }
        }

        return null;
    }
}
