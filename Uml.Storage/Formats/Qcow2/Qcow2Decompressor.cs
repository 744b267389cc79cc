using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.IO.Compression;
using Uml.Storage.Blocks;
using ZstdSharp;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>Reads compressed clusters, one at a time. The last one is kept: the next request is often for more of it.</summary>
[SuppressMessage("Reliability", "CA1001", Justification = "Requests that meet the closing of the image wait for their turn still, and find the file closed. Nothing asks for the wait handle, all that could be disposed.")]
internal sealed class Qcow2Decompressor(Qcow2File file, Qcow2Geometry geometry, Qcow2Compression compression)
{
    private readonly SemaphoreSlim _turn = new(1);
    private byte[] _cluster = [];

    /// <summary>Of the cluster in <see cref="_cluster"/>. No entry comes to mean other data: compressed clusters are never written.</summary>
    private ulong _entry;

    /// <exception cref="BlockIOException">The data could not be read, or are damaged.</exception>
    public async ValueTask ReadAsync(ulong entry, int within, BlockBuffers buffers)
    {
        entry &= ~Qcow2Entry.Copied;
        await _turn.WaitAsync().ConfigureAwait(false);
        try
        {
            if (_entry != entry)
            {
                _entry = 0;
                await DecompressAsync(entry).ConfigureAwait(false);
                _entry = entry;
            }

            buffers.CopyFrom(_cluster.AsSpan(within, buffers.Length));
        }
        finally
        {
            _turn.Release();
        }
    }

    private async ValueTask DecompressAsync(ulong entry)
    {
        long offset = Qcow2Entry.CompressedRange(entry, geometry.ClusterBits, out int length);
        byte[] compressed = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            await file.ReadAsync(offset, compressed.AsMemory(0, length)).ConfigureAwait(false);
            _cluster = _cluster.Length == 0 ? new byte[geometry.ClusterSize] : _cluster;
            using MemoryStream bytes = new(compressed, 0, length, writable: false);
            using Stream stream = compression == Qcow2Compression.Zstd ? new DecompressionStream(bytes) : new DeflateStream(bytes, CompressionMode.Decompress);
            stream.ReadExactly(_cluster);
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or ZstdException)
        {
            throw new BlockIOException($"'{file.Path}' is damaged: the compressed cluster of {length} bytes at {offset} does not unpack to {geometry.ClusterSize} "
                + $"bytes ({e.Message}).", e);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(compressed);
        }
    }
}
