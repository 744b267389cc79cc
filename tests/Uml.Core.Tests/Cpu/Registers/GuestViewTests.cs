using Iced.Intel;
using Uml.Core.Cpu;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Registers;

/// <summary>What is written from outside is what the guest finds, and the other way round.</summary>
[TestFixture(CpuEngine.Interpreter)]
[TestFixture(CpuEngine.Jit)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class GuestViewTests(CpuEngine engine) : IDisposable
{
    private readonly BareGuest _machine = new BareGuest(engine).Start64();

    private ProcessorRegisters Registers => _machine.Cpu.Registers;

    public void Dispose() => _machine.Dispose();

    public static IEnumerable<TestCaseData> ModelSpecific
    {
        get
        {
            yield return new TestCaseData(0xC0000081U, "Star");
            yield return new TestCaseData(0xC0000082U, "LStar");
            yield return new TestCaseData(0xC0000083U, "CStar");
            yield return new TestCaseData(0xC0000084U, "FMask");
            yield return new TestCaseData(0xC0000102U, "KernelGsBase");
            yield return new TestCaseData(0xC0000103U, "TscAux");
            yield return new TestCaseData(0x174U, "SysenterCs");
            yield return new TestCaseData(0x175U, "SysenterEsp");
            yield return new TestCaseData(0x176U, "SysenterEip");
            yield return new TestCaseData(0x277U, "Pat");
            yield return new TestCaseData(0x3BU, "TscAdjust");
            yield return new TestCaseData(0x17AU, "MachineCheckStatus");
            yield return new TestCaseData(0x1A0U, "MiscEnable");
            yield return new TestCaseData(0x1D9U, "DebugControl");
        }
    }

    [TestCaseSource(nameof(ModelSpecific))]
    public void RDMSR_reads_what_is_written_from_outside(uint number, string name)
    {
        ulong value = ValueOf(name);
        RegisterValues.Property(name).SetValue(Registers, value);
        Assert.That(ReadMsr(number), Is.EqualTo(value));
        Assert.That(Registers.Msr[number], Is.EqualTo(value));
    }

    [TestCaseSource(nameof(ModelSpecific))]
    public void What_WRMSR_writes_is_read_from_outside(uint number, string name)
    {
        ulong value = ValueOf(name);
        WriteMsr(number, value);
        Assert.That(RegisterValues.Property(name).GetValue(Registers), Is.EqualTo(value));
        Assert.That(Registers.Msr[number], Is.EqualTo(value));
    }

    [Test]
    public void Memory_type_ranges_are_the_same_on_both_sides()
    {
        foreach ((uint number, ulong value) in RegisterValues.MemoryTypes)
        {
            Registers.Msr[number] = value;
            Assert.That(ReadMsr(number), Is.EqualTo(value), $"MSR 0x{number:X}");
            ulong other = number is 0x2FF ? 0xC00UL : 0;
            WriteMsr(number, other);
            Assert.That(Registers.Msr[number], Is.EqualTo(other), $"MSR 0x{number:X}");
        }
    }

    [Test]
    public void Bases_of_segments_are_model_specific_registers_too()
    {
        Registers.Msr[0xC0000100] = 0x1234_5678_9000;
        Registers.Msr[0xC0000101] = 0xFFFF_8000_0000_0000;
        Assert.That((Registers.Fs.Base, Registers.Gs.Base), Is.EqualTo((0x1234_5678_9000UL, 0xFFFF_8000_0000_0000UL)));
        Assert.That(ReadMsr(0xC0000100), Is.EqualTo(0x1234_5678_9000));
    }

    [Test]
    public void The_time_stamp_counter_is_guest_time_and_its_adjustment()
    {
        ulong time = Registers.TimeStampCounter;
        Registers.TscAdjust = 5000;
        Assert.That(Registers.TimeStampCounter, Is.EqualTo(time + 5000));
        Registers.TimeStampCounter = 0x1_2345_0000;
        _machine.RunToHalt(a =>
        {
            a.rdtsc();
            a.hlt();
        });
        Assert.That((Registers.Rdx << 32) | Registers.Rax, Is.EqualTo(0x1_2345_0000));
        Assert.That(Registers.TscAdjust, Is.EqualTo(0x1_2345_0000 - time));
    }

    [Test]
    public void SYSCALL_goes_where_the_registers_say()
    {
        Registers.Efer |= 1;
        Registers.Star = (ulong)BareGuest.Code64 << 32;
        Registers.LStar = BareGuest.Handlers + 0x2000;
        Registers.FMask = 0x400;
        _machine.Load(a => a.hlt(), BareGuest.Handlers + 0x2000);
        _machine.RunToHalt(a =>
        {
            a.std();
            a.syscall();
        });
        Assert.That(Registers.Rip, Is.EqualTo(BareGuest.Handlers + 0x2001));
        Assert.That((Registers.Rflags & 0x400, Registers.R11 & 0x400), Is.EqualTo((0UL, 0x400UL)));
    }

    [Test]
    public void Debug_registers_are_the_same_on_both_sides()
    {
        (Registers.Dr0, Registers.Dr1, Registers.Dr2, Registers.Dr3) = (0x11, 0x22, 0x33, 0x44);
        _machine.RunToHalt(a =>
        {
            a.mov(rax, dr0);
            a.mov(rbx, dr1);
            a.mov(rcx, dr2);
            a.mov(rdx, dr3);
            a.mov(rdi, 0x55);
            a.mov(dr2, rdi);
            a.hlt();
        });
        Assert.That((Registers.Rax, Registers.Rbx, Registers.Rcx, Registers.Rdx), Is.EqualTo((0x11UL, 0x22UL, 0x33UL, 0x44UL)));
        Assert.That(Registers[Register.DR2], Is.EqualTo(0x55));
    }

    /// <summary>The code has run, and been translated, without the breakpoint before.</summary>
    [Test]
    public void An_instruction_breakpoint_that_is_set_from_outside_is_hit()
    {
        Action<Assembler> code = static a =>
        {
            a.nop();
            a.inc(ebx);
            a.hlt();
        };
        Assert.That(_machine.RunToHalt(code), Is.EqualTo(-1));
        Registers.Dr3 = BareGuest.Code + 1;
        Registers.Dr7 = 1 << 6;
        Assert.That(_machine.RunToHalt(code), Is.EqualTo(ExceptionVector.DB));
        Assert.That(Registers.Dr6 & 0xF, Is.EqualTo(8));
    }

    [Test]
    public void A_data_breakpoint_that_is_set_from_outside_is_hit_and_can_be_taken_away()
    {
        Action<Assembler> code = static a =>
        {
            a.mov(__qword_ptr[BareGuest.Data], rbx);
            a.hlt();
        };
        Assert.That(_machine.RunToHalt(code), Is.EqualTo(-1));
        Registers.Dr1 = BareGuest.Data;
        Registers.Dr7 = (1 << 2) | (0b1001 << 20);
        Assert.That(_machine.RunToHalt(code), Is.EqualTo(ExceptionVector.DB));
        Registers.Dr7 = 0;
        Assert.That(_machine.RunToHalt(code), Is.EqualTo(-1));
    }

    [Test]
    public void An_interrupt_shadow_holds_off_an_interrupt_for_one_instruction()
    {
        LoadIncrements();
        Registers.InterruptShadow = true;
        Registers.NmiPending = true;
        Assert.That(_machine.RunToHalt(), Is.EqualTo(ExceptionVector.NMI));
        Assert.That((Registers.Rbx, Registers.InterruptShadow), Is.EqualTo((1UL, false)));
        Assert.That((Registers.NmiPending, Registers.NmiBlocked), Is.EqualTo((false, true)));
    }

    [Test]
    public void A_pending_interrupt_comes_first_without_a_shadow()
    {
        LoadIncrements();
        Registers.NmiPending = true;
        Assert.That(_machine.RunToHalt(), Is.EqualTo(ExceptionVector.NMI));
        Assert.That(Registers.Rbx, Is.Zero);
    }

    [Test]
    public void A_pending_interrupt_can_be_taken_back()
    {
        LoadIncrements();
        _machine.Cpu.RaiseNmi();
        Registers.NmiPending = false;
        Assert.That(_machine.RunToHalt(), Is.EqualTo(-1));
    }

    [Test]
    public void A_blocked_interrupt_waits_until_it_is_let_through()
    {
        LoadIncrements();
        Registers.NmiBlocked = true;
        Registers.NmiPending = true;
        Assert.That(_machine.RunToHalt(), Is.EqualTo(-1));
        Assert.That((_machine.Cpu.IsHalted, Registers.NmiPending), Is.EqualTo((true, true)));
        Registers.NmiBlocked = false;
        Assert.That(_machine.Cpu.IsHalted, Is.False, "there is something to wake up for");
        Assert.That(_machine.RunToHalt(), Is.EqualTo(ExceptionVector.NMI));
    }

    [Test]
    public void A_processor_that_is_halted_from_outside_does_not_run()
    {
        LoadIncrements();
        Registers.IsHalted = true;
        Assert.That(_machine.Cpu.Run(10), Is.EqualTo(RunResult.Halted));
        Assert.That(Registers.Rbx, Is.Zero);
        Registers.IsHalted = false;
        _machine.RunToHalt();
        Assert.That((Registers.Rbx, Registers.IsHalted), Is.EqualTo((2UL, true)));
    }

    /// <summary>As behind a MOV SS whose operand has a data breakpoint: a snapshot may be taken there.</summary>
    [Test]
    public void A_breakpoint_that_waits_is_raised_behind_the_next_instruction()
    {
        LoadIncrements();
        Registers.InterruptShadow = true;
        Registers.PendingBreakpoints = 2;
        Assert.That(_machine.RunToHalt(), Is.EqualTo(ExceptionVector.DB));
        Assert.That((Registers.Rbx, Registers.Dr6 & 0xF), Is.EqualTo((1UL, 2UL)));
    }

    private void LoadIncrements()
    {
        _machine.Load(static a =>
        {
            a.inc(rbx);
            a.inc(rbx);
            a.hlt();
        });
        Registers.Rip = BareGuest.Code;
    }

    private static ulong ValueOf(string name) => (ulong)RegisterValues.Properties.Single(property => property.Name == name).Value;

    private ulong ReadMsr(uint number)
    {
        Registers.Rcx = number;
        int vector = _machine.RunToHalt(static a =>
        {
            a.rdmsr();
            a.hlt();
        });
        Assert.That(vector, Is.EqualTo(-1));
        return (Registers.Rdx << 32) | Registers.Rax;
    }

    private void WriteMsr(uint number, ulong value)
    {
        (Registers.Rcx, Registers.Rdx, Registers.Rax) = (number, value >> 32, (uint)value);
        int vector = _machine.RunToHalt(static a =>
        {
            a.wrmsr();
            a.hlt();
        });
        Assert.That(vector, Is.EqualTo(-1));
    }
}
