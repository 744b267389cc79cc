using System.Buffers.Binary;
using System.Diagnostics;
using Iced.Intel;
using Uml.Core.Boot;
using Uml.Core.Machine;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Hosting.Tests.Robustness;

/// <summary>Machines with the standard board that run a few assembled instructions, and the tables such instructions ask for.</summary>
internal static class FlatGuest
{
    /// <summary>Where code is loaded and entered.</summary>
    public const ulong Code = 0x10_0000;

    /// <summary>An IDT in which all vectors lead to one place, and what LIDT wants for it.</summary>
    public const ulong Idt = 0x20_0000;
    public const ulong IdtPointer = 0x20_2000;

    /// <summary>A GDT with code, data and TSS, and what LGDT wants for it.</summary>
    public const ulong Gdt = 0x20_3000;
    public const ulong GdtPointer = 0x20_4000;
    public const ulong TaskState = 0x20_5000;
    public const ushort TaskSelector = 0x20;

    /// <summary>The stack that IST1 names.</summary>
    public const ulong InterruptStack = 0x20_A000;

    /// <summary>Page tables in which every page of both halves leads to one 2 MiB page of RAM.</summary>
    public const ulong EndlessTables = 0x21_0000;

    /// <summary>Free memory.</summary>
    public const ulong Data = 0x40_0000;

    public const ulong MemorySize = 16UL << 20;
    public const int DebugExit = 0xF4;

