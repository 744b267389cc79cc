using Uml.Storage.Blocks;

namespace Uml.Storage.Decorators;

/// <summary>A request on its way to a device.</summary>
/// <param name="Kind">What is to be done.</param>
/// <param name="Offset">The first byte; 0 for a flush and a new size.</param>
/// <param name="Length">Bytes; 0 for a flush; of a new size, that.</param>
/// <param name="Buffers">Of a read, filled; of a write, what is written; else empty.</param>
/// <param name="MayDiscard">Of zeroes: whether the range may be without room on the host afterwards.</param>
public readonly record struct BlockRequest(BlockRequestKind Kind, long Offset = 0, long Length = 0, BlockBuffers Buffers = default, bool MayDiscard = false)
{
    /// <summary>Whether the request changes what the device holds.</summary>
    public bool IsChange => (Kind & (BlockRequestKind.Write | BlockRequestKind.Discard | BlockRequestKind.WriteZeroes | BlockRequestKind.Resize)) != 0;

    /// <summary>Whether the request is about a range of the device, and not about all of it, as a flush and a new size are.</summary>
    internal bool HasRange => (Kind & (BlockRequestKind.Flush | BlockRequestKind.Resize)) == 0;

    /// <summary>The request for its first bytes only.</summary>
    /// <param name="length">Bytes, 0 to <see cref="Length"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">The length is not within the request.</exception>
    public BlockRequest Start(long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, Length);
        return this with { Length = length, Buffers = Buffers.IsEmpty ? Buffers : Buffers.Slice(0, (int)length) };
    }
}

/// <summary>What a request does; a set of them says to which requests something applies.</summary>
[Flags]
public enum BlockRequestKind
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>A read.</summary>
    Read = 1,

    /// <summary>A write.</summary>
    Write = 2,

    /// <summary>A flush.</summary>
    Flush = 4,

    /// <summary>A discard.</summary>
    Discard = 8,

    /// <summary>Zeroes without data.</summary>
    WriteZeroes = 16,

    /// <summary>A new size of the device, which is the request's length.</summary>
    Resize = 32,

    /// <summary>Every request.</summary>
    All = Read | Write | Flush | Discard | WriteZeroes | Resize,
}
