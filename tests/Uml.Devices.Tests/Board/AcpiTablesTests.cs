using System.Buffers.Binary;
using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using Uml.Core.Machine;
using Uml.Devices.Acpi;
using Uml.Devices.Board;
using Uml.Devices.Consoles;
using Uml.Devices.Pci;
using Uml.Devices.Platform;
using Uml.Devices.Power;
using Uml.Devices.Tests.Fakes;
using Uml.Devices.Timers;

namespace Uml.Devices.Tests.Board;

internal sealed class AcpiTablesTests
{
    private readonly FakeMachine _machine = new(processors: 3);

    [SetUp]
    public void Attach() => _machine.Plug(CreateTables());

    [Test]
    public void A_scan_for_the_root_pointer_finds_it_with_both_checksums_right()
    {
        var pointer = Ram(MemoryMap.AcpiRootPointer, 36);
        Assert.That(Encoding.ASCII.GetString(pointer[..8]), Is.EqualTo("RSD PTR "));
        Assert.That(MemoryMap.AcpiRootPointer % 16, Is.Zero);
        Assert.That(Sum(pointer[..20]), Is.Zero);
        Assert.That(Sum(pointer), Is.Zero);
    }

    [Test]
    public void Every_table_has_its_length_and_checksum_right()
    {
        var tables = ReadTables();
        Assert.That(tables.Keys, Is.EquivalentTo(new[] { "XSDT", "FACP", "FACS", "APIC", "MCFG", "DSDT" }));
        foreach (var (name, table) in tables.Where(table => table.Key != "FACS"))
        {
            Assert.That(Sum(table), Is.Zero, name);
        }
    }

    [Test]
    public void The_fixed_description_has_the_power_management_registers_and_the_reset_register()
    {
        var table = ReadTables()["FACP"];
        Assert.That(table, Has.Length.EqualTo(276));
        Assert.That(BitConverter.ToUInt32(table, 112), Is.EqualTo(0x0000_0475), "and is not hardware-reduced");
        Assert.That(table.AsSpan(116, 13).ToArray(), Is.EqualTo(new byte[] { 1, 8, 0, 1, 0xF9, 0x0C, 0, 0, 0, 0, 0, 0, 6 }));
        Assert.That(BitConverter.ToUInt16(table, 46), Is.EqualTo(9));
        Assert.That(BitConverter.ToUInt32(table, 56), Is.EqualTo(0x600));
        Assert.That(BitConverter.ToUInt32(table, 64), Is.EqualTo(0x604));
        Assert.That(BitConverter.ToUInt32(table, 80), Is.EqualTo(0x608), "general-purpose events");
        Assert.That(table.AsSpan(88, 8).ToArray(), Is.EqualTo(new byte[] { 4, 2, 0, 0, 2, 0, 0, 0 }));
        Assert.That(table.AsSpan(148, 6).ToArray(), Is.EqualTo(new byte[] { 1, 32, 0, 2, 0x00, 0x06 }));
        Assert.That(table.AsSpan(172, 6).ToArray(), Is.EqualTo(new byte[] { 1, 16, 0, 2, 0x04, 0x06 }));
        Assert.That(table.AsSpan(220, 12).ToArray(), Is.EqualTo(new byte[] { 1, 16, 0, 1, 0x08, 0x06, 0, 0, 0, 0, 0, 0 }));
        Assert.That(BitConverter.ToUInt16(table, 109), Is.EqualTo(4), "no VGA, no keyboard controller; clock and messages are there");
    }

    [Test]
    public void The_firmware_control_structure_is_aligned_and_its_lock_is_free()
    {
        uint address = BitConverter.ToUInt32(ReadTables()["FACP"], 36);
        Assert.That(address % 64, Is.Zero);
        byte[] expected = [.. "FACS"u8, 64, .. new byte[27], 2, .. new byte[31]];
        Assert.That(Ram(address, 64).ToArray(), Is.EqualTo(expected));
    }

    [Test]
    public void Every_processor_and_the_interrupt_controllers_are_listed()
    {
        var table = ReadTables()["APIC"];
        Assert.That(table, Has.Length.EqualTo(44 + (3 * 8) + 12 + 10));
        Assert.That(table[40], Is.EqualTo(1), "8259 controllers are there");
        Assert.That(table.AsSpan(80).ToArray(), Is.EqualTo(new byte[] { 2, 10, 0, 9, 9, 0, 0, 0, 0x0D, 0 }), "the system control interrupt is a level");
        Assert.That(table.AsSpan(52, 8).ToArray(), Is.EqualTo(new byte[] { 0, 8, 1, 1, 1, 0, 0, 0 }));
        Assert.That(table.AsSpan(68, 8).ToArray(), Is.EqualTo(new byte[] { 1, 12, 0, 0, 0, 0, 0xC0, 0xFE }));
    }

