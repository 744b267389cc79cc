using Microsoft.Extensions.DependencyInjection;
using Uml.Core.Boot;
using Uml.Core.Machine;
using Uml.Core.Sandbox;
using Uml.Devices.Board;
using Uml.Devices.Consoles;
using Uml.Devices.Pci;
using Uml.Devices.Platform;
using Uml.Hosting.Testing;

namespace Uml.Board.Tests;

/// <summary>The board is open: everything here is done with what the libraries publish.</summary>
[TestFixture]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class OpenBoardTests : IDisposable
{
    private const ulong Config = MemoryMap.PciConfigStart + 0x8000, Apic = MemoryMap.LocalApicStart;
    private const byte Vector = 0x51;

    private readonly InMemoryConsoleChannel _second = new();
    private readonly DeviceSandbox _sandbox;

    public OpenBoardTests() => _sandbox = new DeviceSandbox(builder => Compose(builder, _second));

    public void Dispose() => _sandbox.Dispose();

    [Test]
    public void A_guest_finds_the_function_and_its_registers_in_memory_and_ports()
    {
        Assert.That(Read(0), Is.EqualTo(0x0001_1234));
        (ulong memory, ulong ports, _) = Decode();
        Assert.That((memory, ports), Is.EqualTo((0xC000_0000UL, 0xC000UL)));
        _sandbox.WriteMemory(memory, 4, 3);
        Assert.That(_sandbox.ReadPort((ushort)ports, 4), Is.EqualTo(3));
        Write(4, 0);
        Assert.That(_sandbox.ReadMemory(memory, 4), Is.EqualTo(uint.MaxValue));
        Assert.That(_sandbox.ReadPort((ushort)ports, 4), Is.EqualTo(uint.MaxValue));
    }

    [Test]
    public void A_vector_is_delivered_when_it_is_unmasked()
    {
        (ulong memory, _, ulong table) = Decode();
        ulong capability = FindMsix();
        EnableApic();
        Assert.That(Read(capability) >> 16, Is.EqualTo(3), "four vectors, not enabled");
        Write(capability, 0x8000_0000);
        SetVector(table, 2);

        Ring(memory, 2);
        Assert.That(_sandbox.Processors[0].AcknowledgeInterrupt(), Is.EqualTo(-1), "vectors are masked after reset");
        ulong pending = table + (_sandbox.ReadMemory(Config + capability + 8, 4) & ~7UL);
        Assert.That(_sandbox.ReadMemory(pending, 8), Is.EqualTo(1 << 2));

        _sandbox.WriteMemory(table + 0x2C, 4, 0);
        Assert.That(_sandbox.Processors[0].AcknowledgeInterrupt(), Is.EqualTo(Vector));
        Assert.That(_sandbox.ReadMemory(pending, 8), Is.Zero);
        EndInterrupt();

        Write(capability, 0xC000_0000);
        Ring(memory, 2);
        Assert.That(_sandbox.Processors[0].AcknowledgeInterrupt(), Is.EqualTo(-1), "all are masked by the function mask");
        Write(capability, 0x8000_0000);
        Assert.That(_sandbox.Processors[0].AcknowledgeInterrupt(), Is.EqualTo(Vector));
        EndInterrupt();

        Write(capability, 0);
        Ring(memory, 2);
        Write(capability, 0x8000_0000);
        Assert.That(_sandbox.Processors[0].AcknowledgeInterrupt(), Is.EqualTo(-1), "what was not enabled did not happen");
    }

    [Test]
    public void No_message_gets_out_while_the_function_is_no_bus_master()
    {
        (ulong memory, _, ulong table) = Decode();
        EnableApic();
        Write(FindMsix(), 0x8000_0000);
        SetVector(table, 0);
        _sandbox.WriteMemory(table + 12, 4, 0);
        Write(4, 2);
        Ring(memory, 0);
        Assert.That(_sandbox.Processors[0].AcknowledgeInterrupt(), Is.EqualTo(-1));
    }

    [Test]
    public void The_interrupt_pin_is_an_input_of_the_io_apic_and_heeds_the_command_register()
    {
        (ulong memory, _, _) = Decode();
        EnableApic();

        // Input 17, where device 1 has INTA#: level-triggered.
        Assert.That(Read(0x3C) >> 8, Is.EqualTo(1));
        _sandbox.WriteMemory(MemoryMap.IoApicStart, 4, 0x10 + (2 * 17));
        _sandbox.WriteMemory(MemoryMap.IoApicStart + 0x10, 4, 0x8000 | Vector);
        _sandbox.WriteMemory(memory + 8, 4, 1);
        Assert.That(_sandbox.Processors[0].AcknowledgeInterrupt(), Is.EqualTo(Vector));
        Assert.That(Read(4) >> 16 & 8, Is.Not.Zero, "the status register shows it");
        Write(4, 0x407);
        EndInterrupt();
        Assert.That(_sandbox.Processors[0].AcknowledgeInterrupt(), Is.EqualTo(-1));
        Write(4, 7);
        Assert.That(_sandbox.Processors[0].AcknowledgeInterrupt(), Is.EqualTo(Vector));
    }

    [Test]
    public void A_function_that_is_removed_leaves_bus_ports_and_interrupts()
    {
        (ulong memory, ulong ports, _) = Decode();
        _sandbox.WriteMemory(memory + 8, 4, 1);
        Ring(memory, 1);
        IMachineDevice doorbell = _sandbox.Devices.Find("doorbell")!;
        _sandbox.WriteMemory(memory, 4, 1);
        _sandbox.Devices.Detach(doorbell);
        Assert.That(Read(0), Is.EqualTo(uint.MaxValue));
        Assert.That(_sandbox.ReadMemory(memory, 4), Is.EqualTo(uint.MaxValue));
        Assert.That(_sandbox.ReadPort((ushort)ports, 4), Is.EqualTo(uint.MaxValue));
        Assert.That(_sandbox.ArmedTimers, Has.No.Member("doorbell"));

        // Another one takes its place.
        _sandbox.Devices.Attach(new Doorbell(_sandbox.Services.GetRequiredService<IPciBus>(), "other"));
        Assert.That(Decode().Memory, Is.EqualTo(memory));
        Assert.That(_sandbox.ReadMemory(memory + 4, 4), Is.Zero);
    }

    [Test]
    public void The_tables_describe_the_device_of_another_package()
    {
        byte[] firmware = new byte[0x1_0000];
        Assert.That(_sandbox.Memory.TryRead(new(MemoryMap.AcpiRootPointer), firmware), Is.True);
        Assert.That(firmware.AsSpan().IndexOf("THRM"u8), Is.Positive);
        Assert.That(firmware.AsSpan().IndexOf("UML0001"u8), Is.Positive);
        Assert.That(_sandbox.ReadPort(Thermometer.Port, 1), Is.EqualTo(21));

        _sandbox.Devices.Detach(_sandbox.Devices.Find("thermometer")!);
        _sandbox.Reset();
        Assert.That(_sandbox.Memory.TryRead(new(MemoryMap.AcpiRootPointer), firmware), Is.True);
        Assert.That(firmware.AsSpan().IndexOf("UML0001"u8), Is.Negative, "tables are written anew at each reset");
    }

    [Test]
    public async Task A_second_console_has_a_name()
    {
        foreach (byte value in "hello"u8)
        {
            _sandbox.WritePort(PortMap.Serial1, 1, value);
        }

        _sandbox.Advance(1);
        Assert.That(_second.Transcript, Is.EqualTo("hello"));
        await _second.WriteAsync("!"u8.ToArray());
        _sandbox.WritePort(PortMap.Serial1 + 1, 1, 1);
        Assert.That(_sandbox.ReadPort(PortMap.Serial1, 1), Is.EqualTo((byte)'!'));
    }

    [TestCase("doorbell")]
    [TestCase("thermometer")]
    [TestCase("serial1")]
    public void The_contract_of_devices_can_be_tested_by_whoever_writes_one(string id) =>
        new DeviceConformance(builder => Compose(builder.Configure(machine => machine.MemorySize = 2 << 20), new InMemoryConsoleChannel())).Check(id);

    [Test]
    [CancelAfter(60_000)]
    public async Task In_a_machine_that_runs_code_of_a_guest_drives_it(CancellationToken token)
    {
        // In ports, as a guest's first megabyte: decoding on, ring vector 1, wait until it has rung, leave with the count.
        byte[] code =
        [
            0x66, 0xBA, 0xF8, 0x0C, // mov dx, 0xCF8
            0xB8, 0x04, 0x08, 0x00, 0x80, 0xEF, // mov eax, 0x80000804; out dx, eax
            0x66, 0xBA, 0xFC, 0x0C, // mov dx, 0xCFC
            0xB8, 0x07, 0x00, 0x00, 0x00, 0xEF, // mov eax, 7; out dx, eax
            0x66, 0xBA, 0x00, 0xC0, // mov dx, 0xC000
            0xB8, 0x01, 0x00, 0x00, 0x00, 0xEF, // mov eax, 1; out dx, eax
            0x66, 0xBA, 0x04, 0xC0, // mov dx, 0xC004
            0xED, 0x85, 0xC0, 0x74, 0xFB, // wait: in eax, dx; test eax, eax; jz wait
            0xE7, 0xF4, 0xF4, // out 0xF4, eax; hlt
        ];
        VirtualMachineBuilder builder = new VirtualMachineBuilder()
            .Configure(machine => machine.MemorySize = 4 << 20)
            .ConfigureBoot(boot => (boot.Kernel, boot.Protocol) = (BootFile.FromBytes(code), BootProtocol.Flat64));
        Compose(builder, new InMemoryConsoleChannel());
        await using IVirtualMachine machine = builder.Build();
        await machine.StartAsync(token);
        MachineExit exit = await machine.WaitForExitAsync(token);
        Assert.That((exit.Reason, exit.Status), Is.EqualTo((MachineExitReason.DebugExit, 1u)), exit.Message);
    }

    private static void Compose(VirtualMachineBuilder builder, InMemoryConsoleChannel second)
    {
        builder.AddStandardBoard().AddConsole(second, "ttyS1");
        builder.Services.AddSingleton<IMachineDevice>(services => new Doorbell(services.GetRequiredService<IPciBus>()));
        builder.Services.AddSingleton<IMachineDevice>(new Thermometer());
    }

    /// <summary>Lets the function decode memory and ports and be a bus master; the places of its registers.</summary>
    private (ulong Memory, ulong Ports, ulong Table) Decode()
    {
        Write(4, 7);
        return (Read(0x10) & ~0xFUL, Read(0x14) & ~3UL, Read(0x18) & ~0xFUL);
    }

    private ulong FindMsix()
    {
        ulong capability = Read(0x34) & 0xFF;
        while ((Read(capability) & 0xFF) != 0x11)
        {
            capability = Read(capability) >> 8 & 0xFF;
        }

        return capability;
    }

    private void SetVector(ulong table, ulong vector)
    {
        _sandbox.WriteMemory(table + (vector * 16), 8, Apic);
        _sandbox.WriteMemory(table + (vector * 16) + 8, 4, Vector);
    }

    private void Ring(ulong memory, ulong vector)
    {
        _sandbox.WriteMemory(memory, 4, vector);
        _sandbox.Advance(2000);
    }

    private void EnableApic() => _sandbox.WriteMemory(Apic + 0xF0, 4, 0x1FF);

    private void EndInterrupt() => _sandbox.WriteMemory(Apic + 0xB0, 4, 0);

    private ulong Read(ulong register) => _sandbox.ReadMemory(Config + register, 4);

    private void Write(ulong register, uint value) => _sandbox.WriteMemory(Config + register, 4, value);
}
