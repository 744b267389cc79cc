using System.Buffers;
using System.Runtime.InteropServices;
using Uml.Core.Interop;

namespace Uml.Core.Memory;

/// <summary>See <see cref="IGuestMemoryTransfer"/>.</summary>
internal sealed class GuestMemoryTransfer(GuestRam ram, HostMemory memory) : IGuestMemoryTransfer, IGuestMemoryWriter
{
    private readonly GuestRam _ram = ram;
    private readonly HostMemory _memory = memory;

    /// <summary>A view of each GiB of RAM that a piece was in: what has to be an object, since it can be revoked.</summary>
    private readonly Window?[] _windows = new Window?[(memory.Size + Window.Size - 1) / Window.Size];
    private readonly List<(ulong Offset, int Length)> _ranges = [];
    private Memory<byte>[] _pieces = new Memory<byte>[4];
    private int _count;
    private SafeHandle? _kept;
    private bool _toGuest;
    private volatile bool _isActive;

    public int Length { get; private set; }

    public ReadOnlyMemory<Memory<byte>> Pieces => _pieces.AsMemory(0, _count);

    IReadOnlyList<(ulong Offset, int Length)> IGuestMemoryWriter.Ranges => _ranges;

    public void Begin(bool toGuest)
    {
        if (_isActive)
        {
            throw new InvalidOperationException("A request of this transfer is under way: complete it first.");
        }

        _kept = _memory.Keep();
        _toGuest = toGuest;
        _isActive = true;
        if (toGuest)
        {
            _ram.Writes.Begin(this);
        }
    }

    public bool TryAdd(GuestPhysicalAddress address, int length)
    {
        if (!_isActive || !_ram.TryGetOffset(address.Value, length, out ulong offset) || length > int.MaxValue - Length)
        {
            return false;
        }

        if (_toGuest)
        {
            _ram.Writes.Extend(this, offset, length);
        }

        Length += length;
        while (length > 0)
        {
            int part = (int)Math.Min((ulong)length, Window.Size - (offset % Window.Size));
            AddPiece(offset, part);
            offset += (ulong)part;
            length -= part;
        }

        return true;
    }

    public void Complete()
    {
        if (!_isActive)
        {
            return;
        }

        _isActive = false;
        if (_toGuest)
        {
            _ram.Writes.Complete(this);
        }

        Array.Clear(_pieces, 0, _count);
        _ranges.Clear();
        (_count, Length) = (0, 0);
        _kept!.DangerousRelease();
        _kept = null;
    }

    void IGuestMemoryWriter.AddRange(ulong offset, int length) => _ranges.Add((offset, length));

    private unsafe void AddPiece(ulong offset, int length)
    {
        ulong index = offset / Window.Size;
        Window window = _windows[index] ??= new Window(this, _memory.Pointer + (index * Window.Size), (int)Math.Min(Window.Size, _memory.Size - (index * Window.Size)));
        if (_count == _pieces.Length)
        {
            Array.Resize(ref _pieces, 2 * _count);
        }

        _pieces[_count++] = window.Memory.Slice((int)(offset % Window.Size), length);
    }

    /// <summary>A GiB of RAM, while a request is under way.</summary>
    private sealed unsafe class Window(GuestMemoryTransfer transfer, byte* pointer, int length) : MemoryManager<byte>
    {
        public const ulong Size = 1UL << 30;

        // SAFETY: the mapping is kept from Begin to Complete; whoever uses a piece does so in between, which is checked as far as it can be.
        public override Span<byte> GetSpan()
        {
            ThrowIfComplete();
            return new Span<byte>(pointer, length);
        }

        public override MemoryHandle Pin(int elementIndex = 0)
        {
            ThrowIfComplete();
            ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)elementIndex, (uint)length, nameof(elementIndex));
            return new MemoryHandle(pointer + elementIndex);
        }

        public override void Unpin()
        {
        }

        protected override void Dispose(bool disposing)
        {
        }

        private void ThrowIfComplete() => ObjectDisposedException.ThrowIf(!transfer._isActive, typeof(IGuestMemoryTransfer));
    }
}
