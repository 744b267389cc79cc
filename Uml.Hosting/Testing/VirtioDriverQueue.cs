using System.Buffers.Binary;
using Uml.Core.Memory;

namespace Uml.Hosting.Testing;

/// <summary>A buffer of a driver: guest-physical memory that the device reads or writes.</summary>
/// <param name="Address">Where it is.</param>
/// <param name="Length">Bytes.</param>
/// <param name="IsWritable">Whether the device writes it.</param>
public readonly record struct VirtioBuffer(ulong Address, uint Length, bool IsWritable);

/// <summary>
/// The driver's side of a split virtqueue (virtio 1.2, 2.7), for tests of devices: it makes buffers available and takes used ones back, and its
/// indices wrap as a driver's do. Tests that are to break rules write descriptors and rings themselves, at the addresses given here.
/// </summary>
public sealed class VirtioDriverQueue
{
    private const int DescriptorSize = 16, UsedElementSize = 8;
    private const ushort HasNext = 1, IsWrite = 2, IsIndirect = 4;

    private readonly IGuestMemory _memory;
    private readonly Stack<ushort> _free = new();
    private readonly List<ushort>?[] _chains;
    private readonly ulong _tables;
    private ushort _nextAvailable, _lastUsed;

    /// <summary>Lays a queue out in guest memory, which is zeroed.</summary>
    /// <param name="memory">The guest's memory.</param>
    /// <param name="address">Where, aligned to 4096.</param>
    /// <param name="size">Descriptors: a power of two up to 32768.</param>
    /// <exception cref="ArgumentException">There is no such memory.</exception>
    public VirtioDriverQueue(IGuestMemory memory, ulong address, ushort size)
    {
        ArgumentNullException.ThrowIfNull(memory);
        (_memory, Size) = (memory, size);
        Descriptors = address;
        Available = Descriptors + ((ulong)size * DescriptorSize);
        Used = (Available + 6 + ((ulong)size * sizeof(ushort)) + 3) & ~3UL;
        _tables = (Used + 6 + ((ulong)size * UsedElementSize) + 15) & ~15UL;

        // Each descriptor has room for an indirect table of 32.
        Length = _tables + ((ulong)size * 32 * DescriptorSize) - address;
        if (!memory.TryClear(new(address), (int)Length))
        {
            throw new ArgumentException($"{Length} bytes at 0x{address:x} are not all RAM.", nameof(address));
        }

        _chains = new List<ushort>?[size];
        for (int i = size - 1; i >= 0; i--)
        {
            _free.Push((ushort)i);
        }
    }

    /// <summary>Descriptors.</summary>
    public ushort Size { get; }

    /// <summary>Bytes that the queue takes.</summary>
    public ulong Length { get; }

    /// <summary>Where the descriptors are.</summary>
    public ulong Descriptors { get; }

    /// <summary>Where the available ring is.</summary>
    public ulong Available { get; }

    /// <summary>Where the used ring is.</summary>
    public ulong Used { get; }

    /// <summary>The index that the available ring has.</summary>
    public ushort AvailableIndex => _nextAvailable;

    /// <summary>The index that the device's used ring has.</summary>
    public ushort UsedIndex => Read16(Used + 2);

    /// <summary>Whether the device wants to be notified of everything, without VIRTIO_F_EVENT_IDX.</summary>
    public bool WantsNotification => (Read16(Used) & 1) == 0;

    /// <summary>The index behind which the device wants to be notified, with VIRTIO_F_EVENT_IDX.</summary>
    public ushort AvailableEvent => Read16(Used + 4 + ((ulong)Size * UsedElementSize));

    /// <summary>Descriptors that are not in use.</summary>
    public int Free => _free.Count;

