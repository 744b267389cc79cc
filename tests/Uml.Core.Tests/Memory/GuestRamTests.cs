using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Uml.Core.Clock;
using Uml.Core.Cpu;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Interop;
using Uml.Core.Machine;
using Uml.Core.Memory;
using Uml.Core.Tests.Interop;
using Uml.Core.Tests.Machine;

namespace Uml.Core.Tests.Memory;

/// <summary>What guest RAM is made of.</summary>
public sealed unsafe class GuestRamTests
{
    private const ulong Size = 1 << 20;

    [Test]
    [Platform("Linux")]
    public void RAM_of_a_machine_is_a_file_that_others_can_map()
    {
        using GuestRam ram = GuestRam.Create(Size, out string? refusal);
        Assert.That(refusal, Is.Null);
        Assert.That(ram.TryWrite(new(0x1234), [1, 2, 3]));
        byte[] read = new byte[3];
        Assert.That(RandomAccess.Read(ram.File!, read, 0x1234), Is.EqualTo(3));
        Assert.That(read, Is.EqualTo(new byte[] { 1, 2, 3 }));
        RandomAccess.Write(ram.File!, [4], 0x1234);
        Assert.That(ram.TryRead(new(0x1234), read.AsSpan(0, 1)) && read[0] == 4);
        Assert.That(HostMapping.All().Single(mapping => mapping.Start == (ulong)ram.Base).Access, Is.EqualTo("rw-s"));
    }

    [Test]
    [Platform("Linux")]
    public void Nobody_can_make_the_file_smaller_or_larger()
    {
        using GuestRam ram = GuestRam.Create(Size, out _);
        Assert.That(Libc.Ftruncate((int)ram.File!.DangerousGetHandle(), 4096), Is.EqualTo(-1));
        Assert.That(Libc.Ftruncate((int)ram.File!.DangerousGetHandle(), (long)Size * 2), Is.EqualTo(-1));
        Assert.That(RandomAccess.GetLength(ram.File!), Is.EqualTo((long)Size));
    }

    [Test]
    [Platform("Linux")]
    public void A_machine_whose_memory_cannot_be_a_file_says_why_and_runs_without()
    {
        using var log = new RecordingLoggerFactory();
        var builder = new VirtualMachineBuilder();
        builder.Configure(options => (options.Name, options.MemorySize, options.Cpu.Engine) = ("small", 4 << 20, CpuEngine.Interpreter));
        builder.Services.AddSingleton<ILoggerFactory>(log);
        IVirtualMachine machine;
        using (new HostLimit(Libc.LimitFileSize, 1 << 20))
        {
            machine = builder.Build();
        }

        Assert.That(machine.Memory.TryWrite(new(0), [1]));
        Assert.That(
            log.Lines,
            Has.One.EqualTo("Information The memory of machine small cannot be shared with other processes: the limit of a file's size is 1048576 bytes (ulimit -f)"));
        Assert.That(() => machine.DisposeAsync().AsTask(), Throws.Nothing);
    }

    [Test]
    [Platform("Linux")]
    public void Memory_is_anonymous_when_asked_for_without_a_word_about_it([Values] bool shareable)
    {
        using var log = new RecordingLoggerFactory();
        MachineOptions options = new() { MemorySize = 4 << 20, ShareableMemory = shareable };
        using MachineHardware hardware = new MachineHardwareFactory().Create(options, new VirtualTimeClock(DateTimeOffset.UnixEpoch), log);
        Assert.That(((GuestRam)hardware.Memory).File is not null, Is.EqualTo(shareable));
        Assert.That(log.Lines, Has.None.Contains("cannot be shared"));
    }

    [Test]
    [Platform("Linux")]
    public void A_limit_of_file_sizes_refuses_memory_for_code_instead_of_ending_the_process()
    {
        string? message = null;
        using (new HostLimit(Libc.LimitFileSize, 1 << 20))
        {
            try
            {
                new CodeMemory(4 << 20).Dispose();
            }
            catch (InsufficientMemoryException e)
            {
                message = e.Message;
            }
        }

        Assert.That(message, Does.Contain("4 MiB of memory for translated code (the limit of a file's size is 1048576 bytes"));
    }

    [Test]
    public void Cleared_memory_is_zero_and_the_rest_is_as_it_was([Values] bool isFile)
    {
        Assume.That(!isFile || OperatingSystem.IsLinux());
        using GuestRam ram = isFile ? GuestRam.Create(Size, out _) : new GuestRam(Size);
        byte[] expected = new byte[Size];
        foreach ((int start, int length) in new[] { (0, 4096), (5, 10), (100, 9000), (4096, 8192), (8191, 4098), (4095, 1), (12288, 0), (50_000, 100_000) })
        {
            Assert.That(ram.TryGetSpan(new(0), (int)Size, out Span<byte> all));
            all.Fill(0xA5);
            Array.Fill(expected, (byte)0xA5);
            Assert.That(ram.TryClear(new((ulong)start), length));
            expected.AsSpan(start, length).Clear();
            Assert.That(all.SequenceEqual(expected), $"{start}, {length}");
        }

        Assert.That(ram.TryClear(new(Size - 1), 2), Is.False);
        Assert.That(ram.TryClear(new(0), -1), Is.False);
    }
}
