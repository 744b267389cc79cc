using System.Buffers.Binary;
using Iced.Intel;
using Microsoft.Extensions.DependencyInjection;
using Uml.Core.Boot;
using Uml.Core.Machine;
using Uml.Core.Memory;
using Uml.Devices.Platform;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Hosting.Tests.Robustness;

/// <summary>Guests that do anything: random accesses to every register of the board, and random bytes as code. Seeds replay.</summary>
[CancelAfter(120_000)]
public sealed class RandomGuestTests
{
    private const int Accesses = 20_000;
    private const int AccessBytes = 24;
    private const int Done = 99;

    private static readonly int[] Sizes = [1, 2, 4, 8];

    private static readonly (ulong Start, ulong Length)[] MemoryRanges =
    [
        (MemoryMap.LocalApicStart, 0x1000),
        (MemoryMap.LocalApicStart, 0x400),
        (MemoryMap.IoApicStart, 0x40),
        (MemoryMap.IoApicStart, 0x1000),
        (MemoryMap.PciConfigStart, 0x1000),
        (MemoryMap.PciConfigStart, 0x10_0000),
        (MemoryMap.PciWindow32Start, 0x1000_0000),
        (MemoryMap.PciWindow64Start, 0x1000_0000),
        (GuestMemoryLayout.DeviceHoleStart, 0x4000_0000),
        (MemoryMap.FirmwareStart, 0x6_0000),
    ];

    private static readonly (int Start, int Length)[] PortRanges =
        [(0, 0x100), (0x60, 0x18), (0x3F0, 16), (0x2F0, 16), (0x3E0, 16), (0x5F0, 0x20), (0xCF0, 0x10), (0, 0x1_0000)];

    private static readonly (uint Start, uint Length)[] MsrRanges =
    [
        (0, 0x200), (0x10, 1), (0x1B, 1), (0x3B, 1), (0x1D9, 1), (0x200, 0x100), (0x277, 1), (0x6E0, 1), (0x800, 0x100), (0xDA0, 1),
        (0xC000_0080, 8), (0xC000_0100, 4), (0x4B56_4D00, 8), (0, uint.MaxValue),
    ];

    [Test]
    public async Task Random_accesses_to_every_register_of_the_board_do_no_harm([Range(1, 8)] int seed, CancellationToken token)
    {
        await using IVirtualMachine machine = FlatGuest.Build(Access, clock: ClockMode.Virtual, useIst: true);
        WriteDeviceTables(machine);
        FlatGuest.Write(machine, FlatGuest.Data, CreateAccesses(new Random(seed)));
        await machine.StartAsync(token);
        MachineExit exit = await machine.WaitForExitAsync(token);

        // kvm-clock writes wherever it is told to, also into the guest's own tables: then the guest is lost, and it alone.
        Assert.That(exit.Reason, Is.AnyOf(MachineExitReason.DebugExit, MachineExitReason.TripleFault), exit.ToString());
        Assert.That(machine.InstructionsRetired, Is.GreaterThan(1000));
    }

    [Test]
    public async Task Random_bytes_as_code_do_no_harm(
        [Range(1, 10)] int seed, [Values(BootProtocol.Flat64, BootProtocol.Flat32, BootProtocol.Flat16)] BootProtocol mode, CancellationToken token)
    {
        var random = new Random(seed);
        VirtualMachineBuilder builder = FlatGuest.CreateBuilder(CreateCode(random, mode), ClockMode.Virtual, mode);
        builder.Configure(options => options.RandomSeed = (ulong)seed);
        builder.Services.AddSingleton<IMachineDevice>(new TimeLimit(200_000));
        await using IVirtualMachine machine = builder.Build();
        WriteHandlers(machine, mode);
        await machine.StartAsync(token);
        Task<MachineExit> exit = machine.WaitForExitAsync(token);
        await Task.WhenAny(exit, Task.Delay(2000, token));
        await FlatGuest.AssertPrompt(machine.StopAsync(token), "Stopping", token);
        Assert.That((await exit).Exception, Is.Null, (await exit).ToString());
    }

