using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using Uml.Core.Memory;

namespace Uml.Core.Bus;

/// <summary>
/// The address spaces of one machine: finds the device behind an access. Accesses, claims and releases are made on the machine's thread, or
/// before the machine starts.
/// </summary>
/// <param name="ram">The ranges that are RAM; the processor accesses those itself and devices cannot claim them.</param>
internal sealed class MachineBus(IReadOnlyList<GuestMemoryRange> ram) : IMachineBus
{
    private const int PortCount = 0x1_0000;

    private readonly RangeMap<IBusDevice> _memory = new();
    private readonly RangeMap<IBusDevice> _ports = new();
    private readonly RangeMap<IMsrDevice> _msrs = new();

    /// <inheritdoc/>
    public IDisposable MapMemory(GuestPhysicalAddress start, ulong length, IBusDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        if (!IsRange(start, length))
        {
            throw new ArgumentException($"A device range of 0x{length:x} bytes at {start} is empty or wraps around.", nameof(length));
        }

        if (FindRam(start, length) is { } range)
        {
            throw new ArgumentException(
                $"A device range of 0x{length:x} bytes at {start} overlaps RAM at {range.Start} (0x{range.Length:x} bytes); "
                + "devices live in the gap below 4 GiB or above RAM.",
                nameof(start));
        }

        return _memory.TryAdd(start.Value, length, device, out var neighbour) ?? throw Overlap("memory", start.Value, length, neighbour);
    }

    /// <inheritdoc/>
    public bool TryMapMemory(GuestPhysicalAddress start, ulong length, IBusDevice device, [NotNullWhen(true)] out IDisposable? claim)
    {
        ArgumentNullException.ThrowIfNull(device);
        claim = IsRange(start, length) && FindRam(start, length) is null ? _memory.TryAdd(start.Value, length, device, out _) : null;
        return claim is not null;
    }

    /// <inheritdoc/>
    public IDisposable MapPorts(ushort start, int count, IBusDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        if (count <= 0 || start + count > PortCount)
        {
            throw new ArgumentException($"A device range of {count} ports at 0x{start:x} is empty or leaves the 65536 ports.", nameof(count));
        }

        return _ports.TryAdd(start, (ulong)count, device, out var neighbour) ?? throw Overlap("ports", start, (ulong)count, neighbour);
    }

    /// <inheritdoc/>
    public bool TryMapPorts(ushort start, int count, IBusDevice device, [NotNullWhen(true)] out IDisposable? claim)
    {
        ArgumentNullException.ThrowIfNull(device);
        claim = count > 0 && start + count <= PortCount ? _ports.TryAdd(start, (ulong)count, device, out _) : null;
        return claim is not null;
    }

    /// <inheritdoc/>
    public IDisposable MapMsrs(uint start, uint count, IMsrDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        if (count == 0 || start + (count - 1) < start)
        {
            throw new ArgumentException($"A range of {count} model-specific registers at 0x{start:x} is empty or wraps around.", nameof(count));
        }

        return _msrs.TryAdd(start, count, device, out var neighbour) ?? throw Overlap("MSRs", start, count, neighbour);
    }

    /// <summary>Reads guest-physical memory that is not RAM.</summary>
    /// <param name="processor">The processor that makes the access.</param>
    /// <param name="physical">Any address.</param>
    /// <param name="size">1 to 8 bytes.</param>
    /// <returns>The value, zero-extended; all ones where no device answers.</returns>
    internal ulong ReadMemory(IProcessor processor, ulong physical, int size) => Read(_memory, processor, physical, size);

    /// <summary>Writes guest-physical memory that is not RAM; nothing happens where no device answers.</summary>
    /// <param name="processor">The processor that makes the access.</param>
    /// <param name="physical">Any address.</param>
    /// <param name="size">1 to 8 bytes.</param>
    /// <param name="value">The value; bits above <paramref name="size"/> are ignored.</param>
    internal void WriteMemory(IProcessor processor, ulong physical, int size, ulong value) => Write(_memory, processor, physical, size, value);

