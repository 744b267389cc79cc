using Uml.Core.Cpu;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.System;

[TestFixture(CpuEngine.Interpreter)]
[TestFixture(CpuEngine.Jit)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class ControlRegisterTests(CpuEngine engine) : IDisposable
{
    private readonly BareGuest _machine = new BareGuest(engine).Start64();

    public void Dispose() => _machine.Dispose();

    [TestCase(0, 0x80010001UL, true)]
    [TestCase(0, 0x80000000UL, false, Description = "PG without PE")]
    [TestCase(0, 0xA0010001UL, false, Description = "NW without CD")]
    [TestCase(0, 0x180010001UL, false, Description = "bit 32")]
    [TestCase(0, 0x10001UL, false, Description = "paging off in 64-bit mode")]
    [TestCase(3, 0x1000UL, true)]
    [TestCase(3, 0x8000000000001000UL, false, Description = "bit 63 without PCIDE")]
    [TestCase(3, 0x400000001000UL, false, Description = "beyond MAXPHYADDR")]
    [TestCase(4, 0x20UL, true)]
    [TestCase(4, 0x0UL, false, Description = "PAE off in IA-32e mode")]
    [TestCase(4, 0x1020UL, false, Description = "LA57 is not offered")]
    [TestCase(4, 0x2020UL, false, Description = "VMXE is not offered")]
    [TestCase(4, 0x20020UL, true, Description = "PCIDE with PCID 0")]
    [TestCase(4, 0x100000020UL, false, Description = "bit 32")]
    [TestCase(8, 15UL, true)]
    [TestCase(8, 16UL, false)]
    [TestCase(5, 0UL, false, Description = "#UD")]
    public void MOV_to_a_control_register_checks_its_value(int number, ulong value, bool allowed)
    {
        int vector = _machine.RunToHalt(a =>
        {
            a.mov(rax, value);
            a.mov(new Iced.Intel.AssemblerRegisterCR(Iced.Intel.Register.CR0 + number), rax);
            a.hlt();
        });
        Assert.That(vector, Is.EqualTo(allowed ? -1 : number == 5 ? ExceptionVector.UD : ExceptionVector.GP));
    }

    [Test]
    public void PCIDE_needs_PCID_zero_and_CR3_bit_63_reads_as_zero()
    {
        int vector = _machine.RunToHalt(a =>
        {
            a.mov(eax, 0x20020);
            a.mov(cr4, rax);
            a.mov(rax, unchecked((long)0x8000000000001005));
            a.mov(cr3, rax);
            a.mov(rbx, cr3);
            a.hlt();
        });
        Assert.That(vector, Is.EqualTo(-1));
        Assert.That(_machine.State->Gpr[3], Is.EqualTo(0x1005UL));
    }

    [Test]
    public void PCIDE_cannot_be_set_while_another_PCID_is_current()
    {
        int vector = _machine.RunToHalt(a =>
        {
            a.mov(eax, 0x1008);
            a.mov(cr3, rax);
            a.mov(eax, 0x20020);
            a.mov(cr4, rax);
        });
        Assert.That(vector, Is.EqualTo(ExceptionVector.GP));
    }

    [TestCase(3UL, 0UL, 0UL, true)]
    [TestCase(4UL, 0UL, 0UL, false, Description = "no such type")]
    [TestCase(1UL, 0x1000UL, 0UL, false, Description = "reserved bits")]
    [TestCase(1UL, 5UL, 0UL, false, Description = "a PCID while they are off")]
    [TestCase(0UL, 0UL, 1UL << 47, false, Description = "not canonical")]
    [TestCase(0UL, 0UL, 0x20000UL, true)]
    public void INVPCID_checks_its_descriptor(ulong type, ulong pcid, ulong address, bool allowed)
    {
        _machine.Poke(BareGuest.Data, pcid);
        _machine.Poke(BareGuest.Data + 8, address);
        int vector = _machine.RunToHalt(a =>
        {
            a.mov(rax, type);
            a.invpcid(rax, __xmmword_ptr[BareGuest.Data]);
            a.hlt();
        });
        Assert.That(vector, Is.EqualTo(allowed ? -1 : ExceptionVector.GP));
    }

    [TestCase(0xC0000080U, 0xD01UL, true)]
    [TestCase(0xC0000080U, 0xC00UL, false, Description = "LME cannot change while paging is on")]
    [TestCase(0xC0000080U, 0x1D00UL, false, Description = "SVME is not offered")]
    [TestCase(0xC0000082U, 1UL << 47, false, Description = "LSTAR must be canonical")]
    [TestCase(0xC0000100U, 0xFFFF800000000000UL, true)]
    [TestCase(0x277U, 0x0007040600070406UL, true)]
    [TestCase(0x277U, 0x0002040600070406UL, false, Description = "a memory type that is reserved")]
    [TestCase(0x2FFU, 0xC06UL, true)]
    [TestCase(0x2FFU, 0xC02UL, false)]
    [TestCase(0x200U, 0x80000006UL, true)]
    [TestCase(0x12345678U, 0UL, false, Description = "unknown")]
    public void WRMSR_checks_its_value(uint index, ulong value, bool allowed)
    {
        int vector = _machine.RunToHalt(a =>
        {
            a.mov(ecx, index);
            a.mov(eax, (uint)value);
            a.mov(edx, (uint)(value >> 32));
            a.wrmsr();
            a.hlt();
        });
        Assert.That(vector, Is.EqualTo(allowed ? -1 : ExceptionVector.GP));
    }

    [Test]
    public void RDTSC_follows_TSC_ADJUST_and_a_write_of_the_counter_sets_it()
    {
        int vector = _machine.RunToHalt(a =>
        {
            a.mov(ecx, 0x10);
            a.mov(eax, 5000);
            a.xor(edx, edx);
            a.wrmsr();
            a.rdtsc();
            a.mov(ebx, eax);
            a.mov(ecx, 0x3B);
            a.rdmsr();
            a.hlt();
        });
        Assert.That(vector, Is.EqualTo(-1));
        Assert.That(_machine.State->Gpr[3], Is.EqualTo(5000UL));
        Assert.That(_machine.Rax, Is.EqualTo(4000UL));
    }

    [Test]
    public void DR4_is_DR6_until_debugging_extensions_are_on()
    {
        Assert.That(_machine.RunToHalt(a =>
        {
            a.mov(rax, dr4);
            a.hlt();
        }), Is.EqualTo(-1));
        Assert.That(_machine.Rax, Is.EqualTo(0xFFFF0FF0UL));
        _machine.State->Cr4 |= Cr4.DE;
        Assert.That(_machine.RunToHalt(a => a.mov(rax, dr5)), Is.EqualTo(ExceptionVector.UD));
    }

    [Test]
    public void General_detection_traps_access_to_debug_registers_once()
    {
        int vector = _machine.RunToHalt(a =>
        {
            a.mov(eax, 0x2000);
            a.mov(dr7, rax);
            a.mov(rbx, dr0);
            a.hlt();
        });
        Assert.That(vector, Is.EqualTo(ExceptionVector.DB));
        Assert.That(_machine.State->Dr6 & DebugState.BD, Is.Not.Zero);
        Assert.That(_machine.State->Dr7 & DebugState.GD, Is.Zero);
        Assert.That(_machine.Frame(0), Is.EqualTo(BareGuest.Code + 8));
    }

    [Test]
    public void Privileged_instructions_raise_GP_in_user_mode([Values(0, 1, 2, 3, 4, 5, 6, 7, 8)] int which)
    {
        _machine.Load(
            a =>
            {
                switch (which)
                {
                    case 0: a.hlt(); break;
                    case 1: a.mov(rax, cr0); break;
                    case 2: a.mov(rax, dr7); break;
                    case 3: a.rdmsr(); break;
                    case 4: a.lidt(__[BareGuest.Data]); break;
                    case 5: a.ltr(ax); break;
                    case 6: a.invlpg(__byte_ptr[BareGuest.Data]); break;
                    case 7: a.clts(); break;
                    default: a.wbinvd(); break;
                }
            },
            BareGuest.UserCode);
        Assert.That(_machine.RunToHalt(a => BareGuest.GoToUser(a)), Is.EqualTo(ExceptionVector.GP));
        Assert.That(_machine.Frame(0), Is.Zero);
        Assert.That(_machine.Frame(1), Is.EqualTo(BareGuest.UserCode));
    }

    [Test]
    public void UMIP_keeps_SGDT_to_the_kernel([Values] bool prevented)
    {
        _machine.State->Cr4 |= prevented ? Cr4.UMIP : 0;
        _machine.Load(
            a =>
            {
                a.sgdt(__[BareGuest.Data]);
                a.ud2();
            },
            BareGuest.UserCode);
        Assert.That(_machine.RunToHalt(a => BareGuest.GoToUser(a)), Is.EqualTo(prevented ? ExceptionVector.GP : ExceptionVector.UD));
        Assert.That(_machine.Peek<ulong>(BareGuest.Data + 2), Is.EqualTo(prevented ? 0 : BareGuest.Gdt));
    }

    [Test]
    public void CPUID_shows_OSXSAVE_once_CR4_has_it()
    {
        Assert.That(_machine.Cpu.System.QueryCpuid(1, 0).Ecx & (1 << 27), Is.Zero);
        _machine.State->Cr4 |= Cr4.OSXSAVE;
        Assert.That(_machine.Cpu.System.QueryCpuid(1, 0).Ecx & (1 << 27), Is.Not.Zero);
    }

    [Test]
    public void A_leaf_set_by_a_device_replaces_the_model()
    {
        _machine.Cpu.SetCpuid(0x40000000, new(1, 2, 3, 4));
        int vector = _machine.RunToHalt(a =>
        {
            a.mov(eax, 0x40000000);
            a.cpuid();
            a.hlt();
        });
        Assert.That(vector, Is.EqualTo(-1));
        Assert.That(_machine.State->Gpr[3], Is.EqualTo(2UL));
    }

    [Test]
    public void The_paging_modes_are_entered_step_by_step_as_a_trampoline_does()
    {
        using BareGuest machine = new BareGuest(engine).Start32();
        machine.Poke(BareGuest.PageTables, 0x2000 | 3UL);
        machine.Poke(0x2000, 0x3000 | 3UL);
        machine.Poke(0x3000, 0x83UL);
        int vector = machine.RunToHalt(
            a =>
            {
                a.mov(eax, 0x20);
                a.mov(cr4, eax);
                a.mov(ecx, 0xC0000080);
                a.rdmsr();
                a.or(eax, 0x100);
                a.wrmsr();
                a.mov(eax, (int)BareGuest.PageTables);
                a.mov(cr3, eax);
                a.mov(eax, cr0);
                a.or(eax, unchecked((int)0x80000000));
                a.mov(cr0, eax);
                a.rdmsr();
                a.hlt();
            });
        Assert.That(vector, Is.EqualTo(-1));
        Assert.That(machine.Rax & 0x500, Is.EqualTo(0x500UL), "LMA follows LME and PG");
        Assert.That(machine.State->Mode & CpuMode.Long64, Is.EqualTo(CpuMode.None), "CS.L is clear: compatibility mode");
    }
}
