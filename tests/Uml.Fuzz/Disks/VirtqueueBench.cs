using System.Diagnostics;
using Uml.Core.Machine;
using Uml.Core.Sandbox;
using Uml.Devices.Board;
using Uml.Devices.Virtio;
using Uml.Fuzz.Running;
using Uml.Hosting.Testing;

namespace Uml.Fuzz.Disks;

/// <summary>A board with a disk and a source of entropy, and their drivers.</summary>
internal sealed class VirtqueueBench : IDisposable
{
    public const int MemorySize = 8 << 20;
    public const string DiskId = "disk0", EntropyId = "rng";

    /// <summary>Where queues are, and behind them what their buffers are for.</summary>
    public const ulong DiskRings = 0x4_0000, EntropyRings = 0x10_0000, Data = 0x20_0000;

    private const int DiskType = 2, EntropyType = 4;

    /// <summary>How long the host may take for anything, also when it has much else to do.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    public VirtqueueBench(FuzzRandom random, bool isVirtual)
    {
        Random = random;
        Disk = new FuzzDisk(1 << 20, isSlow: random.OneIn(3)) { Bad = (random.Below(2048) * 512L, random.Below(3) * 512L) };
        Sandbox = new DeviceSandbox(builder => builder
            .Configure(machine => (machine.MemorySize, machine.ClockMode) = (MemorySize, isVirtual ? ClockMode.Virtual : ClockMode.Real))
            .AddStandardBoard()
            .AddBlockDevice(Disk)
            .AddEntropy());
        FindDevices();
    }

    public FuzzRandom Random { get; }

    public FuzzDisk Disk { get; }

    public DeviceSandbox Sandbox { get; }

    public VirtioPciDriver DiskDriver { get; private set; } = null!;

    public VirtioPciDriver EntropyDriver { get; private set; } = null!;

    /// <summary>Looks for the devices and switches them on, as a driver does that knows nothing of those before.</summary>
    public void FindDevices() =>
        (DiskDriver, EntropyDriver) = (new VirtioPciDriver(Sandbox, DiskType), new VirtioPciDriver(Sandbox, EntropyType));

    /// <summary>Resets a device, which has to be reset before the host's patience ends.</summary>
    public void Reset(VirtioPciDriver driver)
    {
        driver.Status = 0;
        WaitFor(() => driver.Status == 0, "a reset");
    }

    /// <summary>Lets time pass until something has come to pass; in real time on other threads.</summary>
    public void WaitFor(Func<bool> isDone, string what)
    {
        long start = Stopwatch.GetTimestamp();
        while (!isDone())
        {
            if (Stopwatch.GetElapsedTime(start) > s_patience)
            {
                throw new TimeoutException($"The device does not end {what}.");
            }

            Sandbox.Advance(1_000_000);
            Thread.Yield();
        }
    }

    /// <summary>Saves a device and restores it.</summary>
    public void SaveAndRestore(string id)
    {
        IMachineDevice device = Sandbox.Devices.Find(id)!;
        DeviceState.Restore(device, DeviceState.Save(device));
    }

    public void Write(ulong address, ReadOnlySpan<byte> bytes)
    {
        if (!Sandbox.Memory.TryWrite(new(address), bytes))
        {
            throw new InvalidOperationException($"{bytes.Length} bytes at 0x{address:x} are no RAM.");
        }
    }

    public byte[] Read(ulong address, int length)
    {
        byte[] bytes = new byte[length];
        return Sandbox.Memory.TryRead(new(address), bytes) ? bytes : throw new InvalidOperationException($"{length} bytes at 0x{address:x} are no RAM.");
    }

    public void Dispose() => Sandbox.Dispose();
}
