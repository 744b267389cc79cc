using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;
using Uml.Core.Memory;
using Uml.Core.Snapshots;

namespace Uml.Devices.Virtio.Queue;

/// <summary>
/// The device's side of a split virtqueue (virtio 1.2, 2.7). Rings and descriptors are the guest's memory: each field is read once, and checked
/// before it is used. For the machine's thread.
/// </summary>
internal sealed class SplitQueue(IGuestMemory memory, ushort maximumSize) : IStateful
{
    private const ushort HasNext = 1, IsWrite = 2, IsIndirect = 4;
    private const ushort NoInterrupt = 1;
    private const int DescriptorSize = 16, UsedElementSize = 8, RingHeader = 4;

    private readonly IGuestMemory _memory = memory;
    private ushort _size = maximumSize;
    private ushort _nextAvailable, _nextUsed, _signalled;

    /// <summary>The largest size that the driver may choose.</summary>
    public ushort MaximumSize { get; } = maximumSize;

    /// <summary>Descriptors: a power of two.</summary>
    public ushort Size => _size;

    public bool IsEnabled { get; private set; }

    /// <summary>Whether each side says behind which entry it wants to be told (VIRTIO_F_EVENT_IDX).</summary>
    public bool HasEventIndex { get; set; }

    /// <summary>Whether descriptors may be in tables of their own (VIRTIO_F_INDIRECT_DESC).</summary>
    public bool HasIndirect { get; set; }

    /// <summary>Where descriptors, the available ring and the used ring are. The driver sets them while the queue is not enabled.</summary>
    public ulong Descriptors { get; set; }

    public ulong Available { get; set; }

    public ulong Used { get; set; }

    /// <summary>Whether the driver has made a chain available that was not taken.</summary>
    /// <exception cref="VirtioGuestErrorException">The available ring is not in RAM.</exception>
    public bool HasAvailable => IsEnabled && Read16(Available + 2) != _nextAvailable;

    /// <summary>Sets the size, while the queue is not enabled.</summary>
    /// <returns>False when the size is none that the queue can have.</returns>
    public bool TrySetSize(ushort size)
    {
        if (!BitOperations.IsPow2(size) || size > MaximumSize)
        {
            return false;
        }

        _size = size;
        return true;
    }

    /// <exception cref="VirtioGuestErrorException">The rings are not aligned (virtio 1.2, 2.7).</exception>
    public void Enable()
    {
        if (Descriptors % 16 != 0 || Available % 2 != 0 || Used % 4 != 0)
        {
            throw new VirtioGuestErrorException($"rings at 0x{Descriptors:x}, 0x{Available:x} and 0x{Used:x} are not aligned to 16, 2 and 4 bytes");
        }

        IsEnabled = true;
    }

    public void Reset()
    {
        IsEnabled = false;
        _size = MaximumSize;
        (_nextAvailable, _nextUsed, _signalled) = (0, 0, 0);
        (Descriptors, Available, Used) = (0, 0, 0);
        (HasEventIndex, HasIndirect) = (false, false);
    }

    /// <summary>Takes the next chain that the driver has made available.</summary>
    /// <returns>False when there is none.</returns>
    /// <exception cref="VirtioGuestErrorException">The ring or the chain is broken.</exception>
    public bool TryPop(VirtqueueChain chain)
    {
        if (!IsEnabled)
        {
            return false;
        }

        ushort index = Read16(Available + 2);
        ushort waiting = (ushort)(index - _nextAvailable);
        if (waiting == 0)
        {
            return false;
        }

        if (waiting > _size)
        {
            throw new VirtioGuestErrorException($"the available ring of {_size} entries went from index {_nextAvailable} to {index} at once");
        }

        ushort head = Read16(Available + RingHeader + ((ulong)(_nextAvailable % _size) * sizeof(ushort)));
        _nextAvailable++;
        ReadChain(head, chain);
        return true;
    }

    /// <summary>Reads a chain that was taken before.</summary>
    /// <exception cref="VirtioGuestErrorException">The chain is broken.</exception>
    public void ReadChain(ushort head, VirtqueueChain chain)
    {
        chain.Begin(head);
        ushort next = head;
        for (int count = 0; ; count++)
        {
            if (next >= _size || count == _size)
            {
                throw new VirtioGuestErrorException(next >= _size
                    ? $"chain {head} has descriptor {next}, and there are {_size}"
                    : $"chain {head} has more than the {_size} descriptors of the queue: it is a loop");
            }

            Descriptor descriptor = ReadDescriptor(Descriptors + ((ulong)next * DescriptorSize));
            if ((descriptor.Flags & IsIndirect) != 0)
            {
                ReadTable(in descriptor, chain);
                return;
            }

            chain.Add(descriptor.Address, descriptor.Length, (descriptor.Flags & IsWrite) != 0);
            if ((descriptor.Flags & HasNext) == 0)
            {
                return;
            }

            next = descriptor.Next;
        }
    }

