using System.Buffers.Binary;
using Uml.Fuzz.Running;
using Uml.Storage.Blocks;
using Uml.Storage.Tests.Images;

namespace Uml.Fuzz.Disks;

/// <summary>
/// Attacks the formats of disk images: what is damaged is refused, or read and written with no errors but those of requests; what is not damaged
/// keeps what was written.
/// </summary>
internal static class ImageFuzz
{
    private const int Sector = 512, MaximumSectors = 256;

    /// <summary>The largest sparse backing file, 4 TiB, so that images may tell of large ones: ext4 and tmpfs have room for no larger ones.</summary>
    private const ulong MaximumBacking = 1UL << 42;

    private static readonly DateTime s_backingTime = new(2021, 6, 1, 0, 0, 0, DateTimeKind.Utc);

    public static void Run(FuzzRun run) => run.ForEachCase(Attack);

    private static void Attack(FuzzCase test)
    {
        FuzzRandom random = test.Random;
        using ScratchDirectory scratch = new();
        ImageFormat format = random.Pick(ImageFormat.All);
        bool isDamaged = !random.OneIn(4);
        test.Description = $"{format.Name}, {(isDamaged ? "damaged" : "whole")}";
        byte[] backing = random.Bytes(ImageFormat.Length);
        File.WriteAllBytes(scratch[ImageFormat.BackingPath], backing);
        File.SetLastWriteTimeUtc(scratch[ImageFormat.BackingPath], s_backingTime);
        format.Make(random, scratch);
        if (!isDamaged)
        {
            Keep(test, format, scratch);
            return;
        }

        if (random.OneIn(2))
        {
            Use(random, format.Open(random, scratch), canBeCut: null);
        }

        Damage(random, format, scratch);
        try
        {
            Use(random, format.Open(random, scratch), random.OneIn(4) ? scratch[ImageFormat.ImagePath] : null);
            test.Count("used");
        }
        catch (DiskImageException)
        {
            test.Count("refused");
        }
    }

    /// <summary>Damages a file, and gives the image below the size that the damaged file tells, so that it is not refused for that alone.</summary>
    private static void Damage(FuzzRandom random, ImageFormat format, ScratchDirectory scratch)
    {
        byte[] bytes = Mutator.Mutate(random, File.ReadAllBytes(scratch[ImageFormat.ImagePath]), format.HeaderLength);
        File.WriteAllBytes(scratch[ImageFormat.ImagePath], bytes);
        if (random.OneIn(2))
        {
            ulong size = random.OneIn(2) ? random.Nasty() % MaximumBacking : (ulong)random.Below(2 * ImageFormat.Length);
            using (FileStream backing = File.OpenWrite(scratch[ImageFormat.BackingPath]))
            {
                backing.SetLength((long)size);
            }

            File.SetLastWriteTimeUtc(scratch[ImageFormat.BackingPath], s_backingTime);
            WriteSize(format, bytes, size);
            File.WriteAllBytes(scratch[ImageFormat.ImagePath], bytes);
        }
    }

