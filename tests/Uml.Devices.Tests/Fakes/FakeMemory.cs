using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using Uml.Core.Memory;

namespace Uml.Devices.Tests.Fakes;

/// <summary>RAM from address zero.</summary>
internal sealed class FakeMemory(ulong size) : IGuestMemory
{
    public byte[] Bytes { get; } = new byte[size];

    public ulong Size => size;

    public IReadOnlyList<GuestMemoryRange> Ranges { get; } = [new(new(0), size)];

    public bool TryRead(GuestPhysicalAddress address, Span<byte> destination)
    {
        bool isRam = TryGetBytes(address, destination.Length, out Memory<byte> bytes);
        bytes.Span.CopyTo(destination);
        return isRam;
    }

    public bool TryWrite(GuestPhysicalAddress address, ReadOnlySpan<byte> source)
    {
        bool isRam = TryGetBytes(address, source.Length, out Memory<byte> bytes);
        source[..bytes.Length].CopyTo(bytes.Span);
        return isRam;
    }

    public bool TryClear(GuestPhysicalAddress address, int length)
    {
        bool isRam = TryGetBytes(address, length, out Memory<byte> bytes);
        bytes.Span.Clear();
        return isRam;
    }

    public bool TryLeaseReadOnly(GuestPhysicalAddress address, int length, [NotNullWhen(true)] out IReadOnlyMemoryOwner? lease)
    {
        lease = TryGetBytes(address, length, out Memory<byte> bytes) ? new Owner(bytes) : null;
        return lease is not null;
    }

    public bool TryLease(GuestPhysicalAddress address, int length, [NotNullWhen(true)] out IMemoryOwner<byte>? lease)
    {
        lease = TryGetBytes(address, length, out Memory<byte> bytes) ? new Owner(bytes) : null;
        return lease is not null;
    }

    public IGuestMemoryTransfer CreateTransfer() => new Transfer(this);

    private bool TryGetBytes(GuestPhysicalAddress address, int length, out Memory<byte> bytes)
    {
        bool isRam = length >= 0 && address.Value <= size && size - address.Value >= (ulong)length;
        bytes = isRam ? Bytes.AsMemory((int)address.Value, length) : default;
        return isRam;
    }

    private sealed class Owner(Memory<byte> memory) : IMemoryOwner<byte>, IReadOnlyMemoryOwner
    {
        public Memory<byte> Memory => memory;

        ReadOnlyMemory<byte> IReadOnlyMemoryOwner.Memory => memory;

        public void Dispose()
        {
        }
    }

    private sealed class Transfer(FakeMemory memory) : IGuestMemoryTransfer
    {
        private readonly List<Memory<byte>> _pieces = [];

        public int Length => _pieces.Sum(piece => piece.Length);

        public ReadOnlyMemory<Memory<byte>> Pieces => _pieces.ToArray();

        public void Begin(bool toGuest)
        {
        }

        public bool TryAdd(GuestPhysicalAddress address, int length)
        {
            bool isRam = memory.TryGetBytes(address, length, out Memory<byte> bytes);
            if (isRam)
            {
                _pieces.Add(bytes);
            }

            return isRam;
        }

        public void Complete() => _pieces.Clear();
    }
}
