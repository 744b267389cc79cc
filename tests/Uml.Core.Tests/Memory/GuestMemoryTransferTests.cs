using Uml.Core.Machine;
using Uml.Core.Memory;

namespace Uml.Core.Tests.Memory;

public sealed class GuestMemoryTransferTests
{
    private const ulong Size = 1 << 20;

    [Test]
    public async Task Pieces_are_RAM_itself_across_an_await_and_again_for_the_next_request()
    {
        using var ram = new GuestRam(Size);
        IGuestMemoryTransfer transfer = ram.CreateTransfer();
        for (byte request = 1; request < 4; request++)
        {
            transfer.Begin(toGuest: true);
            Assert.That(transfer.TryAdd(new(0x2000), 2) && transfer.TryAdd(new(0x1FFE), 1) && transfer.TryAdd(new(0), 0));
            await Task.Yield();
            transfer.Pieces.Span[0].Span.Fill(request);
            transfer.Pieces.Span[1].Span.Fill(9);
            Assert.That(transfer.Length, Is.EqualTo(3));
            transfer.Complete();
            byte[] read = new byte[4];
            Assert.That(ram.TryRead(new(0x1FFE), read));
            Assert.That(read, Is.EqualTo(new byte[] { 9, 0, request, request }));
        }
    }

    [Test]
    public void Only_RAM_is_added_and_all_of_a_range_or_nothing()
    {
        using var ram = new GuestRam(Size);
        IGuestMemoryTransfer transfer = ram.CreateTransfer();
        Assert.That(transfer.TryAdd(new(0), 1), Is.False, "nothing was begun");
        transfer.Begin(toGuest: false);
        foreach ((ulong address, int length) in new[] { (Size, 1), (Size - 1, 2), (0UL, -1), (0xD000_0000, 1), (ulong.MaxValue, 2) })
        {
            Assert.That(transfer.TryAdd(new(address), length), Is.False);
        }

        Assert.That((transfer.Length, transfer.Pieces.Length), Is.EqualTo((0, 0)));
    }

    [Test]
    public void More_than_a_length_can_say_is_not_added()
    {
        using var ram = new GuestRam(1UL << 30);
        IGuestMemoryTransfer transfer = ram.CreateTransfer();
        transfer.Begin(toGuest: false);
        Assert.That(transfer.TryAdd(new(0), 1 << 30));
        Assert.That(transfer.TryAdd(new(0), 1 << 30), Is.False);
        Assert.That(transfer.TryAdd(new(0), (1 << 30) - 1));
        Assert.That(transfer.Length, Is.EqualTo(int.MaxValue));
    }

    [Test]
    public void Pieces_of_a_request_that_is_complete_give_no_memory()
    {
        using var ram = new GuestRam(Size);
        IGuestMemoryTransfer transfer = ram.CreateTransfer();
        transfer.Begin(toGuest: true);
        Assert.That(transfer.TryAdd(new(0), 16));
        Memory<byte> piece = transfer.Pieces.Span[0];
        Assert.That(() => transfer.Begin(toGuest: true), Throws.InvalidOperationException);
        transfer.Complete();
        transfer.Complete();

        Assert.That(() => piece.Span.Clear(), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(() => piece.Pin(), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(transfer.Pieces.IsEmpty);
    }

    [Test]
    public async Task A_request_under_way_outlives_its_machine()
    {
        IVirtualMachine machine = new VirtualMachineBuilder().Configure(options => options.MemorySize = Size).Build();
        IGuestMemoryTransfer transfer = machine.Memory.CreateTransfer();
        transfer.Begin(toGuest: true);
        Assert.That(transfer.TryAdd(new(0x1000), 8));
        await machine.DisposeAsync();
        transfer.Pieces.Span[0].Span.Fill(7);
        transfer.Complete();
        Assert.That(() => transfer.Begin(toGuest: true), Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public void What_was_written_is_in_the_dirty_log_once_the_request_is_complete()
    {
        using var ram = new GuestRam(Size);
        using var log = new DirtyLog(ram);
        IGuestMemoryTransfer transfer = ram.CreateTransfer();
        transfer.Begin(toGuest: true);
        Assert.That(transfer.TryAdd(new(0x1FFF), 2) && transfer.TryAdd(new(0x5000), 1));
        Assert.That(log.Collect().Count, Is.Zero);
        transfer.Complete();
        PageSet dirty = log.Collect();
        Assert.That(dirty.Count == 3 && dirty.Contains(1) && dirty.Contains(2) && dirty.Contains(5));

        transfer.Begin(toGuest: false);
        Assert.That(transfer.TryAdd(new(0x7000), 8));
        transfer.Complete();
        Assert.That(log.Collect().Count, Is.Zero, "reading is not writing");
    }

    [Test]
    public void Requests_in_steady_state_allocate_nothing()
    {
        using var ram = new GuestRam(Size);
        IGuestMemoryTransfer transfer = ram.CreateTransfer();
        Run(ram, transfer, 10);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Run(ram, transfer, 1000);

        // Less than a byte a request: the runtime itself may allocate a little once.
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(1000));
    }

    private static void Run(GuestRam ram, IGuestMemoryTransfer transfer, int requests)
    {
        for (int i = 0; i < requests; i++)
        {
            transfer.Begin(toGuest: true);
            transfer.TryAdd(new(0x1000), 4096);
            transfer.TryAdd(new(0x8000), 4096);
            transfer.Complete();
            ram.Writes.TakeCompleted();
        }
    }
}
