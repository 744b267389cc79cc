using System.Runtime.CompilerServices;
using Uml.Storage.Blocks;

namespace Uml.Storage.Nbd.Protocol;

/// <summary>A request or a reply that is to be sent.</summary>
internal interface INbdMessage
{
    /// <summary>The largest header that one has.</summary>
    const int MaximumHeader = 32;

    /// <summary>What follows the header; its owner leaves it alone until the message was sent.</summary>
    BlockBuffers Payload { get; }

    /// <summary>Writes the header.</summary>
    /// <returns>Bytes, at most <see cref="MaximumHeader"/>.</returns>
    int WriteHeader(Span<byte> bytes);
}

/// <summary>Where a sender takes messages from.</summary>
internal interface INbdMessageSource
{
    /// <summary>Set when there is a message, or when there will be none any more.</summary>
    NbdSignal Signal { get; }

    /// <summary>The next message, or null when there is none now.</summary>
    INbdMessage? TryTake();

    /// <summary>Whether none will be added any more.</summary>
    bool IsClosed { get; }

    /// <summary>Tells that a message's memory is not needed any more.</summary>
    void OnSent(INbdMessage message);
}

/// <summary>
/// Sends messages in order, by one loop. What is ready together is sent by one call: headers and small data are gathered in a buffer, while large
/// data is sent from where it is.
/// </summary>
internal static class NbdSender
{
    /// <summary>What is at most gathered: copying more costs more than another call. A choice of ours.</summary>
    private const int GatherSize = 16 << 10;

    /// <summary>Sends until the source is closed.</summary>
    /// <exception cref="IOException">The connection is gone.</exception>
    public static async Task RunAsync(Stream stream, INbdMessageSource source)
    {
        byte[] batch = new byte[64 << 10];
        int used = 0;
        while (true)
        {
            // Looked at first: what was added before it was closed is sent.
            bool isClosed = source.IsClosed;
            if (source.TryTake() is not { } message)
            {
                if (used > 0)
                {
                    await stream.WriteAsync(batch.AsMemory(0, used)).ConfigureAwait(false);
                    used = 0;
                }
                else if (isClosed)
                {
                    return;
                }
                else
                {
                    await source.Signal.WaitAsync().ConfigureAwait(false);
                }

                continue;
            }

            BlockBuffers payload = message.Payload;
            bool isGathered = payload.Length <= GatherSize;
            if (batch.Length - used < INbdMessage.MaximumHeader + (isGathered ? payload.Length : 0))
            {
                await stream.WriteAsync(batch.AsMemory(0, used)).ConfigureAwait(false);
                used = 0;
            }

            used += message.WriteHeader(batch.AsSpan(used));
            if (isGathered)
            {
                payload.CopyTo(batch.AsSpan(used));
                used += payload.Length;
            }
            else
            {
                await stream.WriteAsync(batch.AsMemory(0, used)).ConfigureAwait(false);
                used = 0;
                await SendPiecesAsync(stream, payload).ConfigureAwait(false);
            }

            source.OnSent(message);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private static async ValueTask SendPiecesAsync(Stream stream, BlockBuffers payload)
    {
        int left = payload.Length;
        for (int i = 0; left > 0; i++)
        {
            Memory<byte> piece = payload[i];
            piece = piece.Length > left ? piece[..left] : piece;
            await stream.WriteAsync(piece).ConfigureAwait(false);
            left -= piece.Length;
        }
    }
}
