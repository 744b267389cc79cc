using Uml.Core.Bus;
using Uml.Core.Cpu;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Engine;

[TestFixture(CpuEngine.Interpreter)]
[TestFixture(CpuEngine.Jit)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class PagingTests(CpuEngine engine) : IDisposable
{
    private const ulong Accessed = 1 << 5, Dirty = 1 << 6;
    private readonly BareGuest _machine = new BareGuest(engine).Start64(hasHandlers: false);

    public void Dispose() => _machine.Dispose();

    [Test]
    public void Accesses_across_two_pages_touch_both_frames([Values(1, 2, 3, 4, 5, 6, 7)] int before)
    {
        const ulong first = 0x70000, second = 0x72000;
        _machine.Map(0x20000, first);
        _machine.Map(0x21000, second);
        ulong address = 0x21000 - (ulong)before;
        _machine.Load(a =>
        {
            a.mov(rbx, address);
            a.mov(rax, 0x0807060504030201L);
            a.mov(__[rbx], rax);
            a.mov(rcx, __[rbx]);
            a.add(__qword_ptr[rbx], 1);
        });
        _machine.Run(5);
        Assert.Multiple(() =>
        {
            Assert.That(_machine.State->Gpr[1], Is.EqualTo(0x0807060504030201UL));
            Assert.That(_machine.Peek<byte>(first + 0x1000 - (ulong)before), Is.EqualTo(2));
            Assert.That(_machine.Peek<byte>(second), Is.EqualTo((byte)(before + 1)));
            Assert.That(_machine.Peek<byte>(second + 7 - (ulong)before), Is.EqualTo(8));
        });
    }

    [Test]
    public void Reading_sets_accessed_and_writing_sets_dirty()
    {
        _machine.Load(a =>
        {
            a.mov(rbx, BareGuest.Data);
            a.mov(rax, __[rbx]);
            a.mov(__[rbx], rax);
        });
        _machine.Run(1);
        Assert.That(_machine.PageEntry(BareGuest.Data) & (Accessed | Dirty), Is.Zero);
        _machine.Cpu.Run(1);
        Assert.That(_machine.PageEntry(BareGuest.Data) & (Accessed | Dirty), Is.EqualTo(Accessed));
        _machine.Cpu.Run(1);
        Assert.That(_machine.PageEntry(BareGuest.Data) & (Accessed | Dirty), Is.EqualTo(Accessed | Dirty));
    }

    [Test]
    public void A_remapped_page_is_read_at_its_new_place_after_invalidation()
    {
        _machine.Poke(0x70000, 1);
        _machine.Poke(0x71000, 2);
        _machine.Load(a => a.mov(eax, __[BareGuest.Data]));
        foreach (ulong frame in new ulong[] { 0x70000, 0x71000 })
        {
            _machine.Map(BareGuest.Data, frame);
            _machine.Run(1);
            Assert.That(_machine.Rax, Is.EqualTo((frame - 0x70000 >> 12) + 1));
        }
    }

    [Test]
    public void Device_registers_are_reached_through_the_page_tables_with_the_width_of_the_access()
    {
        Recorder device = new();
        using IDisposable mapping = _machine.Bus.MapMemory(new(0xD000_0000), 0x1000, device);
        _machine.Map(BareGuest.Data, 0xD000_0000);
        _machine.Load(a =>
        {
            a.mov(rbx, BareGuest.Data + 0x10);
            a.mov(eax, __[rbx]);
            a.mov(__byte_ptr[rbx + 4], 0x5A);
            a.or(__word_ptr[rbx + 8], 0x1);
        });
        _machine.Run(4);
        Assert.That(
            device.Log,
            Is.EqualTo(new[] { "r 10 4", "w 14 1 5a", "r 18 2", "w 18 2 ffff" }));
    }

    [Test]
    public void A_device_asks_for_the_exact_number_of_retired_instructions()
    {
        Recorder device = new() { Retired = () => _machine.Cpu.InstructionsRetired };
        using IDisposable mapping = _machine.Bus.MapMemory(new(0xD000_0000), 0x1000, device);
        _machine.Map(BareGuest.Data, 0xD000_0000);
        _machine.Load(a =>
        {
            a.mov(rbx, BareGuest.Data);
            a.nop();
            a.mov(eax, __[rbx]);
            a.nop();
            a.mov(eax, __[rbx]);
            a.nop();
        });
        _machine.Run(6);
        Assert.That(device.Counts, Is.EqualTo(new ulong[] { 2, 4 }));
        Assert.That(_machine.Cpu.InstructionsRetired, Is.EqualTo(6UL));
    }

    private sealed class Recorder : IBusDevice
    {
        public List<string> Log { get; } = [];

        public List<ulong> Counts { get; } = [];

        public Func<ulong>? Retired { get; init; }

        public ulong Read(IProcessor processor, ulong offset, int size)
        {
            Log.Add($"r {offset:x} {size}");
            if (Retired is not null)
            {
                Counts.Add(Retired());
            }

            return ulong.MaxValue >> (64 - (size * 8));
        }

        public void Write(IProcessor processor, ulong offset, int size, ulong value) => Log.Add($"w {offset:x} {size} {value:x}");
    }
}