    /// <summary>Makes buffers available to the device, which is not notified.</summary>
    /// <param name="buffers">Those to be read before those to be written.</param>
    /// <param name="isIndirect">Whether they are in a table of their own; at most 32 then.</param>
    /// <returns>The chain's first descriptor, which the used ring will name.</returns>
    /// <exception cref="InvalidOperationException">There are not enough descriptors.</exception>
    public ushort Add(ReadOnlySpan<VirtioBuffer> buffers, bool isIndirect = false)
    {
        int needed = isIndirect ? 1 : buffers.Length;
        if (_free.Count < needed || buffers.IsEmpty || (isIndirect && buffers.Length > 32))
        {
            throw new InvalidOperationException($"{buffers.Length} buffers do not fit: {_free.Count} descriptors are free.");
        }

        List<ushort> chain = [];
        for (int i = 0; i < needed; i++)
        {
            chain.Add(_free.Pop());
        }

        if (isIndirect)
        {
            ulong table = _tables + (chain[0] * 32UL * DescriptorSize);
            for (int i = 0; i < buffers.Length; i++)
            {
                bool isLast = i + 1 == buffers.Length;
                WriteDescriptor(table + ((ulong)i * DescriptorSize), buffers[i], isLast ? (ushort)0 : HasNext, (ushort)(i + 1));
            }

            WriteDescriptor(DescriptorAddress(chain[0]), new VirtioBuffer(table, (uint)(buffers.Length * DescriptorSize), false), IsIndirect, 0);
        }
        else
        {
            for (int i = 0; i < buffers.Length; i++)
            {
                bool isLast = i + 1 == buffers.Length;
                WriteDescriptor(DescriptorAddress(chain[i]), buffers[i], isLast ? (ushort)0 : HasNext, isLast ? (ushort)0 : chain[i + 1]);
            }
        }

        _chains[chain[0]] = chain;
        Publish(chain[0]);
        return chain[0];
    }

    /// <summary>Puts a descriptor into the available ring, whatever it holds.</summary>
    /// <param name="head">The descriptor; any number, for tests that break rules.</param>
    public void Publish(ushort head)
    {
        Write16(Available + 4 + ((ulong)(_nextAvailable % Size) * sizeof(ushort)), head);
        Write16(Available + 2, ++_nextAvailable);
    }

    /// <summary>Writes a descriptor.</summary>
    /// <param name="address">Where, in the queue's descriptors or in a table.</param>
    /// <param name="buffer">What it describes; its being writable is added to the flags.</param>
    /// <param name="flags">VIRTQ_DESC_F_NEXT (1), VIRTQ_DESC_F_INDIRECT (4), or anything else.</param>
    /// <param name="next">The next descriptor.</param>
    public void WriteDescriptor(ulong address, VirtioBuffer buffer, ushort flags, ushort next)
    {
        Span<byte> bytes = stackalloc byte[DescriptorSize];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, buffer.Address);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[8..], buffer.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[12..], (ushort)(flags | (buffer.IsWritable ? IsWrite : 0)));
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[14..], next);
        _memory.TryWrite(new(address), bytes);
    }

    /// <summary>Where a descriptor of the queue is.</summary>
    /// <param name="index">The descriptor.</param>
    public ulong DescriptorAddress(ushort index) => Descriptors + ((ulong)index * DescriptorSize);

    /// <summary>Takes back what the device has used.</summary>
    /// <param name="head">The chain.</param>
    /// <param name="written">Bytes that the device says that it wrote.</param>
    /// <returns>False when there is nothing.</returns>
    public bool TryTakeUsed(out ushort head, out uint written)
    {
        (head, written) = (0, 0);
        if (_lastUsed == UsedIndex)
        {
            return false;
        }

        Span<byte> element = stackalloc byte[UsedElementSize];
        _memory.TryRead(new(Used + 4 + ((ulong)(_lastUsed % Size) * UsedElementSize)), element);
        head = (ushort)BinaryPrimitives.ReadUInt32LittleEndian(element);
        written = BinaryPrimitives.ReadUInt32LittleEndian(element[4..]);
        _lastUsed++;
        if (head < Size && _chains[head] is { } chain)
        {
            chain.ForEach(_free.Push);
            _chains[head] = null;
        }

        return true;
    }

    /// <summary>Says whether the driver wants to be interrupted, without VIRTIO_F_EVENT_IDX.</summary>
    /// <param name="wanted">False asks for none.</param>
    public void SetInterrupts(bool wanted) => Write16(Available, wanted ? (ushort)0 : (ushort)1);

    /// <summary>Says behind which index the driver wants to be interrupted, with VIRTIO_F_EVENT_IDX.</summary>
    /// <param name="index">The index.</param>
    public void SetUsedEvent(ushort index) => Write16(Available + 4 + ((ulong)Size * sizeof(ushort)), index);

    private ushort Read16(ulong address)
    {
        Span<byte> bytes = stackalloc byte[sizeof(ushort)];
        _memory.TryRead(new(address), bytes);
        return BinaryPrimitives.ReadUInt16LittleEndian(bytes);
    }

    private void Write16(ulong address, ushort value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(ushort)];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, value);
        _memory.TryWrite(new(address), bytes);
    }
}
