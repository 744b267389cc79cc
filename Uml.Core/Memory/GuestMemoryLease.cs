using System.Buffers;
using System.Runtime.InteropServices;
using Uml.Core.Interop;

namespace Uml.Core.Memory;

/// <summary>
/// A range of guest RAM that stays mapped until it is disposed and no longer pinned, even if the machine is disposed before.
/// </summary>
internal sealed unsafe class GuestMemoryLease : MemoryManager<byte>, IReadOnlyMemoryOwner, IGuestMemoryWriter
{
    private readonly SafeHandle _kept;
    private readonly byte* _pointer;

    /// <summary>Notified when the range has been written; null for read-only leases.</summary>
    private readonly GuestWrites? _writes;
    private (ulong Offset, int Length)[] _ranges = [];
    private int _disposed;

    /// <param name="memory">All of RAM.</param>
    /// <param name="offset">The first byte.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="writes">Notified when a lease to write begins and ends; null for a read-only lease.</param>
    public GuestMemoryLease(HostMemory memory, ulong offset, int length, GuestWrites? writes)
    {
        _pointer = memory.Pointer + offset;
        Length = length;
        _writes = writes;
        _kept = memory.Keep();
        writes?.Begin(this);
        writes?.Extend(this, offset, length);
    }

    public int Length { get; }

    IReadOnlyList<(ulong Offset, int Length)> IGuestMemoryWriter.Ranges => _ranges;

    ReadOnlyMemory<byte> IReadOnlyMemoryOwner.Memory => Memory;

    /// <inheritdoc/>
    public override Span<byte> GetSpan()
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed) != 0, this);

        // SAFETY: the range lies within the mapping, which is kept until Dispose; whoever uses the lease disposes it behind its last use.
        return new Span<byte>(_pointer, Length);
    }

    /// <inheritdoc/>
    public override MemoryHandle Pin(int elementIndex = 0)
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed) != 0, this);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)elementIndex, (uint)Length, nameof(elementIndex));
        bool kept = false;
        _kept.DangerousAddRef(ref kept);

        // SAFETY: as above, until Unpin.
        return new MemoryHandle(_pointer + elementIndex, pinnable: this);
    }

    /// <inheritdoc/>
    public override void Unpin() => _kept.DangerousRelease();

    /// <inheritdoc/>
    public void Dispose() => Dispose(disposing: true);

    void IGuestMemoryWriter.AddRange(ulong offset, int length) => _ranges = [(offset, length)];

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            _writes?.Complete(this);
            _kept.DangerousRelease();
        }
    }
}
