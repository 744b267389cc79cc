using BenchmarkDotNet.Attributes;
using Uml.Storage.Blocks;
using Uml.Storage.Formats.Qcow2;
using Uml.Storage.Formats.Raw;
using Uml.Storage.Formats.UmlCow;

namespace Uml.Benchmarks;

/// <summary>Where a block device has its data.</summary>
public enum BenchmarkedDevice
{
    Memory,
    Raw,

    /// <summary>Every sector is in the copy-on-write file already.</summary>
    UmlCow,

    /// <summary>Every cluster has its place already.</summary>
    Qcow2,
}

/// <summary>
/// Block devices alone, without a machine: 4 KiB at random places of 128 MiB, one request after the other. Each operation is one request. Files are
/// in the folder of UML_BENCHMARK_FOLDER, or of temporary files: a file system in memory shows what the format costs.
/// </summary>
[MemoryDiagnoser]
public class BlockDeviceBenchmarks
{
    private const int Requests = 4096, RequestSize = 4096;
    private const long Length = 128L << 20;

    private readonly byte[] _buffer = new byte[RequestSize];
    private readonly long[] _offsets = new long[Requests];
    private string _folder = null!;
    private IBlockDevice _device = null!;

    [ParamsAllValues]
    public BenchmarkedDevice Device { get; set; }

    [GlobalSetup]
    public async Task SetUpAsync()
    {
        Random random = new(1);
        random.NextBytes(_buffer);
        for (int i = 0; i < Requests; i++)
        {
            _offsets[i] = random.NextInt64(Length / RequestSize) * RequestSize;
        }

        string parent = Environment.GetEnvironmentVariable("UML_BENCHMARK_FOLDER") ?? Path.GetTempPath();
        _folder = Path.Combine(parent, $"uml-benchmark-{Guid.NewGuid():N}");
        Directory.CreateDirectory(_folder);
        _device = Open(Path.Combine(_folder, "disk"));
        for (long offset = 0; offset < Length; offset += RequestSize)
        {
            await _device.WriteAsync(offset, _buffer);
        }

        if (_device.GetCapability<IFlushable>() is { } flushable)
        {
            await flushable.FlushAsync();
        }
    }

    [GlobalCleanup]
    public async Task CleanUpAsync()
    {
        await _device.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Benchmark(OperationsPerInvoke = Requests)]
    public async ValueTask ReadAsync()
    {
        foreach (long offset in _offsets)
        {
            await _device.ReadAsync(offset, _buffer);
        }
    }

    [Benchmark(OperationsPerInvoke = Requests)]
    public async ValueTask WriteAsync()
    {
        foreach (long offset in _offsets)
        {
            await _device.WriteAsync(offset, _buffer);
        }
    }

    private IBlockDevice Open(string path)
    {
        switch (Device)
        {
            case BenchmarkedDevice.Memory:
                return new MemoryBlockDevice(Length);
            case BenchmarkedDevice.Raw:
                RawBlockDevice.Create(path, Length);
                return RawBlockDevice.Open(path);
            case BenchmarkedDevice.UmlCow:
                RawBlockDevice.Create(path + ".base", Length);
                UmlCowBlockDevice.Create(path, path + ".base");
                return UmlCowBlockDevice.Open(path);
            default:
                Qcow2BlockDevice.Create(path, Length);
                return Qcow2BlockDevice.Open(path);
        }
    }
}
