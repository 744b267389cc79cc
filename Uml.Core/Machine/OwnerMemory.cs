using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using Uml.Core.Memory;

namespace Uml.Core.Machine;

/// <summary>
/// Guest RAM for the program that owns the machine. While the guest runs only the machine's own thread may write, because a write drops
/// decoded code, which that thread may be running. Reading is always allowed.
/// </summary>
/// <param name="memory">The RAM.</param>
/// <param name="loop">The loop, which knows the machine's thread.</param>
internal sealed class OwnerMemory(IGuestMemory memory, MachineLoop loop) : IGuestMemory
{
    /// <summary>Held while memory is copied, so that the machine is not resumed and its memory not freed meanwhile.</summary>
    private readonly Lock _access = new();
    private bool _running;

    public ulong Size { get; } = memory.Size;

    public IReadOnlyList<GuestMemoryRange> Ranges { get; } = memory.Ranges;

    /// <summary>Forbids or allows writes by other threads.</summary>
    public void SetRunning(bool running)
    {
        lock (_access)
        {
            _running = running;
        }
    }

    /// <summary>Frees the machine's parts, including memory, while nothing is copied. Members throw from then on.</summary>
    public void Free(MachineHardware hardware)
    {
        lock (_access)
        {
            hardware.Dispose();
        }
    }

    public bool TryRead(GuestPhysicalAddress address, Span<byte> destination)
    {
        lock (_access)
        {
            return memory.TryRead(address, destination);
        }
    }

    public bool TryWrite(GuestPhysicalAddress address, ReadOnlySpan<byte> source)
    {
        lock (_access)
        {
            ThrowIfRunning();
            return memory.TryWrite(address, source);
        }
    }

    public bool TryClear(GuestPhysicalAddress address, int length)
    {
        lock (_access)
        {
            ThrowIfRunning();
            return memory.TryClear(address, length);
        }
    }

    public bool TryLeaseReadOnly(GuestPhysicalAddress address, int length, [NotNullWhen(true)] out IReadOnlyMemoryOwner? lease)
    {
        lock (_access)
        {
            return memory.TryLeaseReadOnly(address, length, out lease);
        }
    }

    public bool TryLease(GuestPhysicalAddress address, int length, [NotNullWhen(true)] out IMemoryOwner<byte>? lease)
    {
        lock (_access)
        {
            ThrowIfRunning();
            return memory.TryLease(address, length, out lease);
        }
    }

    public IGuestMemoryTransfer CreateTransfer() => new Transfer(this, memory.CreateTransfer());

    private void ThrowIfRunning()
    {
        if (_running && !loop.IsCurrentThread)
        {
            throw new InvalidOperationException("The machine is running; pause it before writing to its memory.");
        }
    }

    /// <summary>A transfer that is begun as writes are.</summary>
    private sealed class Transfer(OwnerMemory owner, IGuestMemoryTransfer transfer) : IGuestMemoryTransfer
    {
        public int Length => transfer.Length;

        public ReadOnlyMemory<Memory<byte>> Pieces => transfer.Pieces;

        public void Begin(bool toGuest)
        {
            lock (owner._access)
            {
                owner.ThrowIfRunning();
                transfer.Begin(toGuest);
            }
        }

        public bool TryAdd(GuestPhysicalAddress address, int length)
        {
            lock (owner._access)
            {
                owner.ThrowIfRunning();
                return transfer.TryAdd(address, length);
            }
        }

        public void Complete() => transfer.Complete();
    }
}
