using System.Reflection;
using Uml.Core.Cpu;

namespace Uml.Core.Tests.Cpu.Registers;

[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class RegisterAccessTests : IDisposable
{
    private readonly BareGuest _machine = new(CpuEngine.Interpreter);

    private ProcessorRegisters Registers => _machine.Cpu.Registers;

    public void Dispose() => _machine.Dispose();

    public static IEnumerable<TestCaseData> Properties => RegisterValues.Properties.Select(static property => new TestCaseData(property.Name, property.Value));

    [TestCaseSource(nameof(Properties))]
    public void A_register_holds_what_is_written(string name, object value)
    {
        PropertyInfo property = RegisterValues.Property(name);
        if (name == "Efer")
        {
            // LMA follows from these.
            Registers.Cr0 = 0x8000_0011;
        }
        else if (name == "FpuStatusWord")
        {
            Registers.FpuControlWord = 0x077B;
        }

        Assert.That(property.GetValue(Registers), Is.Not.EqualTo(value));
        property.SetValue(Registers, value);
        Assert.That(property.GetValue(Registers), Is.EqualTo(value));
    }

    [Test]
    public void Memory_type_ranges_hold_what_is_written()
    {
        foreach ((uint number, ulong value) in RegisterValues.MemoryTypes)
        {
            Registers.Msr[number] = value;
            Assert.That(Registers.Msr[number], Is.EqualTo(value), $"MSR 0x{number:X}");
        }
    }

    [TestCase("LStar", 0x8000_0000_0000_0000UL, "not canonical")]
    [TestCase("CStar", 0x0000_8000_0000_0000UL, "not canonical")]
    [TestCase("KernelGsBase", 0x1234_0000_0000_0000UL, "not canonical")]
    [TestCase("SysenterEsp", 0xFFFF_0000_0000_0000UL, "not canonical")]
    [TestCase("SysenterEip", 0xFFFF_0000_0000_0000UL, "not canonical")]
    [TestCase("FMask", 0x1_0000_0000UL, "reserved")]
    [TestCase("TscAux", 0x1_0000_0000UL, "reserved")]
    [TestCase("Efer", 0x2UL, "reserved")]
    [TestCase("DebugControl", 0x4UL, "reserved")]
    [TestCase("MachineCheckStatus", 0x8UL, "reserved")]
    [TestCase("Pat", 0x0007_0406_0007_0402UL, "memory type")]
    [TestCase("Pat", 0x0800_0000_0000_0000UL, "memory type")]
    [TestCase("Cr0", 0x1_0000_0011UL, "reserved")]
    [TestCase("Cr0", 0x8000_0010UL, "exclude each other")]
    [TestCase("Cr0", 0x2000_0011UL, "exclude each other")]
    [TestCase("Cr3", 0x8000_0000_0000_0000UL, "reserved")]
    [TestCase("Cr4", 0x1000UL, "reserved")]
    [TestCase("Xcr0", 0UL, "state component")]
    [TestCase("Xcr0", 5UL, "state component")]
    [TestCase("Xcr0", 0x201UL, "state component")]
    [TestCase("Dr6", 0x1_0000_0000UL, "reserved")]
    [TestCase("Dr7", 0x1_0000_0000UL, "reserved")]
    [TestCase("Mxcsr", 0x1_0000U, "reserved")]
    [TestCase("FpuOpcode", (ushort)0x800, "reserved")]
    [TestCase("PendingBreakpoints", 0x4000U, "reserved")]
    [TestCase("PrivilegeLevel", 4, "0 to 3")]
    [TestCase("PrivilegeLevel", -1, "0 to 3")]
    public void What_a_register_cannot_hold_is_refused(string name, object value, string problem)
    {
        PropertyInfo property = RegisterValues.Property(name);
        object? before = property.GetValue(Registers);
        AssertRefused(() => property.SetValue(Registers, value, BindingFlags.DoNotWrapExceptions, null, null, null), name, problem);
        Assert.That(property.GetValue(Registers), Is.EqualTo(before));
    }

    [Test]
    public void A_refusal_names_the_value_that_was_given()
    {
        RegisterValueException? refusal = Assert.Throws<RegisterValueException>(() => Registers.Cr0 = 0x1_0000_0000);
        Assert.That(refusal!.Value, Is.EqualTo(0x1_0000_0000));
        Assert.That(refusal.Message, Does.StartWith("Cr0 cannot be 0x100000000:"));
    }

    [TestCase(0x2FFU, 0x1006UL, "reserved")]
    [TestCase(0x2FFU, 0x802UL, "memory type")]
    [TestCase(0x250U, 0x0600_0000_0000_0003UL, "memory type")]
    [TestCase(0x200U, 0x106UL, "reserved")]
    [TestCase(0x202U, 0x7UL, "memory type")]
    [TestCase(0x201U, 0x400UL, "reserved")]
    [TestCase(0x201U, 0x8000_0000_0000_0000UL, "reserved")]
    [TestCase(0xFEU, 0UL, "read-only")]
    [TestCase(0xC0000100U, 0x8000_0000_0000_0000UL, "not canonical")]
    public void What_a_numbered_register_cannot_hold_is_refused(uint number, ulong value, string problem) =>
        AssertRefused(() => Registers.Msr[number] = value, $"MSR 0x{number:X}", problem);

    [TestCase(0x6E0U)]
    [TestCase(0x1BU)]
    [TestCase(0x277U + 0x1000)]
    public void Registers_of_devices_and_of_nobody_are_refused(uint number)
    {
        Assert.That(() => Registers.Msr[number], Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains($"0x{number:X}"));
        Assert.That(() => Registers.Msr[number] = 0, Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void Segments_have_bases_of_their_width_and_no_reserved_attributes()
    {
        const ulong wide = 0x1_0000_0000, beyond = 0x8000_0000_0000;
        foreach (string name in new[] { "Es", "Cs", "Ss", "Ds", "Fs", "Gs", "Ldtr", "Tr" })
        {
            bool isWide = name is "Fs" or "Gs" or "Ldtr" or "Tr";
            AssertRefused(() => Set(name, new SegmentState(8, isWide ? beyond : wide, 0, 0x93)), name, isWide ? "not canonical" : "reserved");
            AssertRefused(() => Set(name, new SegmentState(8, 0, 0, 0x193)), name, "reserved");
        }

        Set("Fs", new SegmentState(8, wide, 0, 0x93));
        AssertRefused(() => Registers.Gdtr = new DescriptorTable(beyond, 0), "Gdtr", "not canonical");
        AssertRefused(() => Registers.Idtr = new DescriptorTable(beyond, 0), "Idtr", "not canonical");
    }

    [Test]
    public void Fixed_bits_keep_their_values()
    {
        Registers.Dr6 = 0;
        Registers.Dr7 = 0xFFFF_FFFF;
        Registers.Cr0 = 0xFFC1 | 1;
        Registers.MiscEnable = ulong.MaxValue;
        Registers.FpuControlWord = 0xFFFF;
        Assert.That((Registers.Dr6, Registers.Dr7), Is.EqualTo((0xFFFF_0FF0UL, 0xFFFF_27FFUL)));
        Assert.That((Registers.Cr0, Registers.MiscEnable, Registers.FpuControlWord), Is.EqualTo((0x11UL, 0x1801UL, (ushort)0x1F7F)));
    }

    [Test]
    public void The_error_summary_follows_from_exceptions_and_masks()
    {
        Registers.FpuStatusWord = 0x8081;
        Assert.That(Registers.FpuStatusWord, Is.EqualTo(1), "invalid operation is masked");
        Registers.FpuControlWord = 0x037E;
        Assert.That(Registers.FpuStatusWord, Is.EqualTo(0x8081));
    }

    [Test]
    public void The_privilege_level_follows_the_stack_segment()
    {
        Registers.Ss = new SegmentState(0x2B, 0, uint.MaxValue, 0xC0F3);
        Assert.That(Registers.PrivilegeLevel, Is.EqualTo(3));
    }

    private void Set(string name, SegmentState value) =>
        RegisterValues.Property(name).SetValue(Registers, value, BindingFlags.DoNotWrapExceptions, null, null, null);

    private static void AssertRefused(Action write, string name, string problem)
    {
        RegisterValueException refusal = Assert.Throws<RegisterValueException>(() => write())!;
        Assert.That(refusal.Register, Is.EqualTo(name));
        Assert.That(refusal.Message, Does.StartWith($"{name} cannot be 0x{refusal.Value:X}: ").And.Contains(problem));
    }
}
