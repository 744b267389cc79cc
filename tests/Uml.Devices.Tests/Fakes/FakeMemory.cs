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
        bool isRam = TryGetSpan(address, destination.Length, out var span);
        span.CopyTo(destination);
        return isRam;
    }

    public bool TryWrite(GuestPhysicalAddress address, ReadOnlySpan<byte> source)
    {
        bool isRam = TryGetSpan(address, source.Length, out var span);
        source[..span.Length].CopyTo(span);
        return isRam;
    }

    public bool TryGetReadOnlySpan(GuestPhysicalAddress address, int length, out ReadOnlySpan<byte> span)
    {
        bool isRam = TryGetSpan(address, length, out var writable);
        span = writable;
        return isRam;
    }

    public bool TryGetSpan(GuestPhysicalAddress address, int length, out Span<byte> span)
    {
        if (address.Value > size || size - address.Value < (ulong)length)
        {
            span = default;
            return false;
        }

        span = Bytes.AsSpan((int)address.Value, length);
        return true;
    }
}