    [TestCase(17, TestName = "Interrupts_of_pci_are_routed_to_the_io_apic")]
    [TestCase(11, TestName = "Interrupts_of_pci_are_routed_to_the_8259_pair")]
    public void Interrupts_of_pci_are_routed(byte interrupt)
    {
        // A package of four: device 1 with all functions, INTA#, no link device, the interrupt.
        byte[] row = [0x12, 0x0B, 4, 0x0C, 0xFF, 0xFF, 1, 0, 0, 0, 0x0A, interrupt];
        Assert.That(ReadTables()["DSDT"].AsSpan().Count(row), Is.EqualTo(1));
    }

    [Test]
    public void Every_slot_of_pci_is_a_device_that_can_be_ejected()
    {
        byte[] table = ReadTables()["DSDT"];
        for (byte slot = 1; slot < 32; slot++)
        {
            // Device (Snn) { Name (_ADR, slot << 16) Name (_SUN, slot) Method (_EJ0, 1) { Store (_SUN, PEJT) } }
            byte[] number = slot == 1 ? [1] : [0x0A, slot];
            byte[] content =
            [
                .. Encoding.ASCII.GetBytes($"S{slot:X2}_"), 0x08, .. "_ADR"u8, 0x0C, 0, 0, slot, 0, 0x08, .. "_SUN"u8, .. number,
                0x14, 15, .. "_EJ0"u8, 1, 0x70, .. "_SUNPEJT"u8,
            ];
            byte[] device = [0x5B, 0x82, (byte)(content.Length + 1), .. content];
            Assert.That(table.AsSpan().Count(device), Is.EqualTo(1), $"slot {slot}");

            // If (And (Arg0, 1 << slot)) { Notify (Snn, Arg1) }
            byte[] bit = slot switch
            {
                < 8 => [0x0A, (byte)(1 << slot)],
                < 16 => [0x0B, .. BitConverter.GetBytes((ushort)(1 << slot))],
                _ => [0x0C, .. BitConverter.GetBytes(1u << slot)],
            };
            byte[] notifies = [0x7B, 0x68, .. bit, 0x00, 0x86, .. Encoding.ASCII.GetBytes($"S{slot:X2}_"), 0x69];
            byte[] branch = [0xA0, (byte)(notifies.Length + 1), .. notifies];
            Assert.That(table.AsSpan().Count(branch), Is.EqualTo(1), $"slot {slot}");
        }
    }

    [Test]
    public void The_event_of_the_slots_notifies_first_of_those_that_leave_and_then_of_those_that_came()
    {
        byte[] table = ReadTables()["DSDT"];

        // OperationRegion (PREG, SystemIO, 0x610, 12) Field (PREG, DWordAcc) { PARR, 32, PLEA, 32, PEJT, 32 }
        byte[] registers =
        [
            0x5B, 0x80, .. "PREG"u8, 1, 0x0B, 0x10, 0x06, 0x0A, 12, 0x5B, 0x81, 21, .. "PREG"u8, 3, .. "PARR"u8, 32, .. "PLEA"u8, 32, .. "PEJT"u8, 32,
        ];
        Assert.That(table.AsSpan().Count(registers), Is.EqualTo(1));

        // Scope (\_GPE) { Method (_L01) { \_SB.PCI0.PNTF (\_SB.PCI0.PLEA, 3) \_SB.PCI0.PNTF (\_SB.PCI0.PARR, 1) } }
        byte[] bus = [0x5C, 0x2F, 3, .. "_SB_PCI0"u8];
        byte[] method = [.. "_L01"u8, 0, .. bus, .. "PNTF"u8, .. bus, .. "PLEA"u8, 0x0A, 3, .. bus, .. "PNTF"u8, .. bus, .. "PARR"u8, 1];
        int length = method.Length + 2;
        byte[] scope = [.. "\\_GPE"u8, 0x14, (byte)(0x40 | (length & 0xF)), (byte)(length >> 4), .. method];
        Assert.That(table.AsSpan().Count(scope), Is.EqualTo(1));
    }