    /// <summary>Does what the list at R15 says; whatever exception or interrupt comes leads to the next entry.</summary>
    private static void Access(Assembler a)
    {
        Label next = a.CreateLabel(), done = a.CreateLabel(), handler = a.CreateLabel();
        FlatGuest.LoadTables(a);
        FlatGuest.PointGates(a, handler);
        a.mov(rax, FlatGuest.EndlessTables);
        a.mov(cr3, rax);
        a.mov(r15, FlatGuest.Data);
        a.mov(r14, FlatGuest.Data + (Accesses * AccessBytes));
        a.Label(ref handler);
        a.mov(rsp, FlatGuest.InterruptStack - 0x100);
        a.Label(ref next);
        a.cmp(r15, r14);
        a.jae(done);
        a.mov(esi, __dword_ptr[r15]);
        a.mov(rdi, __qword_ptr[r15 + 8]);
        a.mov(rax, __qword_ptr[r15 + 16]);
        a.mov(rdx, rax);
        a.shr(rdx, 32);
        a.mov(ecx, edi);
        a.add(r15, AccessBytes);
        a.sti();
        Action[] kinds =
        [
            () => a.mov(al, __[rdi]), () => a.mov(ax, __[rdi]), () => a.mov(eax, __[rdi]), () => a.mov(rax, __[rdi]),
            () => a.mov(__[rdi], al), () => a.mov(__[rdi], ax), () => a.mov(__[rdi], eax), () => a.mov(__[rdi], rax),
            () => In(() => a.@in(al, dx)), () => In(() => a.@in(ax, dx)), () => In(() => a.@in(eax, dx)), () => a.rdmsr(),
            () => In(() => a.@out(dx, al)), () => In(() => a.@out(dx, ax)), () => In(() => a.@out(dx, eax)), () => a.wrmsr(),
            () => a.xadd(__[rdi], rax), () => a.movups(__[rdi], xmm0), () => a.movups(xmm0, __[rdi]), () => a.@lock.inc(__dword_ptr[rdi]),
        ];
        for (int kind = 0; kind < kinds.Length; kind++)
        {
            Label other = a.CreateLabel();
            a.cmp(esi, kind);
            a.jne(other);
            kinds[kind]();
            a.jmp(next);
            a.Label(ref other);
        }

        a.jmp(next);
        a.Label(ref done);
        FlatGuest.Exit(a, Done);

        void In(Action instruction)
        {
            a.mov(edx, ecx);
            instruction();
        }
    }

    private static byte[] CreateAccesses(Random random)
    {
        byte[] list = new byte[Accesses * AccessBytes];
        for (int i = 0; i < Accesses; i++)
        {
            (int kind, ulong address) = CreateAccess(random);
            Span<byte> entry = list.AsSpan(i * AccessBytes, AccessBytes);
            BinaryPrimitives.WriteInt32LittleEndian(entry, kind);
            BinaryPrimitives.WriteUInt64LittleEndian(entry[8..], address);
            BinaryPrimitives.WriteUInt64LittleEndian(entry[16..], CreateValue(random));
        }

        return list;
    }

    private static (int Kind, ulong Address) CreateAccess(Random random)
    {
        while (true)
        {
            int kind = random.Next(20);
            if (kind is 11 or 15)
            {
                (uint msr, uint msrs) = MsrRanges[random.Next(MsrRanges.Length)];
                return (kind, msr + (uint)random.NextInt64(msrs));
            }

            if (kind is not (>= 8 and < 16))
            {
                (ulong start, ulong length) = MemoryRanges[random.Next(MemoryRanges.Length)];
                return (kind, start + (ulong)random.NextInt64((long)length));
            }

            (int first, int count) = PortRanges[random.Next(PortRanges.Length)];
            int port = first + random.Next(count);
            if (kind < 12 || !EndsMachine(port, Sizes[kind - 12]))
            {
                return (kind, (ulong)port);
            }
        }
    }

    /// <summary>Keyboard controller, debug exit, power management control and reset control end the machine, as they should.</summary>
    private static bool EndsMachine(int port, int size)
    {
        foreach (int end in (ReadOnlySpan<int>)[0x64, 0x92, 0xF4, 0x605, 0xCF9])
        {
            if (end >= port && end < port + size)
            {
                return true;
            }
        }

        return false;
    }

    // Small numbers, single bits and extremes hit more than evenly spread ones.
    private static ulong CreateValue(Random random) => random.Next(5) switch
    {
        0 => (ulong)random.Next(256),
        1 => 1UL << random.Next(64),
        2 => ulong.MaxValue << random.Next(64),
        3 => (ulong)random.Next(),
        _ => (ulong)random.NextInt64(long.MinValue, long.MaxValue),
    };