    /// <summary>Gives a chain back to the driver.</summary>
    /// <param name="head">The chain.</param>
    /// <param name="written">Bytes that were written to it, from the first on.</param>
    /// <exception cref="VirtioGuestErrorException">The used ring is not in RAM.</exception>
    public void Push(ushort head, int written)
    {
        Span<byte> element = stackalloc byte[UsedElementSize];
        BinaryPrimitives.WriteUInt32LittleEndian(element, head);
        BinaryPrimitives.WriteInt32LittleEndian(element[4..], written);
        Write(Used + RingHeader + ((ulong)(_nextUsed % _size) * UsedElementSize), element);
        Write16(Used + 2, ++_nextUsed);
    }

    /// <summary>Whether the driver wants to be interrupted for what was pushed since the last call (virtio 1.2, 2.7.7).</summary>
    /// <exception cref="VirtioGuestErrorException">The available ring is not in RAM.</exception>
    public bool TakeInterrupt()
    {
        ushort before = _signalled;
        _signalled = _nextUsed;
        if (before == _nextUsed)
        {
            return false;
        }

        if (!HasEventIndex)
        {
            return (Read16(Available) & NoInterrupt) == 0;
        }

        ushort wanted = Read16(Available + RingHeader + ((ulong)_size * sizeof(ushort)));
        return (ushort)(_nextUsed - wanted - 1) < (ushort)(_nextUsed - before);
    }

    /// <summary>Asks the driver to notify of the next chain that it makes available.</summary>
    /// <exception cref="VirtioGuestErrorException">The used ring is not in RAM.</exception>
    public void RequestNotification()
    {
        if (HasEventIndex)
        {
            Write16(Used + RingHeader + ((ulong)_size * UsedElementSize), _nextAvailable);
        }
    }

    public void SaveState(StateWriter state)
    {
        state.Write(_size);
        state.Write(IsEnabled);
        state.Write(HasEventIndex);
        state.Write(HasIndirect);
        state.Write(Descriptors);
        state.Write(Available);
        state.Write(Used);
        state.Write(_nextAvailable);
        state.Write(_nextUsed);
        state.Write(_signalled);
    }

    public void RestoreState(StateReader state)
    {
        ushort size = state.ReadUInt16();
        if (!TrySetSize(size))
        {
            throw state.Invalid($"a queue of {size} entries");
        }

        IsEnabled = state.ReadBoolean();
        HasEventIndex = state.ReadBoolean();
        HasIndirect = state.ReadBoolean();
        Descriptors = state.ReadUInt64();
        Available = state.ReadUInt64();
        Used = state.ReadUInt64();
        _nextAvailable = state.ReadUInt16();
        _nextUsed = state.ReadUInt16();
        _signalled = state.ReadUInt16();
    }

    /// <summary>Descriptors in a table of their own (virtio 1.2, 2.7.5.3).</summary>
    private void ReadTable(in Descriptor table, VirtqueueChain chain)
    {
        if (!HasIndirect || (table.Flags & HasNext) != 0 || table.Length == 0 || table.Length % DescriptorSize != 0)
        {
            throw new VirtioGuestErrorException(
                $"chain {chain.Head} has an indirect descriptor of {table.Length} bytes with flags 0x{table.Flags:x}, which {(HasIndirect ? "is no table" : "was not negotiated")}");
        }

        uint length = table.Length / DescriptorSize;
        uint next = 0;
        for (uint count = 0; ; count++)
        {
            if (next >= length || count == length)
            {
                throw new VirtioGuestErrorException($"chain {chain.Head} leaves its table of {length} descriptors, or is a loop in it");
            }

            Descriptor descriptor = ReadDescriptor(table.Address + ((ulong)next * DescriptorSize));
            if ((descriptor.Flags & IsIndirect) != 0)
            {
                throw new VirtioGuestErrorException($"chain {chain.Head} has a table in a table");
            }

            chain.Add(descriptor.Address, descriptor.Length, (descriptor.Flags & IsWrite) != 0);
            if ((descriptor.Flags & HasNext) == 0)
            {
                return;
            }

            next = descriptor.Next;
        }
    }

    private Descriptor ReadDescriptor(ulong address)
    {
        Descriptor descriptor = default;
        Span<byte> bytes = MemoryMarshal.AsBytes(new Span<Descriptor>(ref descriptor));
        return _memory.TryRead(new(address), bytes) ? descriptor : throw OutsideRam("a descriptor", address);
    }

    private ushort Read16(ulong address)
    {
        Span<byte> bytes = stackalloc byte[sizeof(ushort)];
        return _memory.TryRead(new(address), bytes) ? BinaryPrimitives.ReadUInt16LittleEndian(bytes) : throw OutsideRam("a ring", address);
    }

    private void Write16(ulong address, ushort value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(ushort)];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, value);
        Write(address, bytes);
    }

    private void Write(ulong address, ReadOnlySpan<byte> bytes)
    {
        if (!_memory.TryWrite(new(address), bytes))
        {
            throw OutsideRam("a ring", address);
        }
    }

    private static VirtioGuestErrorException OutsideRam(string what, ulong address) => new($"{what} is at 0x{address:x}, which is not RAM");

    /// <summary>struct virtq_desc, on hosts that are little-endian as the guest is.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Descriptor
    {
        public ulong Address;
        public uint Length;
        public ushort Flags;
        public ushort Next;
    }
}
