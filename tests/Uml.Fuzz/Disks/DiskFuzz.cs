using Uml.Fuzz.Running;
using Uml.Storage.Blocks;
using Uml.Storage.Tests;
using Uml.Storage.Tests.Formats.Qcow2;
using Uml.Storage.Tests.Images;

namespace Uml.Fuzz.Disks;

/// <summary>
/// Exercises whole images of every format, directly and through a server: requests of any kind and size, many at once, beside a model; resized, and
/// opened again and again. QEMU's tools, where there are any, look at what is in the image meanwhile.
/// </summary>
internal static class DiskFuzz
{
    private const int MaximumOpenings = 5, MaximumBatches = 40;

    private static readonly FuzzLimits s_limits = new(TimeSpan.FromSeconds(60), 4L << 30, 1L << 30);

    public static void Run(FuzzRun run)
    {
        run.Limits = s_limits;
        bool hasQemu = PeerTool.IsInstalled("qemu-img");
        run.ForEachCase(test => ExerciseAsync(test, hasQemu).GetAwaiter().GetResult());
    }

    private static async Task ExerciseAsync(FuzzCase test, bool hasQemu)
    {
        FuzzRandom random = test.Random;
        ExercisedDisk kind = random.Pick(ExercisedDisk.All);
        using ScratchDirectory scratch = new();
        DiskModel model = new(random, kind.Make(random, scratch));
        for (int opening = 1 + random.Below(MaximumOpenings); opening > 0; opening--)
        {
            bool isServed = random.OneIn(3);
            test.Description = $"{kind.Name}{(isServed ? ", by NBD" : "")}, {model.Requests} requests before";
            await UseAsync(random, kind, scratch, model, isServed);
            test.Count(isServed ? $"{kind.Name} by NBD" : kind.Name);
            if (hasQemu && kind.IsQcow2)
            {
                CheckByQemu(scratch, model);
                test.Count("looked at by QEMU");
            }
        }
    }

    private static async Task UseAsync(FuzzRandom random, ExercisedDisk kind, ScratchDirectory scratch, DiskModel model, bool isServed)
    {
        (IBlockDevice device, Func<Task> close) = isServed ? await kind.OpenServedAsync(random, scratch) : Direct(kind.Open(random, scratch));
        try
        {
            await model.Contents.CheckAsync(device, "when it was opened");
            for (int batch = random.Below(MaximumBatches); batch > 0; batch--)
            {
                if (random.OneIn(20))
                {
                    await model.ResizeAsync(device);
                }

                await model.RunBatchAsync(device);
            }

            await model.Contents.CheckAsync(device, "before it was closed");
        }
        finally
        {
            await close();
        }

        static (IBlockDevice, Func<Task>) Direct(IBlockDevice device) => (device, async () => await device.DisposeAsync());
    }

    /// <summary>What QEMU finds: nothing wrong, not even a leak, and the same bytes.</summary>
    private static void CheckByQemu(ScratchDirectory scratch, DiskModel model)
    {
        string image = scratch[ImageFormat.ImagePath], copy = scratch["copy"];
        QemuImage.AssertClean(image);
        QemuImage.Run("convert", "-f", "qcow2", "-O", "raw", image, copy);
        model.Contents.Check(File.ReadAllBytes(copy), "as QEMU reads it");
    }
}