    private static void WriteSize(ImageFormat format, byte[] bytes, ulong size)
    {
        int at = format.Name switch { "cow of version 1" => 268, "cow of version 2" => 4108, "cow of version 3" => 12, _ => -1 };
        if (at < 0 || bytes.Length < at + sizeof(ulong))
        {
            return;
        }

        BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(at), at == 268 ? BinaryPrimitives.ReverseEndianness(size) : size);
    }

    /// <summary>Uses an image that may be damaged: requests end, with errors of requests at most.</summary>
    private static void Use(FuzzRandom random, IBlockDevice device, string? canBeCut)
    {
        try
        {
            for (int i = random.Below(30); i > 0; i--)
            {
                UseOnce(random, device);
                if (canBeCut is not null && random.OneIn(10))
                {
                    using FileStream file = new(canBeCut, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
                    file.SetLength(random.Below((int)Math.Min(file.Length, 4 * ImageFormat.Length) + 1));
                }
            }
        }
        finally
        {
            Ends(device.DisposeAsync);
        }
    }

    private static void UseOnce(FuzzRandom random, IBlockDevice device)
    {
        long sectors = device.Length / Sector;
        long start = random.OneIn(16) ? (long)random.Nasty() : sectors == 0 ? 0 : (long)(random.UInt64() % (ulong)sectors);
        bool isOutside = start < 0 || start >= sectors;
        int count = isOutside ? random.Below(MaximumSectors) : (int)Math.Min(sectors - start, random.Below(MaximumSectors));
        long offset = isOutside ? unchecked(start * Sector) : start * Sector;
        try
        {
            Ends(() => Begin(random, device, offset, count * Sector));
        }
        catch (ArgumentOutOfRangeException) when (isOutside)
        {
            // Refused, as it has to be.
        }
    }

    private static ValueTask Begin(FuzzRandom random, IBlockDevice device, long offset, int length)
    {
        switch (random.Below(8))
        {
            case 0 when device.GetCapability<IFlushable>() is { } flushable:
                return flushable.FlushAsync();
            case 1 when device.GetCapability<IDiscardable>() is { } discardable:
                return discardable.DiscardAsync(offset, length);
            case 2 when device.GetCapability<IZeroable>() is { } zeroable:
                return zeroable.WriteZeroesAsync(offset, length, random.OneIn(2));
            case < 6:
                return device.WriteAsync(offset, random.Bytes(length));
            default:
                return device.ReadAsync(offset, new byte[length]);
        }
    }

    private static void Ends(Func<ValueTask> request)
    {
        try
        {
            request().AsTask().GetAwaiter().GetResult();
        }
        catch (BlockIOException)
        {
            // An error of that request, which a damaged or cut image may have.
        }
    }

    /// <summary>Writes to an image that is whole, opens it again, and compares.</summary>
    private static void Keep(FuzzCase test, ImageFormat format, ScratchDirectory scratch)
    {
        FuzzRandom random = test.Random;
        byte[] model;
        IBlockDevice device = format.Open(random, scratch);
        try
        {
            model = ReadAll(device);
            for (int i = random.Below(30); i > 0 && !device.IsReadOnly; i--)
            {
                Change(random, device, model);
            }

            Compare(device, model, "before it is closed");
        }
        finally
        {
            device.DisposeAsync().AsTask().GetAwaiter().GetResult();
        }

        IBlockDevice again = format.Open(random, scratch);
        try
        {
            Compare(again, model, "after it was opened again");
        }
        finally
        {
            again.DisposeAsync().AsTask().GetAwaiter().GetResult();
        }

        test.Count("kept");
    }

    private static void Change(FuzzRandom random, IBlockDevice device, byte[] model)
    {
        int start = random.Below(model.Length / Sector);
        int count = Math.Min((model.Length / Sector) - start, random.Below(40));
        Memory<byte> range = model.AsMemory(start * Sector, count * Sector);
        if (random.OneIn(4))
        {
            range.Span.Clear();
            device.GetCapability<IZeroable>()!.WriteZeroesAsync(start * Sector, range.Length, random.OneIn(2)).AsTask().GetAwaiter().GetResult();
            return;
        }

        random.Fill(range.Span);
        device.WriteAsync(start * Sector, range.ToArray()).AsTask().GetAwaiter().GetResult();
    }

    private static byte[] ReadAll(IBlockDevice device)
    {
        byte[] contents = new byte[device.Length];
        device.ReadAsync(0, contents).AsTask().GetAwaiter().GetResult();
        return contents;
    }

    private static void Compare(IBlockDevice device, byte[] model, string when)
    {
        int same = ReadAll(device).AsSpan().CommonPrefixLength(model);
        if (same != model.Length)
        {
            throw new InvalidOperationException($"The image differs at {same} from what was written to it, {when}.");
        }
    }
}
