using System.Buffers;
using Uml.Core.Cpu;
using Uml.Core.Memory;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Memory;

/// <summary>Somebody who needs what a page held before it is written to.</summary>
[TestFixture(CpuEngine.Interpreter)]
[TestFixture(CpuEngine.Jit)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class CopyOnWriteTests : WatchedWrites
{
    private const ulong Page = BareGuest.Data, Number = Page / GuestRam.PageSize;
    private const byte Before = 0x11, After = 0x22;

    private readonly Copier _copier;

    public CopyOnWriteTests(CpuEngine engine)
        : base(engine)
    {
        _copier = new Copier(Ram);
        Ram.Writes.Subscribe(WatchReasons.CopyOnWrite, _copier);
        Assert.That(Ram.TryGetSpan(new(Page), GuestRam.PageSize, out Span<byte> page));
        page.Fill(Before);
    }

    [Test]
    public void A_guest_that_has_written_to_the_page_already_is_seen_once()
    {
        Store(Before);
        Watch(Number);
        Store(After);
        Store(After + 1);
        AssertCopied();
        Assert.That(Guest.Peek<byte>(Page), Is.EqualTo(After + 1));
    }

    [Test]
    public void A_write_that_runs_over_a_page_end_is_seen_in_both_pages()
    {
        Watch(Number - 1, Number);
        Guest.RunToHalt(a =>
        {
            a.mov(rax, 0x2222222222222222);
            a.mov(__qword_ptr[Page - 4], rax);
            a.hlt();
        });
        Assert.That(_copier.Copies.Select(copy => copy.Page), Is.EqualTo(new[] { Number - 1, Number }));
        Assert.That(_copier.Copies[1].Bytes, Is.All.EqualTo(Before));
    }

    [Test]
    public void All_pages_are_seen_when_all_are_watched()
    {
        Store(Before);
        Ram.Writes.WatchAll(WatchReasons.CopyOnWrite);
        Store(After);
        Assert.That(_copier.Copies.Single(copy => copy.Page == Number).Bytes, Is.All.EqualTo(Before));
        Ram.Writes.UnwatchAll(WatchReasons.CopyOnWrite);
        int copies = _copier.Copies.Count;
        Assert.That(Ram.TryWrite(new(Page + 0x5000), [After]));
        Assert.That(_copier.Copies, Has.Count.EqualTo(copies));
    }

    [Test]
    public void Bits_that_a_page_walk_sets_are_seen()
    {
        const ulong linear = 0x1F_0000, slot = BareGuest.PageTable + ((linear >> 12) * 8);
        Guest.Map(linear, Page);
        Watch(slot / GuestRam.PageSize);
        Guest.RunToHalt(a =>
        {
            a.mov(al, __byte_ptr[linear]);
            a.hlt();
        });
        byte[] table = _copier.Copies.Single(copy => copy.Page == slot / GuestRam.PageSize).Bytes;
        Assert.That(table[slot % GuestRam.PageSize], Is.EqualTo(7), "not accessed");
        Assert.That(Guest.Peek<byte>(slot), Is.EqualTo(0x27));
    }

    [Test]
    public void Devices_and_owners_are_seen([Values("write", "clear", "lease")] string kind)
    {
        Watch(Number);
        switch (kind)
        {
            case "write":
                Assert.That(Ram.TryWrite(new(Page + 10), [After]));
                break;
            case "clear":
                Assert.That(Ram.TryClear(new(Page), GuestRam.PageSize));
                break;
            default:
                Assert.That(Ram.TryLease(new(Page + 10), 1, out IMemoryOwner<byte>? lease));
                lease!.Memory.Span[0] = After;
                lease.Dispose();
                Ram.Writes.TakeCompleted();
                break;
        }

        AssertCopied();
    }

    [Test]
    public void A_lease_that_was_taken_before_counts_as_a_write_from_the_start()
    {
        Assert.That(Ram.TryLease(new(Page), 16, out IMemoryOwner<byte>? lease));
        Watch(Number);
        lease!.Memory.Span.Fill(After);
        lease.Dispose();
        Ram.Writes.TakeCompleted();
        AssertCopied();
    }

    [Test]
    public void A_lease_to_read_is_no_write()
    {
        Watch(Number);
        Assert.That(Ram.TryLeaseReadOnly(new(Page), 16, out IReadOnlyMemoryOwner? lease));
        lease!.Dispose();
        Ram.Writes.TakeCompleted();
        Assert.That(_copier.Copies, Is.Empty);
    }

    [Test]
    public void A_page_with_code_is_watched_for_both_and_still_drops_its_code()
    {
        const ulong function = Page + 0x800;
        Assert.That(Ram.TryWrite(new(function), [0xB8, 1, 0, 0, 0, 0xC3])); // mov eax, 1; ret
        Call();
        Watch(Number);
        Assert.That(Ram.Pages[Number].Watched, Is.EqualTo(WatchReasons.CopyOnWrite | WatchReasons.Code));
        Guest.RunToHalt(a =>
        {
            a.mov(__byte_ptr[function + 1], 2);
            a.hlt();
        });
        Assert.That(_copier.Copies.Single().Bytes[0x801], Is.EqualTo(1));
        Call();
        Assert.That(Guest.Rax, Is.EqualTo(2));
        Assert.That(Ram.Pages[Number].Watched, Is.EqualTo(WatchReasons.Code));

        void Call() => Guest.RunToHalt(a =>
        {
            a.mov(edi, (uint)function);
            a.call(rdi);
            a.hlt();
        });
    }

    [Test]
    public void An_observer_that_left_is_told_no_more()
    {
        Watch(Number);
        Ram.Writes.Unsubscribe(_copier);
        Store(After);
        Assert.That(_copier.Copies, Is.Empty);
    }

    private void Watch(params ReadOnlySpan<ulong> pages)
    {
        var set = new PageSet(Ram.PageCount);
        foreach (ulong page in pages)
        {
            set.Add(page);
        }

        Ram.Writes.Watch(set, WatchReasons.CopyOnWrite);
    }

    private void Store(byte value) => Guest.RunToHalt(a =>
    {
        a.mov(__byte_ptr[Page], value);
        a.hlt();
    });

    private void AssertCopied()
    {
        Assert.That(_copier.Copies, Has.One.Items);
        Assert.That(_copier.Copies[0].Page, Is.EqualTo(Number));
        Assert.That(_copier.Copies[0].Bytes, Is.All.EqualTo(Before));
    }

    private sealed class Copier(GuestRam ram) : IWriteObserver
    {
        public List<(ulong Page, byte[] Bytes)> Copies { get; } = [];

        public void OnWrite(ulong ramOffset, int length)
        {
            ulong page = ramOffset / GuestRam.PageSize;
            Copies.Add((page, new ReadOnlySpan<byte>(ram.Base + (page * GuestRam.PageSize), GuestRam.PageSize).ToArray()));
        }
    }
}
