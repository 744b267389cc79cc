namespace Uml.Net.UserNet.Tcp;

/// <summary>Blocks of memory that queues of bytes are made of, used again and again. Not for several threads at once.</summary>
/// <param name="limit">Bytes that may be in use; a queue's first block is granted beyond, so that each goes on.</param>
internal sealed class BlockPool(long limit)
{
    /// <summary>Bytes of a block: what a large frame carries, below what the runtime keeps apart as large objects.</summary>
    public const int BlockSize = 64 << 10;

    /// <summary>Blocks that are kept for the next use: 4 MiB.</summary>
    private const int MaximumKept = 64;

    private readonly Stack<byte[]> _kept = new(MaximumKept);

    /// <summary>Bytes in use.</summary>
    public long Used { get; private set; }

    /// <summary>Takes a block.</summary>
    /// <param name="isFirst">Whether its queue has no other.</param>
    /// <returns>Null when too many are in use.</returns>
    public byte[]? TryRent(bool isFirst)
    {
        if (!isFirst && Used + BlockSize > limit)
        {
            return null;
        }

        Used += BlockSize;
        return _kept.TryPop(out byte[]? block) ? block : GC.AllocateUninitializedArray<byte>(BlockSize);
    }

    public void Return(byte[] block)
    {
        Used -= BlockSize;
        if (_kept.Count < MaximumKept)
        {
            _kept.Push(block);
        }
    }
}
