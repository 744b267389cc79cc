using Uml.Core.Bus;
using Uml.Core.Cpu;
using Uml.Core.Cpu.Control;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.System;

[TestFixture(CpuEngine.Interpreter)]
[TestFixture(CpuEngine.Jit)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class PortTests : IDisposable
{
    private readonly BareGuest _machine;
    private readonly Recorder _device = new();
    private readonly IDisposable _mapping;

    public PortTests(CpuEngine engine)
    {
        _machine = new BareGuest(engine).Start64();
        _mapping = _machine.Bus.MapPorts(0x60, 8, _device);
    }

    public void Dispose()
    {
        _mapping.Dispose();
        _machine.Dispose();
    }

    [Test]
    public void IN_and_OUT_reach_the_device_at_each_width()
    {
        _device.Next = 0x11223344;
        int vector = _machine.RunToHalt(a =>
        {
            a.mov(rax, -1L);
            a.@in(al, 0x61);
            a.mov(rbx, rax);
            a.mov(dx, 0x64);
            a.@in(eax, dx);
            a.@out(dx, ax);
            a.@out(0x67, al);
            a.hlt();
        });
        Assert.Multiple(() =>
        {
            Assert.That(vector, Is.EqualTo(-1));
            Assert.That(_machine.State->Gpr[3], Is.EqualTo(0xFFFFFFFFFFFFFF44UL));
            Assert.That(_machine.Rax, Is.EqualTo(0x11223344UL), "a 32-bit IN clears the upper half");
            Assert.That(_device.Log, Is.EqualTo((string[])["r1/1", "r4/4", "w4/2=3344", "w7/1=44"]));
        });
    }

    [Test]
    public void User_mode_needs_IOPL_or_the_bitmap([Values] bool iopl, [Values] bool bitmap)
    {
        ref SegmentRegister tr = ref _machine.State->Segments[(int)SegmentIndex.Tr];
        tr.Limit = 104 + 13;
        _machine.Poke(BareGuest.Tss + 104 + 12, (ushort)(bitmap ? 0xFFFD : 0xFFFF));
        _machine.Load(
            a =>
            {
                a.@in(al, 0x61);
                a.ud2();
            },
            BareGuest.UserCode);
        int vector = _machine.RunToHalt(a => BareGuest.GoToUser(a, flags: iopl ? 0x3202 : 0x202));
        Assert.That(vector, Is.EqualTo(iopl || bitmap ? ExceptionVector.UD : ExceptionVector.GP));
    }

    [Test]
    public void A_port_beyond_the_bitmap_is_refused()
    {
        ref SegmentRegister tr = ref _machine.State->Segments[(int)SegmentIndex.Tr];
        tr.Limit = 104 + 12;
        _machine.Load(a => a.@in(al, 0x61), BareGuest.UserCode);
        Assert.That(_machine.RunToHalt(a => BareGuest.GoToUser(a)), Is.EqualTo(ExceptionVector.GP));
    }

    [Test]
    public void REP_INS_and_OUTS_move_a_buffer()
    {
        _device.Next = 1;
        _device.Step = 1;
        int vector = _machine.RunToHalt(a =>
        {
            a.mov(dx, 0x60);
            a.mov(edi, (int)BareGuest.Data);
            a.mov(ecx, 5);
            a.rep.insw();
            a.mov(esi, (int)BareGuest.Data + 2);
            a.mov(ecx, 2);
            a.rep.outsw();
            a.hlt();
        });
        Assert.Multiple(() =>
        {
            Assert.That(vector, Is.EqualTo(-1));
            Assert.That(_machine.Peek<ulong>(BareGuest.Data), Is.EqualTo(0x0004000300020001UL));
            Assert.That(_machine.State->Gpr[1], Is.Zero);
            Assert.That(_machine.State->Gpr[7], Is.EqualTo(BareGuest.Data + 10));
            Assert.That(_device.Log[5..], Is.EqualTo((string[])["w0/2=2", "w0/2=3"]));
        });
    }

    [Test]
    public void A_fault_in_REP_INS_leaves_counts_of_what_was_done_and_reads_no_port_for_it()
    {
        _machine.Map(0x21000, 0, flags: 0);
        int vector = _machine.RunToHalt(a =>
        {
            a.mov(dx, 0x60);
            a.mov(edi, 0x20FFE);
            a.mov(ecx, 5);
            a.rep.insb();
        });
        Assert.Multiple(() =>
        {
            Assert.That(vector, Is.EqualTo(ExceptionVector.PF));
            Assert.That(_machine.State->Gpr[1], Is.EqualTo(3UL));
            Assert.That(_machine.State->Gpr[7], Is.EqualTo(0x21000UL));
            Assert.That(_machine.State->Cr2, Is.EqualTo(0x21000UL));
            Assert.That(_device.Log, Has.Count.EqualTo(2));
        });
    }

    [Test]
    public void Hints_do_nothing_and_RDRAND_is_reproducible_with_a_seed()
    {
        _machine.Cpu.System.Entropy = new SeededEntropySource(1);
        int vector = _machine.RunToHalt(a =>
        {
            a.endbr64();
            a.pause();
            a.lfence();
            a.prefetcht0(__[rbx]);
            a.prefetchw(__[rbx]);
            a.clflush(__[rsp]);
            a.rdsspq(rcx);
            a.rdrand(rdx);
            a.setb(bl);
            a.hlt();
        });
        Assert.That(vector, Is.EqualTo(-1));
        Assert.That(_machine.State->Gpr[3], Is.EqualTo(1UL));
        Assert.That(_machine.State->Gpr[2], Is.EqualTo(new SeededEntropySource(1).Next()));
    }

    [Test]
    public void A_hypercall_is_answered_with_not_implemented()
    {
        Assert.That(_machine.RunToHalt(a =>
        {
            a.vmcall();
            a.hlt();
        }), Is.EqualTo(-1));
        Assert.That((long)_machine.Rax, Is.EqualTo(-1000));
    }

    private sealed class Recorder : IBusDevice
    {
        public List<string> Log { get; } = [];

        public ulong Next { get; set; }

        public ulong Step { get; set; }

        public ulong Read(IProcessor processor, ulong offset, int size)
        {
            Log.Add($"r{offset}/{size}");
            ulong value = Next;
            Next += Step;
            return value;
        }

        public void Write(IProcessor processor, ulong offset, int size, ulong value) => Log.Add($"w{offset}/{size}={value:x}");
    }
}
