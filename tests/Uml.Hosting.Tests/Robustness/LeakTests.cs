using System.IO.Compression;
using Uml.Core.Boot;
using Uml.Core.Machine;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Hosting.Tests.Robustness;

/// <summary>Machines that are gone leave nothing behind: memory, handles, threads.</summary>
[CancelAfter(300_000)]
[NonParallelizable]
public sealed class LeakTests
{
    private const int Machines = 200;
    private const long MiB = 1 << 20;

    // One machine that leaks its touched memory (some MiB with code cache and tables) 200 times is far beyond; the runtime's own ups and downs are below.
    private const long Tolerance = 32 * MiB;

    [Test]
    public async Task Two_hundred_machines_that_ran_leave_nothing(CancellationToken token) => await AssertNoLeakAsync(async () =>
    {
        await using IVirtualMachine machine = FlatGuest.CreateBuilder(Busy).Build();
        await machine.StartAsync(token);
        Assert.That((await machine.WaitForExitAsync(token)).Reason, Is.EqualTo(MachineExitReason.DebugExit));
    });

    [Test]
    public async Task Two_hundred_machines_that_never_started_leave_nothing(CancellationToken token) => await AssertNoLeakAsync(async () =>
    {
        await using IVirtualMachine machine = FlatGuest.CreateBuilder(Busy).Build();
        FlatGuest.Write(machine, FlatGuest.Data, new byte[MiB]);
        Assert.That(machine.State, Is.EqualTo(MachineState.Created));
    });

    [Test]
    public async Task Machines_disposed_while_running_or_paused_leave_nothing(CancellationToken token)
    {
        int count = 0;
        await AssertNoLeakAsync(async () =>
        {
            await using IVirtualMachine machine = FlatGuest.CreateBuilder(a =>
            {
                var again = a.CreateLabel();
                a.Label(ref again);
                a.inc(rax);
                a.jmp(again);
            }).Build();
            await machine.StartAsync(token);
            if (count++ % 2 == 0)
            {
                await machine.PauseAsync(token);
            }
        });
    }

    [Test]
    public async Task Kernels_that_turn_out_to_be_damaged_leave_nothing(CancellationToken token)
    {
        // Sound up to its last bytes, so that megabytes are unpacked by the time the damage shows.
        byte[] kernel = Pack(new byte[2 * MiB]);
        kernel[^6] ^= 0xFF;
        await AssertNoLeakAsync(async () =>
        {
            await using IVirtualMachine machine = UmlMachine.CreateDefaultBuilder().UseKernel(BootFile.FromBytes(kernel)).Build();
            Assert.That(() => machine.StartAsync(token), Throws.InstanceOf<KernelImageException>());
        });
    }

    [Test]
    public async Task Machines_that_could_not_be_built_or_started_leave_nothing(CancellationToken token)
    {
        await AssertNoLeakAsync(async () =>
        {
            Assert.That(FlatGuest.CreateBuilder(Busy).Configure(options => options.Name = "").Build, Throws.Exception);
            await using IVirtualMachine machine = UmlMachine.CreateDefaultBuilder().UseKernel("/nonexistent").Build();
            Assert.That(() => machine.StartAsync(token), Throws.Exception);
        });
    }

    private static byte[] Pack(byte[] bytes)
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest))
        {
            gzip.Write(bytes);
        }

        return packed.ToArray();
    }

    private static void Busy(Iced.Intel.Assembler a)
    {
        a.mov(rdi, FlatGuest.Data);
        a.mov(ecx, (int)MiB);
        a.rep.stosb();
        FlatGuest.Exit(a, 1);
    }

    private static async Task AssertNoLeakAsync(Func<Task> live)
    {
        if (!OperatingSystem.IsLinux())
        {
            Assert.Ignore("Counts by /proc.");
        }

        // The first ones let the runtime compile and the pools fill.
        await RepeatAsync(live, 20);
        Usage before = await MeasureAsync();
        await RepeatAsync(live, Machines);
        Usage after = await MeasureAsync();
        Assert.Multiple(() =>
        {
            Assert.That(after.Resident - before.Resident, Is.LessThan(Tolerance), $"resident memory: {before} -> {after}");
            Assert.That(after.Mapped - before.Mapped, Is.LessThan(Tolerance * 8), $"address space: {before} -> {after}");
            Assert.That(after.Handles - before.Handles, Is.LessThan(10), $"handles: {before} -> {after}");
            Assert.That(after.Threads - before.Threads, Is.LessThan(10), $"threads: {before} -> {after}");
        });
    }

    private static async Task RepeatAsync(Func<Task> live, int count)
    {
        for (int i = 0; i < count; i++)
        {
            await live();
        }
    }

    private static async Task<Usage> MeasureAsync()
    {
        // Threads end a moment after their machines.
        await Task.Delay(100);
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        GC.WaitForPendingFinalizers();
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        string[] pages = (await File.ReadAllTextAsync("/proc/self/statm")).Split(' ');
        return new Usage(
            long.Parse(pages[0], System.Globalization.CultureInfo.InvariantCulture) * Environment.SystemPageSize,
            long.Parse(pages[1], System.Globalization.CultureInfo.InvariantCulture) * Environment.SystemPageSize,
            Directory.GetFileSystemEntries("/proc/self/fd").Length,
            Directory.GetDirectories("/proc/self/task").Length);
    }

    private sealed record Usage(long Mapped, long Resident, int Handles, int Threads)
    {
        public override string ToString() => $"{Mapped / MiB} MiB mapped, {Resident / MiB} MiB resident, {Handles} handles, {Threads} threads";
    }
}
