using Iced.Intel;
using Uml.Core.Boot;
using Uml.Core.Machine;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Hosting.Tests.Robustness;

/// <summary>Guests that go where nothing is, or keep their tables there: they end with a reason, and nothing else happens.</summary>
[CancelAfter(60_000)]
public sealed class LostGuestTests
{
    private const ulong Apic = 0xFEE0_0000, IoApic = 0xFEC0_0000, PciConfig = 0xE000_0000, PciWindow = 0xC000_0000;

    [Test]
    public async Task A_jump_to_nowhere_without_handlers_is_a_triple_fault(
        [Values(
            FlatGuest.MemorySize, FlatGuest.MemorySize - 1, 0x8000_0000UL, PciWindow, PciConfig, Apic, Apic + 0xFFF, IoApic, 0xFFFF_FFFFUL,
            0x1_0000_0000UL, 0x7FFF_FFFF_FFFFUL, 0x8000_0000_0000UL, ulong.MaxValue)] ulong target,
        CancellationToken token)
    {
        MachineExit exit = await RunAsync(a =>
        {
            a.mov(rax, target);
            a.jmp(rax);
        }, token);
        Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.TripleFault));
        Assert.That(exit.Message, Does.Contain("triple-faulted at RIP 0x"));
        Assert.That(exit.Exception, Is.Null);
    }

    [Test]
    public async Task A_jump_to_nowhere_reaches_the_handler([Values(0x8000_0000UL, Apic, 0x1_0000_0000UL, 0x8000_0000_0000UL)] ulong target, CancellationToken token)
    {
        MachineExit exit = await RunAsync(a =>
        {
            Label handler = a.CreateLabel();
            FlatGuest.LoadTables(a);
            FlatGuest.PointGates(a, handler);
            a.mov(rax, target);
            a.jmp(rax);
            a.Label(ref handler);
            FlatGuest.Exit(a, 77);
        }, token);
        Assert.That((exit.Reason, exit.Status), Is.EqualTo((MachineExitReason.DebugExit, 77)));
    }

    [Test]
    public async Task Running_off_the_end_of_memory_is_a_triple_fault(CancellationToken token)
    {
        MachineExit exit = await RunAsync(a =>
        {
            a.mov(rdi, FlatGuest.MemorySize - 64);
            a.mov(eax, 0x90);
            a.mov(ecx, 64);
            a.mov(rbx, rdi);
            a.rep.stosb();
            a.jmp(rbx);
        }, token);
        Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.TripleFault));
    }

    [Test]
    public async Task An_empty_interrupt_table_is_a_triple_fault(CancellationToken token)
    {
        MachineExit exit = await RunAsync(a => a.ud2(), token);
        Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.TripleFault));
    }

    [Test]
    public async Task A_halt_with_interrupts_off_ends_the_machine(CancellationToken token)
    {
        MachineExit exit = await RunAsync(a => a.hlt(), token);
        Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.Halted));
        Assert.That(exit.Message, Does.Contain("interrupts off"));
    }

    [Test]
    public async Task Tables_in_device_memory_or_nowhere_do_no_harm(
        [Values(Apic, IoApic, PciConfig, PciWindow, 0x8000_0000UL, FlatGuest.MemorySize - 8, 0x8000_0000_0000UL, ulong.MaxValue - 7)] ulong address,
        [Values("gdt", "idt", "tss", "stack", "cr3")] string table,
        CancellationToken token)
    {
        await using IVirtualMachine machine = FlatGuest.Build(a => UseTable(a, table, address), FlatGuest.Code, useIst: true);
        FlatGuest.WriteTables(
            machine,
            FlatGuest.Code,
            useIst: true,
            gdt: table == "gdt" ? address : null,
            idt: table == "idt" ? address : null,
            tss: table == "tss" ? address : null);
        await machine.StartAsync(token);
        MachineExit exit = await WaitOrStopAsync(machine, token);
        Assert.That(exit.Exception, Is.Null, exit.Message);
    }

    [Test]
    public async Task Page_tables_that_point_anywhere_do_no_harm(
        [Values(FlatGuest.EndlessTables, Apic, IoApic, 0x8000_0000UL, FlatGuest.MemorySize - 4096, 0x3FFF_FFFF_F000UL)] ulong target,
        [Values(1UL, 3UL, 7UL, 0x87UL, 0x8000_0000_0000_0007UL)] ulong rights,
        CancellationToken token)
    {
        await using IVirtualMachine machine = FlatGuest.Build(
            a =>
            {
                Label again = a.CreateLabel();
                a.mov(rax, FlatGuest.EndlessTables);
                a.mov(cr3, rax);
                a.mov(rbx, 0x1234_5678_9000);
                a.Label(ref again);
                a.add(__qword_ptr[rbx], rax);
                a.mov(__[rbx + 0xFFC], rbx);
                a.invlpg(__[rbx]);
                a.rol(rbx, 5);
                a.shl(rbx, 16);
                a.sar(rbx, 16);
                a.jmp(again);
            });
        Span<ulong> entries = stackalloc ulong[512];
        entries.Fill(target | rights);
        FlatGuest.Write(machine, FlatGuest.EndlessTables, entries);
        await machine.StartAsync(token);
        MachineExit exit = await WaitOrStopAsync(machine, token);
        Assert.That(exit.Reason, Is.AnyOf(MachineExitReason.TripleFault, MachineExitReason.HostStop), exit.Message);
    }

    [Test]
    public async Task Alignment_checks_that_fault_on_their_own_frames_end(CancellationToken token)
    {
        await using IVirtualMachine machine = FlatGuest.CreateBuilder(AlignmentChecks, protocol: BootProtocol.Flat32).Build();

        // A 32-bit interrupt gate of privilege 3 that leads to code of privilege 3.
        FlatGuest.WriteTables32(machine, 0x0040_EE00_001B_0000);
        await machine.StartAsync(token);
        MachineExit exit = await machine.WaitForExitAsync(token).WaitAsync(FlatGuest.Patience, token);
        Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.TripleFault));
    }

    /// <summary>
    /// At CPL 3 with a misaligned stack, EFLAGS.AC and CR0.AM, and a gate to a handler at CPL 3: delivering #AC raises #AC, without
    /// end on real processors too (the class of CVE-2015-5307).
    /// </summary>
    private static void AlignmentChecks(Assembler a)
    {
        Label setup = a.CreateLabel(), user = a.CreateLabel();
        a.mov(eax, cs);
        a.test(al, 3);
        a.jz(setup);
        a.Label(ref user);
        a.mov(eax, __dword_ptr[0x40_0001]);
        a.jmp(user);
        a.Label(ref setup);
        a.lgdt(__[(int)FlatGuest.GdtPointer]);
        a.lidt(__[(int)FlatGuest.IdtPointer]);
        a.mov(eax, cr0);
        a.or(eax, 1 << 18);
        a.mov(cr0, eax);
        a.mov(eax, 0x23);
        a.mov(ds, ax);
        a.mov(es, ax);
        a.push(0x23);
        a.push(0x40_8002);
        a.push(0x4_0002);
        a.push(0x1B);
        a.push((int)FlatGuest.Code);
        a.iretd();
    }

    private static void UseTable(Assembler a, string table, ulong address)
    {
        Label again = a.CreateLabel();
        if (table == "stack")
        {
            a.mov(rsp, address);
        }
        else if (table == "cr3")
        {
            a.mov(rax, address);
            a.mov(cr3, rax);
        }

        FlatGuest.LoadTables(a);
        a.Label(ref again);
        a.push(rax);
        a.mov(rax, address);
        a.mov(ax, 0x18);
        a.mov(ds, ax);
        a.mov(es, ax);
        a.pop(rbx);
        a.sub(rsp, 4096);
        a.ud2();
        a.jmp(again);
    }

    private static async Task<MachineExit> RunAsync(Action<Assembler> write, CancellationToken token)
    {
        await using IVirtualMachine machine = FlatGuest.Build(write);
        await machine.StartAsync(token);
        return await machine.WaitForExitAsync(token);
    }

    /// <summary>Gives the guest a moment to end by itself, which it need not.</summary>
    private static async Task<MachineExit> WaitOrStopAsync(IVirtualMachine machine, CancellationToken token)
    {
        Task<MachineExit> exit = machine.WaitForExitAsync(token);
        await Task.WhenAny(exit, Task.Delay(25, token));
        await FlatGuest.AssertPrompt(machine.StopAsync(token), "Stopping", token);
        return await exit;
    }
}
