using System.Runtime.InteropServices;
using BenchmarkDotNet.Attributes;
using Uml.Net.Frames;

namespace Uml.Benchmarks;

/// <summary>
/// A transport alone, without a machine: one thread sends batches at one end and receives them at the other. Each operation is one frame. Derive from it
/// and open a transport of your own; the columns say packets and bits a second.
/// </summary>
[MemoryDiagnoser]
[ThroughputColumns]
public abstract class NetTransportBenchmark
{
    private const int Frames = 64 * 1024, Batch = 64, Patience = 10_000;

    private readonly NetFrame[] _sent = new NetFrame[Batch], _rooms = new NetFrame[Batch];
    private INetTransport _first = null!, _second = null!;

    /// <summary>Bytes of a frame, its header included.</summary>
    [Params(64, 1500)]
    public int FrameLength { get; set; }

    [GlobalSetup]
    public async Task SetUpAsync()
    {
        (_first, _second) = await OpenAsync();
        for (int i = 0; i < Batch; i++)
        {
            _sent[i] = new NetFrame(Pinned(FrameLength));
            _rooms[i] = new NetFrame(Pinned(2048));
        }
    }

    [GlobalCleanup]
    public virtual async Task CleanUpAsync()
    {
        await _first.DisposeAsync();
        await _second.DisposeAsync();
    }

    [Benchmark(OperationsPerInvoke = Frames)]
    public int Move()
    {
        int received = 0;
        for (int sent = 0; sent < Frames;)
        {
            // A transport that has no room for a batch gets the rest of it behind what was received.
            int now = _first.Send(_sent);
            if (now == 0)
            {
                throw new InvalidOperationException("The transport has no room although all was received.");
            }

            sent += now;
            received += Receive(now);
        }

        return received;
    }

    /// <summary>Opens both ends.</summary>
    protected abstract Task<(INetTransport First, INetTransport Second)> OpenAsync();

    private int Receive(int expected)
    {
        int received = 0;
        for (int tries = 0; received < expected; tries++)
        {
            received += _second.Receive(_rooms);
            if (tries == Patience)
            {
                throw new InvalidOperationException($"Only {received} of {expected} frames arrived: the figures would be of frames that were lost.");
            }
        }

        return received;
    }

    private static Memory<byte> Pinned(int length) =>
        MemoryMarshal.CreateFromPinnedArray(GC.AllocateArray<byte>(length, pinned: true), 0, length);
}
