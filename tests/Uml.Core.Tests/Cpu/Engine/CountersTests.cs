using Iced.Intel;
using Uml.Core.Bus;
using Uml.Core.Cpu;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Engine;

/// <summary>What a processor counts about its own work.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class CountersTests : IDisposable
{
    private readonly BareGuest _machine = new BareGuest().Start64(hasHandlers: false);

    private CpuStatistics Statistics => _machine.Cpu.GetStatistics();

    public void Dispose() => _machine.Dispose();

    [Test]
    public void Instructions_and_blocks_are_counted_and_direct_jumps_linked_once()
    {
        _machine.Load(a =>
        {
            Label loop = a.CreateLabel();
            a.mov(ecx, 10);
            a.Label(ref loop);
            a.dec(ecx);
            a.jne(loop);
        });
        _machine.Run(21);
        Assert.Multiple(() =>
        {
            Assert.That(Statistics.InstructionsRetired, Is.EqualTo(21));
            Assert.That(Statistics.BlocksDecoded, Is.EqualTo(3), "the whole program, the loop's body, and what is behind");
            Assert.That(Statistics.ChainHits, Is.EqualTo(3), "into the loop's body, from its end to its start, and on");
            Assert.That(Statistics.BlocksInvalidated, Is.Zero);
            Assert.That(Statistics.CodeCacheFlushes, Is.Zero);
        });
    }

    [Test]
    public void A_page_is_walked_for_once()
    {
        _machine.Load(a =>
        {
            for (int i = 0; i < 8; i++)
            {
                a.mov(rax, __qword_ptr[BareGuest.Data + ((ulong)i * 8)]);
            }
        });
        _machine.Run(8);
        Assert.That(Statistics.TlbMisses, Is.EqualTo(2), "code and data");
        Assert.That(Statistics.PageCrossings, Is.Zero);
    }

    [Test]
    public void Accesses_over_a_page_end_are_counted()
    {
        _machine.Load(a =>
        {
            a.mov(rax, __qword_ptr[BareGuest.Data + 0xFFC]);
            a.mov(__qword_ptr[BareGuest.Data + 0xFFF], rax);
            a.mov(rax, __qword_ptr[BareGuest.Data + 0xFF8]);
        });
        _machine.Run(3);
        Assert.That(Statistics.PageCrossings, Is.EqualTo(2));
    }

    [Test]
    public void Device_memory_and_ports_are_counted_by_access()
    {
        _machine.Bus.MapPorts(0x80, 1, new Ignorant());
        _machine.Map(0x50000, 0xE000_0000);
        _machine.Load(a =>
        {
            a.mov(eax, __dword_ptr[0x50000]);
            a.mov(__dword_ptr[0x50004], eax);
            a.@in(al, 0x80);
            a.@out(0x80, al);
        });
        _machine.Run(4);
        Assert.That(Statistics.DeviceAccesses, Is.EqualTo(4));
    }

    [Test]
    public void Writes_to_pages_of_code_are_counted_whether_or_not_they_hit_it()
    {
        _machine.Load(a =>
        {
            a.mov(__byte_ptr[BareGuest.Code + 0x800], 1);
            a.mov(__byte_ptr[BareGuest.Code], 0x90);
        });
        _machine.Run(2);
        Assert.Multiple(() =>
        {
            Assert.That(Statistics.CodePageWrites, Is.EqualTo(2));
            Assert.That(Statistics.BlocksInvalidated, Is.EqualTo(1));
        });
    }

    [Test]
    public void A_full_cache_is_flushed()
    {
        using BareGuest small = new BareGuest(codeCacheSize: 64 << 10).Start64(hasHandlers: false);
        small.Load(a =>
        {
            for (int i = 0; i < 2000; i++)
            {
                Label next = a.CreateLabel();
                a.jmp(next);
                a.Label(ref next);
            }

            a.nop();
        });
        small.Run(2000);
        CpuStatistics statistics = small.Cpu.GetStatistics();
        Assert.That(statistics.CodeCacheFlushes, Is.EqualTo(small.Cpu.Blocks.Epoch).And.Positive);
        Assert.That(statistics.BlocksDecoded, Is.GreaterThanOrEqualTo(2000));
    }

    [Test]
    public void Nothing_is_translated_by_an_interpreter()
    {
        _machine.Load(a => a.inc(rax));
        _machine.Run(1);
        Assert.That(
            (Statistics.BlocksTranslated, Statistics.BytesEmitted, Statistics.HandlerCalls, Statistics.TranslationTime),
            Is.EqualTo((0UL, 0UL, 0UL, TimeSpan.Zero)));
    }

    [Test]
    public void Translation_ticks_are_those_of_the_stopwatch()
    {
        _machine.State->Engine->Counters.TranslationTicks = (ulong)global::System.Diagnostics.Stopwatch.Frequency * 3;
        Assert.That(Statistics.TranslationTime, Is.EqualTo(TimeSpan.FromSeconds(3)));
    }

    [Test]
    public void After_disposal_there_is_nothing_to_count()
    {
        _machine.Dispose();
        Assert.That(() => Statistics, Throws.InstanceOf<ObjectDisposedException>());
    }

    private sealed class Ignorant : IBusDevice
    {
        public ulong Read(IProcessor processor, ulong offset, int size) => 0;

        public void Write(IProcessor processor, ulong offset, int size, ulong value)
        {
        }
    }
}
