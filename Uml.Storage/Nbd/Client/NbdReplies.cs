using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Uml.Storage.Blocks;
using Uml.Storage.Nbd.Protocol;

namespace Uml.Storage.Nbd.Client;

/// <summary>Reads the replies on one connection, into the buffers of the requests that they are to.</summary>
internal sealed class NbdReplies(NbdClient client, NbdLink link)
{
    /// <summary>What is behind the words in the payload of an error, and unknown errors: a limit of ours.</summary>
    private const int MaximumErrorPayload = NbdProtocol.MaximumString + 64;

    private readonly NbdReader _reader = link.Reader;
    private readonly bool _isStructured = link.Export.IsStructured;

    /// <summary>Reads until the connection is gone.</summary>
    /// <exception cref="NbdProtocolException">The server does not keep to the protocol.</exception>
    /// <exception cref="IOException">The connection is gone.</exception>
    public async Task RunAsync()
    {
        while (true)
        {
            while (_reader.Available < NbdSimpleReply.Size)
            {
                _reader.Commit(await link.Stream.ReadAsync(_reader.Prepare(NbdSimpleReply.Size)).ConfigureAwait(false));
            }

            uint magic = BinaryPrimitives.ReadUInt32BigEndian(_reader.Peek(4));
            NbdRequest? done;
            if (magic == NbdProtocol.SimpleReplyMagic)
            {
                done = await ReadSimpleAsync().ConfigureAwait(false);
            }
            else if (magic == NbdProtocol.ChunkMagic && _isStructured)
            {
                done = await ReadChunkAsync().ConfigureAwait(false);
            }
            else
            {
                throw new NbdProtocolException($"a reply begins with {magic:X8}H");
            }

            if (done is { Error: NbdErrors.Shutdown })
            {
                throw new IOException("the server is shutting down");
            }

            if (done is not null)
            {
                client.OnReplied(done);
            }
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<NbdRequest?> ReadSimpleAsync()
    {
        NbdSimpleReply reply = NbdSimpleReply.Read(_reader.Take(NbdSimpleReply.Size));
        NbdRequest request = client.Find(reply.Cookie);
        request.Error = reply.Error;
        if (request.Command == NbdCommand.Read && reply.Error == NbdErrors.None)
        {
            if (_isStructured)
            {
                throw new NbdProtocolException("it sends a simple reply to a read after structured replies were agreed on");
            }

            await _reader.ReadAsync(request.Buffers).ConfigureAwait(false);
        }

        return request;
    }

    /// <returns>The request, when it is done.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<NbdRequest?> ReadChunkAsync()
    {
        await _reader.FillAsync(NbdChunkHeader.Size).ConfigureAwait(false);
        NbdChunkHeader chunk = NbdChunkHeader.Read(_reader.Take(NbdChunkHeader.Size));
        NbdRequest request = client.Find(chunk.Cookie);
        switch (chunk.Type)
        {
            case NbdChunk.None when chunk is { Length: 0, IsLast: true }:
                break;
            case NbdChunk.Data when request.Command == NbdCommand.Read && chunk.Length > 8:
                await _reader.FillAsync(8).ConfigureAwait(false);
                await _reader.ReadAsync(Place(request, chunk.Length - 8)).ConfigureAwait(false);
                break;
            case NbdChunk.Hole when request.Command == NbdCommand.Read && chunk.Length == 12:
                await _reader.FillAsync(12).ConfigureAwait(false);
                uint size = BinaryPrimitives.ReadUInt32BigEndian(_reader.Peek(12)[8..]);
                Place(request, size).Clear();
                _reader.Take(4);
                break;
            case >= NbdChunk.ErrorBit when chunk.Length is >= 6 and <= MaximumErrorPayload:
                await _reader.FillAsync((int)chunk.Length).ConfigureAwait(false);
                TakeError(request, _reader.Take((int)chunk.Length));
                break;
            default:
                throw new NbdProtocolException($"a chunk of {chunk.Length} bytes is of kind {(ushort)chunk.Type} in the reply to request {(ushort)request.Command}");
        }

        if (chunk.IsLast && request is { Command: NbdCommand.Read, Error: NbdErrors.None } && !request.Coverage.IsWhole(request.Length))
        {
            throw new NbdProtocolException($"its reply to a read of {request.Length} bytes at {request.Offset} ends before all have come");
        }

        return chunk.IsLast ? request : null;
    }

    /// <summary>Where the contents of a chunk go, whose offset is next to be taken.</summary>
    private BlockBuffers Place(NbdRequest request, uint length)
    {
        ulong offset = BinaryPrimitives.ReadUInt64BigEndian(_reader.Take(8));
        ulong start = offset - (ulong)request.Offset;
        if (length == 0 || offset < (ulong)request.Offset || length > request.Length || start > request.Length - length)
        {
            throw new NbdProtocolException(
                $"a chunk of {length} bytes at {offset} does not lie within the read of {request.Length} bytes at {request.Offset}");
        }

        request.Coverage.Add((uint)start, length);
        return request.Buffers.Slice((int)start, (int)length);
    }

    private static void TakeError(NbdRequest request, ReadOnlySpan<byte> payload)
    {
        uint error = BinaryPrimitives.ReadUInt32BigEndian(payload);
        int length = BinaryPrimitives.ReadUInt16BigEndian(payload[4..]);
        if (error == NbdErrors.None || length > payload.Length - 6)
        {
            throw new NbdProtocolException($"an error of {payload.Length} bytes has the number {error} and {length} bytes of text");
        }

        if (request.Error == NbdErrors.None)
        {
            (request.Error, request.ErrorText) = (error, NbdText.ToMessage(payload.Slice(6, length)));
        }
    }
}