    /// <summary>1 GiB pages for the first 4 GiB and for the PCI window above RAM.</summary>
    private static void WriteDeviceTables(IVirtualMachine machine)
    {
        const ulong rights = 3, large = 0x83, gigabyte = 1UL << 30;
        const ulong low = FlatGuest.EndlessTables + 0x1000, high = FlatGuest.EndlessTables + 0x2000;
        FlatGuest.Write(machine, FlatGuest.EndlessTables, low | rights, 0, high | rights);
        FlatGuest.Write(machine, low, large, gigabyte | large, (2 * gigabyte) | large, (3 * gigabyte) | large);
        FlatGuest.Write(machine, high, MemoryMap.PciWindow64Start | large);
    }

    /// <summary>Random bytes, in which prefixes and system instructions are more frequent than chance has them; outside real mode behind a handler that starts over elsewhere.</summary>
    private static byte[] CreateCode(Random random, BootProtocol mode)
    {
        byte[] code = new byte[mode == BootProtocol.Flat16 ? 0x400 : 0x4_0000];
        random.NextBytes(code);
        ReadOnlySpan<byte> favourites = [0x0F, 0x66, 0xF2, 0xF3, 0x48, 0x0F, 0xF0, 0x89, 0x8B, 0xC7, 0x0F, 0xD9, 0xDD];
        for (int i = 0; i < code.Length; i += random.Next(1, 6))
        {
            code[i] = favourites[random.Next(favourites.Length)];
        }

        if (mode != BootProtocol.Flat16)
        {
            int bitness = mode == BootProtocol.Flat64 ? 64 : 32;
            FlatGuest.Assemble(bitness == 64 ? StartAnywhere : StartAnywhere32, bitness).CopyTo(code, 0);
        }

        return code;
    }

    private static void StartAnywhere(Assembler a)
    {
        AssemblerRegister64[] registers = [rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15];
        FlatGuest.LoadTables(a);
        a.mov(rax, cr4);
        a.or(eax, 0x4_0600);
        a.mov(cr4, rax);
        a.xor(ecx, ecx);
        a.xor(edx, edx);
        a.mov(eax, 3);
        a.xsetbv();
        foreach (AssemblerRegister64 register in registers)
        {
            a.rdrand(register);
            a.and(register, 0xFF_FFFF);
        }

        a.and(rcx, 0x3FF);
        a.mov(rsp, FlatGuest.InterruptStack - 0x100);
        a.push(rax);
        a.and(rax, 0x3_FFFF);
        a.add(rax, (int)FlatGuest.Code);
        a.xchg(__[rsp], rax);
        a.ret();
    }

    private static void StartAnywhere32(Assembler a)
    {
        a.lgdt(__[(int)FlatGuest.GdtPointer]);
        a.lidt(__[(int)FlatGuest.IdtPointer]);
        foreach (AssemblerRegister32 register in (AssemblerRegister32[])[ecx, edx, ebx, ebp, esi, edi, eax])
        {
            a.rdrand(register);
            a.and(register, 0xFF_FFFF);
        }

        a.and(ecx, 0x3FF);
        a.mov(esp, (int)FlatGuest.InterruptStack);
        a.and(eax, 0x3_FFFF);
        a.add(eax, (int)FlatGuest.Code);
        a.jmp(eax);
    }

    private static void WriteHandlers(IVirtualMachine machine, BootProtocol mode)
    {
        switch (mode)
        {
            case BootProtocol.Flat64:
                FlatGuest.WriteTables(machine, FlatGuest.Code, useIst: true);
                break;
            case BootProtocol.Flat32:
                FlatGuest.WriteTables32(machine, 0x0010_8E00_0010_0000);
                break;
            default:
                for (ulong vector = 0; vector < 128; vector++)
                {
                    FlatGuest.Write(machine, vector * 8, 0x07C0_0110_07C0_0000);
                }

                break;
        }
    }

    private sealed class TimeLimit(ulong nanoseconds) : StatelessDevice("limit")
    {
        public override void Attach(IMachineContext machine) => machine.Clock
            .CreateTimer("limit", () => machine.RequestExit(new(MachineExitReason.HostStop, 0, "The time is over.")))
            .Schedule(nanoseconds);
    }
}
