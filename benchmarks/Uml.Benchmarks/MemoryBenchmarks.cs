using BenchmarkDotNet.Attributes;
using Uml.Core.Cpu;
using Uml.Core.Memory;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Benchmarks;

/// <summary>What a log of written pages costs a guest that does nothing but store, each time to another of 4,096 pages. Each operation is one store.</summary>
public class DirtyLogBenchmarks
{
    private const int Pages = 4096, Passes = 100;
    private const ulong End = BenchmarkGuest.Data + ((ulong)Pages << 12);

    private BareGuest _guest = null!;
    private DirtyLog? _log;

    [Params(CpuEngine.Interpreter, CpuEngine.Jit)]
    public CpuEngine Engine { get; set; }

    /// <summary>How often the log is collected, in stores; 0: there is none, <see cref="int.MaxValue"/>: never.</summary>
    [Params(0, int.MaxValue, Pages * Passes, Pages * 10, Pages)]
    public int Collected { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        _guest = BenchmarkGuest.Create(Engine);
        _guest.Load(a =>
        {
            var top = a.CreateLabel();
            a.mov(rdi, BenchmarkGuest.Data);
            a.Label(ref top);
            a.mov(__qword_ptr[rdi], rdi);
            a.add(rdi, 4096);
            a.cmp(rdi, (int)End);
            a.jb(top);
            a.hlt();
        });
        _guest.RunAll(long.MaxValue / 2);
        _log = Collected == 0 ? null : new DirtyLog(_guest.Cpu.Ram);
    }

    [GlobalCleanup]
    public void CleanUp()
    {
        _log?.Dispose();
        _guest.Dispose();
    }

    [Benchmark(OperationsPerInvoke = Pages * Passes)]
    public void Store()
    {
        for (int stores = Pages; stores <= Pages * Passes; stores += Pages)
        {
            _guest.RunAll(long.MaxValue / 2);
            if (_log is not null && stores % Collected == 0 && _log.Collect().Count < Pages)
            {
                throw new InvalidOperationException("The log has fewer pages than were written to.");
            }
        }
    }
}

/// <summary>What the first touch of each page of guest RAM costs the host, and giving it back. Each operation is one page.</summary>
public class FirstTouchBenchmarks
{
    private const int Pages = 16 << 10;

    [Params(false, true)]
    public bool IsFile { get; set; }

    [Benchmark(OperationsPerInvoke = Pages)]
    public void Touch()
    {
        using GuestRam ram = IsFile ? GuestRam.Create((ulong)Pages << 12, out _) : new GuestRam((ulong)Pages << 12);
        for (ulong page = 0; page < Pages; page++)
        {
            ram.TryWrite(new(page << 12), [1]);
        }
    }
}

/// <summary>Devices' ways to guest RAM: 4 KiB each.</summary>
[MemoryDiagnoser]
public class DeviceAccessBenchmarks
{
    private readonly GuestRam _ram = new(16 << 20);
    private readonly byte[] _buffer = new byte[4096];

    [GlobalCleanup]
    public void CleanUp() => _ram.Dispose();

    [Benchmark]
    public bool Copy() => _ram.TryWrite(new(0x10_0000), _buffer);

    [Benchmark]
    public void Lease()
    {
        if (_ram.TryLease(new(0x10_0000), _buffer.Length, out System.Buffers.IMemoryOwner<byte>? lease))
        {
            lease.Dispose();
            _ram.Writes.TakeCompleted();
        }
    }

    [Benchmark]
    public void LeaseReadOnly()
    {
        if (_ram.TryLeaseReadOnly(new(0x10_0000), _buffer.Length, out IReadOnlyMemoryOwner? lease))
        {
            lease.Dispose();
        }
    }
}
