using System.Buffers;
using Uml.Core.Machine;
using Uml.Core.Memory;
using Uml.Core.Tests.Interop;

namespace Uml.Core.Tests.Memory;

/// <summary>Guest RAM in the hands of others than the machine's thread.</summary>
public sealed class GuestMemoryLeaseTests
{
    private const ulong Size = 1 << 20;

    [Test]
    public async Task A_lease_is_RAM_itself_across_an_await()
    {
        using var ram = new GuestRam(Size);
        Assert.That(ram.TryLease(new(0x1FFE), 4, out IMemoryOwner<byte>? written));
        Assert.That(ram.TryLeaseReadOnly(new(0x1FFE), 4, out IReadOnlyMemoryOwner? read));
        using (written)
        using (read)
        {
            using var source = new MemoryStream([1, 2, 3, 4]);
            await Task.Yield();
            await source.ReadExactlyAsync(written!.Memory);
            Assert.That(read!.Memory.ToArray(), Is.EqualTo(new byte[] { 1, 2, 3, 4 }));
            byte[] copy = new byte[4];
            Assert.That(ram.TryRead(new(0x1FFE), copy) && copy[3] == 4);
        }
    }

    [Test]
    public void Only_RAM_is_leased()
    {
        using var ram = new GuestRam(Size);
        foreach ((ulong address, int length) in new[] { (Size, 1), (Size - 1, 2), (0UL, -1), (0xD000_0000, 1), (ulong.MaxValue, 2) })
        {
            Assert.That(ram.TryLease(new(address), length, out IMemoryOwner<byte>? written), Is.False);
            Assert.That(ram.TryLeaseReadOnly(new(address), length, out IReadOnlyMemoryOwner? read), Is.False);
            Assert.That(written is null && read is null);
        }

        Assert.That(ram.TryLease(new(Size - 1), 0, out IMemoryOwner<byte>? empty));
        Assert.That(empty!.Memory.IsEmpty);
        empty.Dispose();
    }

    [Test]
    public void A_lease_that_was_disposed_gives_no_memory_and_may_be_disposed_again()
    {
        using var ram = new GuestRam(Size);
        Assert.That(ram.TryLease(new(0), 16, out IMemoryOwner<byte>? lease));
        Memory<byte> memory = lease!.Memory;
        lease.Dispose();
        lease.Dispose();
        Assert.That(() => lease.Memory, Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(() => memory.Span.Clear(), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(() => memory.Pin(), Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public async Task A_lease_outlives_its_machine()
    {
        IVirtualMachine machine = new VirtualMachineBuilder().Configure(options => options.MemorySize = Size).Build();
        Assert.That(machine.Memory.TryWrite(new(0x1000), [7]));
        Assert.That(machine.Memory.TryLeaseReadOnly(new(0x1000), 8, out IReadOnlyMemoryOwner? read));
        Assert.That(machine.Memory.TryLease(new(0x1000), 8, out IMemoryOwner<byte>? written));
        await machine.DisposeAsync();
        Assert.That(() => machine.Memory.TryLease(new(0x1000), 8, out _), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(read!.Memory.Span[0], Is.EqualTo(7));
        written!.Memory.Span[1] = 8;
        Assert.That(read.Memory.Span[1], Is.EqualTo(8));
        written.Dispose();
        read.Dispose();
    }

    [Test]
    [Platform("Linux")]
    public unsafe void RAM_is_given_back_behind_the_last_lease_and_the_last_pin()
    {
        var ram = new GuestRam(Size);
        nint address = (nint)ram.Base;
        Assert.That(ram.TryLease(new(0), 4096, out IMemoryOwner<byte>? lease));
        MemoryHandle pin = lease!.Memory[100..].Pin();
        ram.Dispose();
        Assert.That(IsMapped(address), "leased");
        lease.Dispose();
        Assert.That(IsMapped(address), "pinned");
        Assert.That((nint)pin.Pointer, Is.EqualTo(address + 100));
        *(byte*)pin.Pointer = 1;
        pin.Dispose();
        Assert.That(IsMapped(address), Is.False);
    }

    private static bool IsMapped(nint address) =>
        HostMapping.All().Any(mapping => mapping.Start <= (ulong)address && (ulong)address < mapping.End && mapping.Access.StartsWith("rw", StringComparison.Ordinal));
}