    [Test]
    public void Processors_above_254_are_listed_by_their_x2apic_id()
    {
        var machine = new FakeMachine(processors: 257);
        machine.Plug(CreateTables());
        var table = ReadTables(machine)["APIC"];
        Assert.That(table, Has.Length.EqualTo(44 + (255 * 8) + (2 * 16) + 12 + 10));
        Assert.That(
            table.AsSpan(44 + (255 * 8), 16).ToArray(),
            Is.EqualTo(new byte[] { 9, 16, 0, 0, 255, 0, 0, 0, 1, 0, 0, 0, 255, 0, 0, 0 }));
    }

    [Test]
    public void A_machine_with_too_little_memory_is_told_so() => Assert.That(
        () => new FakeMachine(memory: 640 << 10).Plug(CreateTables()),
        Throws.InvalidOperationException.With.Message.Contains("1 MiB"));

    [Test]
    public void The_reference_disassembler_and_compiler_accept_every_table_without_a_warning()
    {
        using var directory = new TemporaryDirectory();
        foreach (var (name, table) in ReadTables())
        {
            string file = Path.Combine(directory.Path, name + ".dat");
            File.WriteAllBytes(file, table);
            string report = RunIasl(directory.Path, "-d", file);
            Assert.That(report, Does.Not.Contain("Warning").And.Not.Contain("Error").And.Not.Contain("nvalid"), name);
        }

        string compiled = RunIasl(directory.Path, "-we", Path.Combine(directory.Path, "DSDT.dsl"));
        Assert.That(compiled, Does.Contain("0 Errors, 0 Warnings"));
    }

    [Test]
    public void Package_lengths_are_right_at_every_size_of_their_encoding()
    {
        foreach (int count in (int[])[0, 1, 57, 58, 59, 60, 61, 62, 63, 64, 1000, 4085, 4086, 4087, 4088, 4089, 4090, 4091, 5000])
        {
            var aml = new AmlWriter();
            aml.Scope("\\_SB", scope => scope.NameString("TEXT", new string('x', count)));
            byte[] bytes = aml.ToArray();
            Assert.That(DecodeLength(bytes.AsSpan(1)), Is.EqualTo(bytes.Length - 1), $"{count}");
        }
    }

    private static int DecodeLength(ReadOnlySpan<byte> bytes)
    {
        int extra = bytes[0] >> 6;
        if (extra == 0)
        {
            return bytes[0];
        }

        int length = bytes[0] & 0xF;
        for (int i = 0; i < extra; i++)
        {
            length |= bytes[i + 1] << (4 + (8 * i));
        }

        return length;
    }

    [TestCase("")]
    [TestCase("TOOLONG")]
    [TestCase("low")]
    [TestCase("1ST")]
    [TestCase("A.B")]
    public void A_name_that_the_namespace_cannot_have_is_refused(string name) =>
        Assert.That(() => new AmlWriter().NameInteger(name, 1), Throws.ArgumentException);

    [Test]
    public void What_the_language_cannot_say_is_refused_and_not_cut_off()
    {
        AmlWriter aml = new();
        Assert.Multiple(() =>
        {
            Assert.That(() => aml.NameString("NAME", "grad Käse"), Throws.ArgumentException);
            Assert.That(() => aml.NameString("NAME", "a\0b"), Throws.ArgumentException);
            Assert.That(() => aml.NameIntegers("NAME", new ulong[256]), Throws.ArgumentException);
            Assert.That(() => new AmlWriter().NameIntegers("NAME", new ulong[255]), Throws.Nothing);
            Assert.That(() => aml.MethodChoosing("NAME", "COND", 4, new ulong[6], []), Throws.ArgumentException);
            Assert.That(() => aml.MethodChoosing("NAME", "COND", 0, [], []), Throws.InstanceOf<ArgumentException>());
            Assert.That(() => aml.MethodChoosing("NAME", "COND", 1, new ulong[256], []), Throws.ArgumentException);
            Assert.That(() => new ResourceTemplate().Irq(16), Throws.InstanceOf<ArgumentException>());
            Assert.That(() => new ResourceTemplate().Io(0xFFFF, 2), Throws.ArgumentException);
            Assert.That(() => new ResourceTemplate().Io(0xFFFF, 1), Throws.Nothing);
            Assert.That(() => new ResourceTemplate().Memory32(0xFFFF_F000, 0x2000), Throws.ArgumentException);
            Assert.That(() => new ResourceTemplate().Memory32(0xFFFF_F000, 0x1000), Throws.Nothing);
            Assert.That(() => new ResourceTemplate().PortWindow(0xC000, 0x4001), Throws.ArgumentException);
            Assert.That(() => new ResourceTemplate().MemoryWindow(ulong.MaxValue, 2, isPrefetchable: false), Throws.ArgumentException);
        });
    }

