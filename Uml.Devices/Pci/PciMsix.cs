using System.Buffers.Binary;
using System.Numerics;
using Uml.Core.Bus;
using Uml.Core.Snapshots;

namespace Uml.Devices.Pci;

/// <summary>
/// The message-signalled interrupts of a PCI function (PCI Local Bus Specification 3.0, 6.8.2): a table of addresses, data and masks, and
/// the pending bits, in a base address register of their own.
/// </summary>
public sealed class PciMsix : IBusDevice, IStateful
{
    internal const byte CapabilityId = 0x11;

    private const int MaximumVectors = 2048;
    private const int EntryLength = 16, DataOffset = 8, ControlOffset = 12;
    private const byte EntryMasked = 1;
    private const int MessageControl = 2;
    private const ushort Enable = 1 << 15, FunctionMask = 1 << 14;
    private const ulong SmallestBar = 4096;

    private readonly PciFunction _function;
    private readonly byte[] _table;
    private readonly ulong[] _pending;
    private readonly ulong _pendingOffset;

    internal PciMsix(PciFunction function, int vectorCount)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(vectorCount, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(vectorCount, MaximumVectors);
        _function = function;
        VectorCount = vectorCount;
        _table = new byte[vectorCount * EntryLength];
        _pending = new ulong[(vectorCount + 63) / 64];
        BarLength = Math.Max(2 * BitOperations.RoundUpToPowerOf2((ulong)_table.Length), SmallestBar);
        _pendingOffset = BarLength / 2;
        Reset();
    }

    /// <summary>How many vectors there are.</summary>
    public int VectorCount { get; }

    /// <summary>Whether the guest uses them; then the function's interrupt pin is silent.</summary>
    public bool IsEnabled => (Control & Enable) != 0;

    internal ulong BarLength { get; }

    internal int Capability { get; set; }

    // Function mask and enable, the upper bits of message control.
    internal static ReadOnlySpan<byte> CapabilityWritable => [0x00, (Enable | FunctionMask) >> 8];

    private ushort Control => (ushort)_function.Config.Read(Capability + MessageControl, sizeof(ushort));

    /// <summary>
    /// Interrupts with a vector: sends its message, or remembers it while the guest has the vector or all of them masked. Does nothing while
    /// they are not enabled. Called on the machine's thread.
    /// </summary>
    public void Raise(int vector)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(vector);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(vector, VectorCount);
        if (IsEnabled)
        {
            _pending[vector / 64] |= 1UL << (vector % 64);
            Deliver(vector);
        }
    }

    /// <inheritdoc/>
    public ulong Read(IProcessor processor, ulong offset, int size)
    {
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        bytes.Clear();
        if (offset < (ulong)_table.Length)
        {
            _table.AsSpan((int)offset, size).CopyTo(bytes);
            return BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        }

        ulong word = (offset - _pendingOffset) / sizeof(ulong);
        return offset >= _pendingOffset && word < (ulong)_pending.Length ? _pending[word] >> (int)(offset % sizeof(ulong) * 8) : 0;
    }

    /// <inheritdoc/>
    public void Write(IProcessor processor, ulong offset, int size, ulong value)
    {
        if (offset >= (ulong)_table.Length)
        {
            return;
        }

        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        bytes[..size].CopyTo(_table.AsSpan((int)offset));
        int vector = (int)offset / EntryLength;
        ClearReserved(vector);
        if (IsEnabled)
        {
            Deliver(vector);
        }
    }

    /// <inheritdoc/>
    public void SaveState(StateWriter state)
    {
        ArgumentNullException.ThrowIfNull(state);
        state.Write(_table);
        foreach (ulong word in _pending)
        {
            state.Write(word);
        }
    }

    /// <inheritdoc/>
    public void RestoreState(StateReader state)
    {
        ArgumentNullException.ThrowIfNull(state);
        state.ReadBytes(_table);
        for (int vector = 0; vector < VectorCount; vector++)
        {
            ClearReserved(vector);
        }

        foreach (ref ulong word in _pending.AsSpan())
        {
            word = state.ReadUInt64();
        }

        _pending[^1] &= ulong.MaxValue >> (-VectorCount & 63);
    }

    /// <summary>All vectors masked, none pending.</summary>
    internal void Reset()
    {
        Array.Clear(_pending);
        Array.Clear(_table);
        for (int entry = 0; entry < _table.Length; entry += EntryLength)
        {
            _table[entry + ControlOffset] = EntryMasked;
        }
    }

    /// <summary>What follows the header of the capability: message control, where the table is, where the pending bits are.</summary>
    internal byte[] CreateCapability(int barIndex)
    {
        byte[] body = new byte[10];
        BinaryPrimitives.WriteUInt16LittleEndian(body, (ushort)(VectorCount - 1));
        BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan(2), (uint)barIndex);
        BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan(6), (uint)_pendingOffset | (uint)barIndex);
        return body;
    }

    /// <summary>Sends pending messages of vectors that the guest has unmasked.</summary>
    internal void DeliverPending()
    {
        if (!IsEnabled)
        {
            return;
        }

        for (int word = 0; word < _pending.Length; word++)
        {
            for (ulong left = _pending[word]; left != 0; left &= left - 1)
            {
                Deliver((word * 64) + BitOperations.TrailingZeroCount(left));
            }
        }
    }

    private void Deliver(int vector)
    {
        ref ulong word = ref _pending[vector / 64];
        ulong bit = 1UL << (vector % 64);
        ReadOnlySpan<byte> entry = _table.AsSpan(vector * EntryLength, EntryLength);
        if ((word & bit) == 0 || (Control & FunctionMask) != 0 || (entry[ControlOffset] & EntryMasked) != 0 || !_function.IsBusMaster)
        {
            return;
        }

        word &= ~bit;
        _function.Send(BinaryPrimitives.ReadUInt64LittleEndian(entry), BinaryPrimitives.ReadUInt32LittleEndian(entry[DataOffset..]));
    }

    private void ClearReserved(int vector)
    {
        Span<byte> control = _table.AsSpan((vector * EntryLength) + ControlOffset, sizeof(uint));
        control[0] &= EntryMasked;
        control[1..].Clear();
    }
}
