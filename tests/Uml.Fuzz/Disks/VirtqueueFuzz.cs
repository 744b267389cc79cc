using Uml.Fuzz.Running;
using Uml.Hosting.Testing;

namespace Uml.Fuzz.Disks;

/// <summary>
/// Attacks virtio devices as their driver: what a driver that obeys asks for is done as it has to be, and one that does not harms nothing and
/// leaves a device that works again behind a reset.
/// </summary>
internal static class VirtqueueFuzz
{
    private const int MaximumAnswer = 4096;

    public static void Run(FuzzRun run) => run.ForEachCase(Attack);

    private static void Attack(FuzzCase test)
    {
        FuzzRandom random = test.Random;
        bool isVirtual = random.OneIn(2);
        using VirtqueueBench bench = new(random, isVirtual);
        int phases = 1 + random.Below(4);
        for (int i = 0; i < phases; i++)
        {
            bool isHostile = random.OneIn(2);
            test.Description = $"{(isVirtual ? "virtual" : "real")} time, phase {i}, {(isHostile ? "hostile" : "honest")}";
            if (isHostile)
            {
                RunHostile(test, bench);
            }
            else
            {
                new HonestDriver(bench).Run(10 + random.Below(60));
                test.Count("obeyed");
            }
        }

        test.Description = $"{(isVirtual ? "virtual" : "real")} time, at the end";
        new HonestDriver(bench).Run(10);
        CheckEntropy(bench);
    }

    private static void RunHostile(FuzzCase test, VirtqueueBench bench)
    {
        HostileDriver driver = new(bench);
        driver.Run(1 + test.Random.Below(60));
        test.Count((bench.DiskDriver.Status & 64) != 0 ? "broke the disk" : "broke nothing");
        if (driver.NeedsReboot || test.Random.OneIn(4))
        {
            bench.Sandbox.Reset();
        }

        bench.FindDevices();
    }

    private static void CheckEntropy(VirtqueueBench bench)
    {
        VirtioPciDriver driver = bench.EntropyDriver;
        bench.Reset(driver);
        driver.Negotiate(ulong.MaxValue);
        VirtioDriverQueue queue = driver.SetUpQueue(0, VirtqueueBench.EntropyRings);
        driver.Start();
        uint length = (uint)bench.Random.Below(6000);
        queue.Add([new(VirtqueueBench.Data, length, true), new(VirtqueueBench.Data + 0x1_0000, 16, true)]);
        bench.Write(VirtqueueBench.Data + MaximumAnswer, [0x77]);
        driver.Notify(0);
        bench.WaitFor(() => queue.UsedIndex == 1, "a request for entropy");
        queue.TryTakeUsed(out _, out uint written);
        if (written != Math.Min(length + 16, MaximumAnswer) || bench.Read(VirtqueueBench.Data + MaximumAnswer, 1)[0] != 0x77)
        {
            throw new InvalidOperationException($"{written} bytes of entropy were written where {length + 16} were asked for.");
        }
    }
}