    [Test]
    public void A_name_that_is_defined_in_its_scope_is_refused()
    {
        AmlWriter aml = new();
        aml.Device("COM1", device => device.NameInteger("_UID", 1));
        aml.Device("COM2", device => device.NameInteger("_UID", 2));
        Assert.That(() => aml.Device("COM1", _ => { }), Throws.ArgumentException.With.Message.Contains("'COM1' is defined in this scope already"));
        aml.NameInteger("A", 1);
        Assert.That(() => aml.MethodSetting("A___", "A"), Throws.ArgumentException);
        aml.Scope("\\_SB", _ => { });
        Assert.That(() => aml.Scope("\\_SB", _ => { }), Throws.Nothing, "a scope is opened, not defined");
    }

    [Test]
    public void Two_devices_of_one_name_are_refused_by_the_id_of_the_second() => Assert.That(
        () => new FakeMachine().Plug(new Described("first"), new Described("second"), new AcpiTables()),
        Throws.InvalidOperationException.With.Message.StartsWith("Device 'second' has no valid description in the ACPI tables: 'SAME'"));

    [TestCase("PNP0")]
    [TestCase("pnp0501")]
    [TestCase("PNP05G1")]
    public void An_identifier_that_is_none_is_refused(string id) =>
        Assert.That(() => new AmlWriter().NameEisaId("_HID", id), Throws.ArgumentException);

    private static IMachineDevice[] CreateTables()
    {
        FakeRouter router = new();
        return
        [
            new PciHostBridge(new PowerControl(), new PciSlots(new GeneralPurposeEvents(router)), router), new Mc146818(router),
            .. SerialPort.All.Select(port => new Uart16550(port, new FakeChannel(), router)), new AcpiTables(),
        ];
    }

    private ReadOnlySpan<byte> Ram(ulong address, int length) => _machine.Ram.Bytes.AsSpan((int)address, length);

    private Dictionary<string, byte[]> ReadTables() => ReadTables(_machine);

    private static Dictionary<string, byte[]> ReadTables(FakeMachine machine)
    {
        byte[] ram = machine.Ram.Bytes;
        var tables = new Dictionary<string, byte[]>();
        byte[] root = Read(BinaryPrimitives.ReadUInt64LittleEndian(ram.AsSpan((int)MemoryMap.AcpiRootPointer + 24)));
        for (int entry = 36; entry < root.Length; entry += 8)
        {
            Read(BitConverter.ToUInt64(root, entry));
        }

        Read(BitConverter.ToUInt64(tables["FACP"], 140));
        Read(BitConverter.ToUInt32(tables["FACP"], 36));
        Assert.That(BitConverter.ToUInt32(tables["FACP"], 40), Is.EqualTo(BitConverter.ToUInt64(tables["FACP"], 140)));
        return tables;

        byte[] Read(ulong address)
        {
            Assert.That(address, Is.InRange(MemoryMap.AcpiRootPointer, MemoryMap.AcpiEnd));
            int start = (int)address;
            byte[] table = ram[start..(start + BitConverter.ToInt32(ram, start + 4))];
            tables.Add(Encoding.ASCII.GetString(table, 0, 4), table);
            return table;
        }
    }

    private static byte Sum(ReadOnlySpan<byte> bytes)
    {
        byte sum = 0;
        foreach (byte value in bytes)
        {
            sum += value;
        }

        return sum;
    }

    private static string RunIasl(string directory, params string[] arguments)
    {
        var start = new ProcessStartInfo("iasl", arguments)
        {
            WorkingDirectory = directory,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        try
        {
            using var process = Process.Start(start)!;
            var error = process.StandardError.ReadToEndAsync();
            string output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            string report = output + error.Result;
            Assert.That(process.ExitCode, Is.Zero, report);
            return report;
        }
        catch (Win32Exception)
        {
            Assert.Ignore("iasl (Debian package acpica-tools) is not installed.");
            throw;
        }
    }

    private sealed class Described(string id) : StatelessDevice(id), IAcpiContributor
    {
        public override void Attach(IMachineContext machine)
        {
        }

        public void Describe(AmlWriter scope) => scope.Device("SAME", _ => { });
    }

    private sealed class TemporaryDirectory : IDisposable
    {
        public string Path { get; } = Directory.CreateTempSubdirectory("uml-acpi-").FullName;

        public void Dispose() => Directory.Delete(Path, recursive: true);
    }
}
