using System.Buffers.Binary;
using BenchmarkDotNet.Attributes;
using Uml.Core.Machine;
using Uml.Core.Sandbox;
using Uml.Devices.Board;
using Uml.Devices.Virtio;
using Uml.Hosting.Testing;
using Uml.Storage.Blocks;

namespace Uml.Benchmarks;

/// <summary>
/// A disk's queue from the driver's notification to the used ring: chains are read, 4 KiB are read from memory, results are written, and one
/// interrupt is raised for the batch. Each operation is one request.
/// </summary>
[MemoryDiagnoser]
public class VirtqueueBenchmarks
{
    private const ulong Headers = 0x10_0000, Data = 0x20_0000, Rings = 0x4_0000;
    private const int RequestSize = 4096, HeaderSlot = 64, ResultOffset = 16, BatchesPerInvoke = 64;

    private DeviceSandbox _sandbox = null!;
    private VirtioPciDriver _driver = null!;
    private VirtioDriverQueue _queue = null!;
    private ushort[] _heads = null!;

    /// <summary>Requests that one notification makes available.</summary>
    [Params(1, 8, 32)]
    public int Batch { get; set; }

    /// <summary>Whether descriptors are in tables of their own, as Linux's drivers have them.</summary>
    [Params(false, true)]
    public bool IsIndirect { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        _sandbox = new DeviceSandbox(builder => builder
            .Configure(machine => (machine.MemorySize, machine.ClockMode) = (8 << 20, ClockMode.Real))
            .AddStandardBoard()
            .AddBlockDevice(new MemoryBlockDevice(1 << 20)));
        _driver = new VirtioPciDriver(_sandbox, deviceType: 2);
        _driver.Negotiate(ulong.MaxValue);
        _queue = _driver.SetUpQueue(0, Rings);
        _driver.Start();
        _heads = [.. Enumerable.Range(0, Batch).Select(AddRequest)];
        ReadBatch();
    }

    [GlobalCleanup]
    public void CleanUp() => _sandbox.Dispose();

    [Benchmark(OperationsPerInvoke = BatchesPerInvoke)]
    public void Read()
    {
        for (int i = 0; i < BatchesPerInvoke / Batch; i++)
        {
            foreach (ushort head in _heads)
            {
                _queue.Publish(head);
            }

            ReadBatch();
        }
    }

    /// <summary>A chain that can be made available again and again.</summary>
    private ushort AddRequest(int index)
    {
        ulong header = Headers + ((ulong)index * HeaderSlot);
        byte[] bytes = new byte[16];
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(8), index * (RequestSize / BlockLimits.SectorSize));
        if (!_sandbox.Memory.TryWrite(new(header), bytes))
        {
            throw new InvalidOperationException("The headers are outside of RAM.");
        }

        return _queue.Add(
            [new(header, 16, false), new(Data + ((ulong)index * RequestSize), RequestSize, true), new(header + ResultOffset, 1, true)], IsIndirect);
    }

    private void ReadBatch()
    {
        _driver.Notify(0);
        if (_queue.UsedIndex != _queue.AvailableIndex || _driver.TakeInterrupt() != 0)
        {
            throw new InvalidOperationException($"{_queue.UsedIndex} of {_queue.AvailableIndex} requests are done, or there was no interrupt for them.");
        }

        _queue.SetUsedEvent(_queue.UsedIndex);
    }
}