    /// <summary>IN. Sizes 1, 2 and 4.</summary>
    internal ulong ReadPort(IProcessor processor, ushort port, int size) => Read(_ports, processor, port, size);

    /// <summary>OUT. Sizes 1, 2 and 4.</summary>
    internal void WritePort(IProcessor processor, ushort port, int size, ulong value) => Write(_ports, processor, port, size, value);

    /// <summary>RDMSR of a register that the processor does not hold itself.</summary>
    /// <returns>False raises #GP(0).</returns>
    internal bool TryReadMsr(IProcessor processor, uint index, out ulong value)
    {
        if (_msrs.Find(index) is { } range)
        {
            return range.Device.TryReadMsr(processor, index, out value);
        }

        value = 0;
        return false;
    }

    /// <summary>WRMSR of a register that the processor does not hold itself.</summary>
    /// <returns>False raises #GP(0).</returns>
    internal bool TryWriteMsr(IProcessor processor, uint index, ulong value) =>
        _msrs.Find(index) is { } range && range.Device.TryWriteMsr(processor, index, value);

    private static bool IsRange(GuestPhysicalAddress start, ulong length) => length != 0 && start.Value + (length - 1) >= start.Value;

    private GuestMemoryRange? FindRam(GuestPhysicalAddress start, ulong length)
    {
        foreach (var range in ram)
        {
            if (start.Value - range.Start.Value < range.Length || range.Start.Value - start.Value < length)
            {
                return range;
            }
        }

        return null;
    }

    private static ulong Read(RangeMap<IBusDevice> map, IProcessor processor, ulong address, int size)
    {
        if (IsWhole(address, size))
        {
            return ReadWhole(map, processor, address, size);
        }

        ulong value = 0;
        for (int done = 0, part; done < size; done += part)
        {
            part = NextPart(address + (ulong)done, size - done);
            value |= ReadWhole(map, processor, address + (ulong)done, part) << (done * 8);
        }

        return value;
    }

    private static void Write(RangeMap<IBusDevice> map, IProcessor processor, ulong address, int size, ulong value)
    {
        if (IsWhole(address, size))
        {
            WriteWhole(map, processor, address, size, value);
            return;
        }

        for (int done = 0, part; done < size; done += part)
        {
            part = NextPart(address + (ulong)done, size - done);
            WriteWhole(map, processor, address + (ulong)done, part, value >> (done * 8));
        }
    }

    // Devices get naturally aligned accesses of 1, 2, 4 or 8 bytes only; the bus splits all others, as a real one does.
    private static bool IsWhole(ulong address, int size) => BitOperations.IsPow2(size) && (address & (ulong)(size - 1)) == 0;

    private static int NextPart(ulong address, int remaining)
    {
        int largest = 1 << BitOperations.Log2((uint)remaining);
        int alignment = 1 << Math.Min(BitOperations.TrailingZeroCount(address), 3);
        return Math.Min(largest, alignment);
    }

    private static ulong ReadWhole(RangeMap<IBusDevice> map, IProcessor processor, ulong address, int size)
    {
        ulong mask = Mask(size);
        if (map.Find(address) is { } range && range.Length - (address - range.Start) >= (ulong)size)
        {
            return range.Device.Read(processor, address - range.Start, size) & mask;
        }

        return mask;
    }

    private static void WriteWhole(RangeMap<IBusDevice> map, IProcessor processor, ulong address, int size, ulong value)
    {
        if (map.Find(address) is { } range && range.Length - (address - range.Start) >= (ulong)size)
        {
            range.Device.Write(processor, address - range.Start, size, value & Mask(size));
        }
    }

    private static ulong Mask(int size) => ulong.MaxValue >> (64 - (size * 8));

    private static ArgumentException Overlap<TDevice>(string space, ulong start, ulong length, RangeMap<TDevice>.Entry? neighbour)
        where TDevice : class =>
        new($"The range of 0x{length:x} {space} at 0x{start:x} overlaps 0x{neighbour?.Length:x} at 0x{neighbour?.Start:x}, "
            + $"which belongs to {neighbour?.Device.GetType().Name}.");
}
