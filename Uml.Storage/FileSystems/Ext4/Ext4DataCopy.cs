using System.Buffers;
using Uml.Storage.FileSystems.Trees;

namespace Uml.Storage.FileSystems.Ext4;

/// <summary>Copies the contents of files to their blocks: in the order of the blocks, in large writes, with files read beside each other.</summary>
/// <param name="plan">The file system.</param>
/// <param name="output">Where to.</param>
/// <param name="progress">Notified after each write.</param>
internal sealed class Ext4DataCopy(Ext4Plan plan, Ext4Output output, IProgress<Ext4Progress>? progress)
{
    /// <summary>One write, which stays in a processor's cache between reading and writing. A limit of ours.</summary>
    private const int ChunkBlocks = (1 << 20) / Ext4Format.BlockBytes;

    /// <summary>More do not make it faster: the host's kernel does the work. A limit of ours.</summary>
    private const int MaximumParallel = 8;

    private readonly Lock _lock = new();
    private long _done, _total;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        List<Piece> pieces = ListPieces();
        pieces.Sort((left, right) => left.Block.CompareTo(right.Block));
        _total = pieces.Sum(piece => piece.Count * Ext4Format.BlockBytes);
        ParallelOptions options = new()
        {
            MaxDegreeOfParallelism = Math.Min(Environment.ProcessorCount, MaximumParallel),
            CancellationToken = cancellationToken,
        };
        await Parallel.ForEachAsync(Split(pieces), options, CopyAsync).ConfigureAwait(false);
    }

    private List<Piece> ListPieces()
    {
        List<Piece> pieces = [];
        foreach (Ext4Inode inode in plan.Inventory.Inodes)
        {
            foreach (Ext4Extent extent in inode.Extents)
            {
                pieces.Add(new Piece(extent.Start, extent.Count, inode.Content!, (long)extent.Logical << Ext4Format.LogBlockBytes));
            }
        }

        return pieces;
    }

    /// <summary>Cuts and joins pieces to chunks of blocks beside each other.</summary>
    private static IEnumerable<List<Piece>> Split(List<Piece> pieces)
    {
        List<Piece> chunk = [];
        long end = 0;
        int room = ChunkBlocks;
        foreach (Piece piece in pieces)
        {
            Piece rest = piece;
            while (rest.Count > 0)
            {
                if (chunk.Count > 0 && (rest.Block != end || room == 0))
                {
                    yield return chunk;
                    chunk = [];
                    room = ChunkBlocks;
                }

                int count = Math.Min(room, rest.Count);
                chunk.Add(rest with { Count = count });
                end = rest.Block + count;
                room -= count;
                rest = new Piece(end, rest.Count - count, rest.Content, rest.Offset + ((long)count << Ext4Format.LogBlockBytes));
            }
        }

        if (chunk.Count > 0)
        {
            yield return chunk;
        }
    }

    private async ValueTask CopyAsync(List<Piece> chunk, CancellationToken cancellationToken)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(ChunkBlocks * Ext4Format.BlockBytes);
        try
        {
            int length = 0;
            foreach (Piece piece in chunk)
            {
                Span<byte> blocks = buffer.AsSpan(length, piece.Count * Ext4Format.BlockBytes);
                int inFile = (int)Math.Min(blocks.Length, piece.Content.Length - piece.Offset);
                piece.Content.Read(piece.Offset, blocks[..inFile]);
                blocks[inFile..].Clear();
                length += blocks.Length;
            }

            await output.WriteAsync(chunk[0].Block, buffer.AsMemory(0, length), cancellationToken).ConfigureAwait(false);
            Report(length);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private void Report(int bytes)
    {
        // In a lock, so that no report comes before one of less.
        lock (_lock)
        {
            _done += bytes;
            progress?.Report(new Ext4Progress(_done, _total));
        }
    }

    private readonly record struct Piece(long Block, int Count, FileContent Content, long Offset);
}
