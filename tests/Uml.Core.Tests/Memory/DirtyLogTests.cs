using System.Buffers;
using Iced.Intel;
using Uml.Core.Bus;
using Uml.Core.Cpu;
using Uml.Core.Memory;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Memory;

/// <summary>The log has the pages that changed, and no others.</summary>
[TestFixture(CpuEngine.Interpreter)]
[TestFixture(CpuEngine.Jit)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class DirtyLogTests : WatchedWrites
{
    private const ulong First = 0x8_0000, Pages = 256, AddressList = BareGuest.Data;

    private readonly DirtyLog _log;

    public DirtyLogTests(CpuEngine engine)
        : base(engine) => _log = new DirtyLog(Ram);

    public override void Dispose()
    {
        _log.Dispose();
        base.Dispose();
    }

    [Test]
    public void A_guest_that_stores_at_random_is_logged_exactly()
    {
        var random = new Random(1);
        LoadStores();
        byte[] before = Guest.ReadMemory();
        _log.Collect();
        for (int round = 0; round < 60; round++)
        {
            for (ulong i = 0; i < 64; i++)
            {
                // Few pages in some rounds, all in others; some operands run over a page end.
                ulong page = First + ((ulong)random.Next((int)Pages >> (round % 8)) << 12);
                Guest.Poke(AddressList + (i * 8), page + (ulong)(random.Next(8) == 0 ? 4096 - random.Next(1, 16) : random.Next(4080)));
            }

            Guest.State->Halted = false;
            Guest.State->Rip = BareGuest.Code;
            for (RunResult result = RunResult.BudgetExhausted; result != RunResult.Halted;)
            {
                // Runs end anywhere.
                result = Guest.Cpu.Run(random.Next(1, 500));
                if (random.Next(4) == 0)
                {
                    before = AssertLogged(before, $"round {round}");
                }
            }

            before = AssertLogged(before, $"round {round}");
        }
    }

    [Test]
    public void Devices_and_owners_are_logged([Values("write", "clear", "lease")] string kind)
    {
        Fill();
        byte[] before = Guest.ReadMemory();
        _log.Collect();
        switch (kind)
        {
            case "write":
                Assert.That(Ram.TryWrite(new(First + 4090), new byte[4110]));
                break;
            case "clear":
                Assert.That(Ram.TryClear(new(First + 4090), 4110));
                break;
            default:
                Assert.That(Ram.TryLease(new(First + 4090), 4110, out IMemoryOwner<byte>? lease));
                Assert.That(_log.Collect().Count, Is.Zero, "nothing is complete");
                lease!.Memory.Span.Clear();
                lease.Dispose();
                break;
        }

        AssertLogged(before, kind);
    }

    [Test]
    public void Writes_from_other_threads_are_logged_by_when_they_are_complete()
    {
        Fill();
        byte[] before = Guest.ReadMemory();
        _log.Collect();
        Parallel.For(0, 100, i =>
        {
            Assert.That(Ram.TryLease(new(First + ((ulong)i * 8192)), 16, out IMemoryOwner<byte>? lease));
            lease!.Memory.Span.Clear();
            lease.Dispose();
        });
        AssertLogged(before, "");
    }

    [Test]
    public void Two_logs_at_once_are_collected_each_by_itself()
    {
        using var other = new DirtyLog(Ram);
        _log.Collect();
        Assert.That(Ram.TryWrite(new(First), [1]));
        Assert.That(_log.Collect().Contains(First >> 12));
        Assert.That(Ram.TryWrite(new(First + 0x1000), [1]));
        PageSet both = other.Collect(), second = _log.Collect();
        Assert.That(both.Contains(First >> 12) && both.Contains((First >> 12) + 1));
        Assert.That(second.Contains((First >> 12) + 1) && !second.Contains(First >> 12));
        other.Dispose();
        Assert.That(Ram.TryWrite(new(First), [2]));
        Assert.That(_log.Collect().Contains(First >> 12), "the first goes on");
    }

    [Test]
    public void Nothing_is_watched_any_more_when_the_log_has_ended()
    {
        _log.Dispose();
        for (ulong page = 0; page < Ram.PageCount; page++)
        {
            Assert.That(Ram.Pages[page].Watched & WatchReasons.DirtyLog, Is.EqualTo(WatchReasons.None));
        }
    }

    [Test]
    public void A_log_is_not_collected_in_the_middle_of_an_instruction()
    {
        var device = new Collector(_log);
        using IDisposable ports = Guest.Bus.MapPorts(0x80, 1, device);
        Assert.That(() => Guest.RunToHalt(a => a.@out(0x80, al)), Throws.InvalidOperationException.With.Message.Contains("post an action"));
    }

    [Test]
    public void A_log_whose_RAM_is_gone_says_so_and_can_be_disposed()
    {
        var ram = new GuestRam(1 << 20);
        var log = new DirtyLog(ram);
        ram.Dispose();
        Assert.That(log.Collect, Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(log.Dispose, Throws.Nothing);
        Assert.That(() => new DirtyLog(ram), Throws.InstanceOf<ObjectDisposedException>());
    }

    /// <summary>Stores of all kinds at 64 addresses from a list, each of which leaves memory changed.</summary>
    private void LoadStores()
    {
        Guest.State->Cr4 |= (1 << 9) | (1 << 10);
        Uml.Core.Cpu.Paging.Mmu.UpdateMode(Guest.State);
        Guest.Load(a =>
        {
            Label again = a.CreateLabel();
            a.mov(ebx, (uint)AddressList);
            a.mov(r13, 0x9E37_79B9_7F4A_7C15);
            a.Label(ref again);
            Next(a, 0);
            a.xor(__[rdi], r14);
            Next(a, 1);
            a.movq(xmm0, r14);
            a.punpcklqdq(xmm0, xmm0);
            a.movups(__[rdi], xmm0);
            Next(a, 2);
            a.xchg(__[rdi], r14);
            Next(a, 3);
            a.not(__byte_ptr[rdi]);
            Next(a, 4);
            a.@lock.xor(__[rdi], r14d);
            Next(a, 5);
            a.push(r14);
            a.pop(__qword_ptr[rdi]);
            Next(a, 6);
            a.mov(rax, r14);
            a.mov(ecx, 1200);
            a.rep.stosq();
            Next(a, 7);
            a.not(__word_ptr[rdi]);
            a.add(ebx, 64);
            a.cmp(ebx, (int)AddressList + 512);
            a.jb(again);
            a.hlt();
        });
    }

    /// <summary>The next address of the list, and a value that has not been anywhere yet.</summary>
    private static void Next(Assembler a, int index)
    {
        a.mov(rdi, __[rbx + (index * 8)]);
        a.add(r15, r13);
        a.mov(r14, r15);
    }

    private void Fill()
    {
        Assert.That(Ram.TryGetSpan(new(First), (int)Pages << 12, out Span<byte> all));
        all.Fill(0xA5);
    }

    /// <summary>Collects, and compares with what has changed.</summary>
    private byte[] AssertLogged(byte[] before, string what)
    {
        PageSet dirty = _log.Collect();
        byte[] now = Guest.ReadMemory();
        List<ulong> changed = [], logged = [];
        for (ulong page = 0; page < (ulong)now.Length >> 12; page++)
        {
            if (!now.AsSpan((int)page << 12, 4096).SequenceEqual(before.AsSpan((int)page << 12, 4096)))
            {
                changed.Add(page);
            }
        }

        foreach (ulong page in dirty)
        {
            logged.Add(page);
        }

        Assert.That(logged, Is.EqualTo(changed), what);
        Assert.That(dirty.Count, Is.EqualTo(changed.Count));
        return now;
    }

    private sealed class Collector(DirtyLog log) : IBusDevice
    {
        public ulong Read(IProcessor processor, ulong offset, int size) => 0;

        public void Write(IProcessor processor, ulong offset, int size, ulong value) => log.Collect();
    }
}