    /// <summary>How long life-cycle calls may take: a second by promise, more on a host that does other things as well.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    public static VirtualMachineBuilder CreateBuilder(
        Action<Assembler> write, ClockMode clock = ClockMode.Real, BootProtocol protocol = BootProtocol.Flat64)
    {
        byte[] code = Assemble(write, protocol switch { BootProtocol.Flat64 => 64, BootProtocol.Flat32 => 32, _ => 16 });
        return CreateBuilder(code, clock, protocol);
    }

    public static VirtualMachineBuilder CreateBuilder(byte[] code, ClockMode clock = ClockMode.Real, BootProtocol protocol = BootProtocol.Flat64) =>
        UmlMachine.CreateDefaultBuilder()
            .Configure(options => (options.MemorySize, options.ClockMode) = (MemorySize, clock))
            .UseKernel(BootFile.FromBytes(code, "flat guest"))
            .ConfigureBoot(boot => (boot.Protocol, boot.FlatAddress) = (protocol, protocol == BootProtocol.Flat16 ? 0x7C00 : Code));

    /// <summary>A machine whose tables lead each interrupt and exception to a handler, on IST1 when asked for.</summary>
    public static IVirtualMachine Build(
        Action<Assembler> write, ulong? handler = null, ClockMode clock = ClockMode.Real, BootProtocol protocol = BootProtocol.Flat64, bool useIst = false)
    {
        IVirtualMachine machine = CreateBuilder(write, clock, protocol).Build();
        WriteTables(machine, handler ?? 0, useIst);
        return machine;
    }

    public static byte[] Assemble(Action<Assembler> write, int bitness = 64, ulong address = Code)
    {
        var assembler = new Assembler(bitness);
        write(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), address);
        return stream.ToArray();
    }

    /// <summary>Ends the machine with a status.</summary>
    public static void Exit(Assembler a, int status)
    {
        a.mov(eax, status);
        a.@out(DebugExit, eax);
        a.hlt();
    }

    public static void LoadTables(Assembler a)
    {
        a.lgdt(__[(long)GdtPointer]);
        a.lidt(__[(long)IdtPointer]);
        a.mov(ax, TaskSelector);
        a.ltr(ax);
    }

    /// <summary>Makes all gates lead to a place in the code.</summary>
    public static void PointGates(Assembler a, Label handler)
    {
        Label again = a.CreateLabel();
        a.lea(rax, __[handler]);
        a.mov(rdx, rax);
        a.shr(rdx, 16);
        a.mov(edi, (uint)Idt);
        a.mov(ecx, 256);
        a.Label(ref again);
        a.mov(__word_ptr[rdi], ax);
        a.mov(__word_ptr[rdi + 6], dx);
        a.add(rdi, 16);
        a.dec(ecx);
        a.jnz(again);
    }

    public static void WriteTables(IVirtualMachine machine, ulong handler, bool useIst = false, ulong? gdt = null, ulong? idt = null, ulong? tss = null)
    {
        byte[] gates = new byte[4096];
        for (int vector = 0; vector < 256; vector++)
        {
            // A present 64-bit interrupt gate (Intel SDM vol. 3, 6.14.1) to the boot protocol's code segment.
            ulong low = (handler & 0xFFFF) | (0x10UL << 16) | (useIst ? 1UL << 32 : 0) | (0x8EUL << 40) | ((handler >> 16 & 0xFFFF) << 48);
            BinaryPrimitives.WriteUInt64LittleEndian(gates.AsSpan(vector * 16), low);
            BinaryPrimitives.WriteUInt64LittleEndian(gates.AsSpan((vector * 16) + 8), handler >> 32);
        }

        Write(machine, Idt, gates);
        WritePointer(machine, IdtPointer, idt ?? Idt, 0xFFF);
        WritePointer(machine, GdtPointer, gdt ?? Gdt, 0x2F);
        ulong task = tss ?? TaskState;
        Write(machine, Gdt, 0, 0, 0x00AF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF, GetTaskDescriptor(task), task >> 32);
        Write(machine, TaskState + 36, InterruptStack);
    }

    /// <summary>Page tables that lead everywhere to the same 2 MiB, except for the first 4 MiB: addresses do not run out.</summary>
    public static void WriteEndlessTables(IVirtualMachine machine)
    {
        const ulong rights = 7, large = 0x80;
        const ulong lowPointers = EndlessTables + 0x1000, pointers = EndlessTables + 0x2000;
        const ulong lowDirectory = EndlessTables + 0x3000, directory = EndlessTables + 0x4000;
        Span<ulong> table = stackalloc ulong[512];
        table.Fill(pointers | rights);
        table[0] = lowPointers | rights;
        Write(machine, EndlessTables, table);
        table.Fill(directory | rights);
        Write(machine, pointers, table);
        table[0] = lowDirectory | rights;
        Write(machine, lowPointers, table);
        table.Fill(0x80_0000 | rights | large);
        Write(machine, directory, table);
        (table[0], table[1]) = (rights | large, 0x20_0000 | rights | large);
        Write(machine, lowDirectory, table);
    }

    /// <summary>32-bit tables: flat segments of both privileges, and one gate for every exception.</summary>
    public static void WriteTables32(IVirtualMachine machine, ulong gate)
    {
        Write(machine, Gdt, 0, 0, 0x00CF_9B00_0000_FFFF, 0x00CF_FB00_0000_FFFF, 0x00CF_F300_0000_FFFF);
        WritePointer(machine, GdtPointer, Gdt, 0x27);
        for (ulong vector = 0; vector < 32; vector++)
        {
            Write(machine, Idt + (vector * 8), gate);
        }

        WritePointer(machine, IdtPointer, Idt, 0xFF);
    }

    public static void Write(IVirtualMachine machine, ulong address, params ReadOnlySpan<ulong> values) =>
        Write(machine, address, System.Runtime.InteropServices.MemoryMarshal.AsBytes(values));

    public static void Write(IVirtualMachine machine, ulong address, ReadOnlySpan<byte> bytes) =>
        Assert.That(machine.Memory.TryWrite(new(address), bytes), Is.True);

    /// <summary>Fails unless the call completes within a generous second.</summary>
    public static async Task AssertPrompt(Task call, string what, CancellationToken token)
    {
        var watch = Stopwatch.StartNew();
        try
        {
            await call.WaitAsync(Patience, token);
        }
        catch (TimeoutException)
        {
            Assert.Fail($"{what} took longer than {watch.Elapsed.TotalSeconds:0.0} s.");
        }
    }

    private static void WritePointer(IVirtualMachine machine, ulong address, ulong table, ushort limit)
    {
        Span<byte> pointer = stackalloc byte[10];
        BinaryPrimitives.WriteUInt16LittleEndian(pointer, limit);
        BinaryPrimitives.WriteUInt64LittleEndian(pointer[2..], table);
        Write(machine, address, pointer);
    }

    /// <summary>An available 64-bit TSS (Intel SDM vol. 3, 8.2.3).</summary>
    private static ulong GetTaskDescriptor(ulong address) =>
        0x67 | ((address & 0xFF_FFFF) << 16) | (0x89UL << 40) | ((address >> 24 & 0xFF) << 56);
}
