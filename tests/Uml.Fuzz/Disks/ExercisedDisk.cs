using System.Net.Sockets;
using Uml.Fuzz.Running;
using Uml.Storage.Blocks;
using Uml.Storage.Formats.Qcow2;
using Uml.Storage.Formats.Raw;
using Uml.Storage.Formats.UmlCow;
using Uml.Storage.Nbd.Client;
using Uml.Storage.Nbd.Server;
using Uml.Storage.Tests.Formats.UmlCow;
using Uml.Storage.Tests.Images;

namespace Uml.Fuzz.Disks;

/// <summary>A kind of disk that is exercised: how its image is made, and opened with options of any kind.</summary>
/// <param name="Name">Its name, for outcomes.</param>
/// <param name="Make">
/// Makes an image at <see cref="ImageFormat.ImagePath"/>, over <see cref="ImageFormat.BackingPath"/> if it is over one, and returns what it has.
/// </param>
/// <param name="Open">Opens it.</param>
/// <param name="IsQcow2">Whether QEMU's tools can look at it.</param>
internal sealed record ExercisedDisk(
    string Name, Func<FuzzRandom, ScratchDirectory, byte[]> Make, Func<FuzzRandom, ScratchDirectory, IBlockDevice> Open, bool IsQcow2)
{
    private const int Sector = 512, MaximumSectors = 20_000, MaximumBits = 7;

    public static IReadOnlyList<ExercisedDisk> All { get; } =
    [
        new("raw", MakeRaw, OpenRaw, IsQcow2: false),
        new("cow", MakeCow, OpenCow, IsQcow2: false),
        new("qcow2", MakeQcow2, OpenQcow2, IsQcow2: true),
    ];

    /// <summary>Opens the disk behind a server, by a Unix socket.</summary>
    /// <returns>The disk, and what ends with it: the client's device is closed first, then the server, then the image.</returns>
    public async Task<(IBlockDevice Device, Func<Task> Close)> OpenServedAsync(FuzzRandom random, ScratchDirectory scratch)
    {
        IBlockDevice image = Open(random, scratch);
        string socket = scratch["socket"];
        NbdServer server = NbdServer.Start(new NbdServerOptions
        {
            EndPoint = new UnixDomainSocketEndPoint(socket),
            Exports = [new NbdExport(image, "disk")],
            MaximumRequestSize = 1 << (16 + random.Below(6)),
        });
        NbdBlockDevice client = await NbdBlockDevice.ConnectAsync(NbdEndPoint.Unix(socket, "disk"));
        return (client, async () =>
        {
            await client.DisposeAsync();
            await server.DisposeAsync();
            await image.DisposeAsync();
        });
    }

    private static byte[] MakeRaw(FuzzRandom random, ScratchDirectory scratch)
    {
        byte[] contents = MakeContents(random);
        File.WriteAllBytes(scratch[ImageFormat.ImagePath], contents);
        return contents;
    }

    private static byte[] MakeCow(FuzzRandom random, ScratchDirectory scratch)
    {
        byte[] contents = MakeContents(random);
        File.WriteAllBytes(scratch[ImageFormat.BackingPath], contents);
        if (random.OneIn(2))
        {
            UmlCowBlockDevice.Create(scratch[ImageFormat.ImagePath], scratch[ImageFormat.BackingPath]);
        }
        else
        {
            File.WriteAllBytes(scratch[ImageFormat.ImagePath], UmlCowFile.Make(scratch[ImageFormat.BackingPath], 3, Sector << random.Below(8)));
        }

        return contents;
    }

    private static byte[] MakeQcow2(FuzzRandom random, ScratchDirectory scratch)
    {
        byte[] contents = MakeContents(random);
        bool isOver = random.OneIn(2), isOld = random.OneIn(4);
        File.WriteAllBytes(scratch[ImageFormat.BackingPath], contents);
        int length = isOver ? contents.Length : Sector * (1 + random.Below(MaximumSectors));
        Qcow2BlockDevice.Create(scratch[ImageFormat.ImagePath], length, new Qcow2CreateOptions
        {
            ClusterSize = Sector << random.Below(13),
            Version = isOld ? 2 : 3,
            RefcountBits = isOld || random.OneIn(2) ? 16 : 1 << random.Below(MaximumBits),
            BackingPath = isOver ? scratch[ImageFormat.BackingPath] : null,
        });
        return isOver ? contents : new byte[length];
    }

    /// <summary>Some data between zeroes.</summary>
    private static byte[] MakeContents(FuzzRandom random)
    {
        byte[] contents = new byte[Sector * (1 + random.Below(MaximumSectors))];
        for (int i = random.Below(20); i > 0; i--)
        {
            int start = random.Below(contents.Length);
            random.Fill(contents.AsSpan(start, Math.Min(contents.Length - start, random.Below(100_000))));
        }

        return contents;
    }

    private static RawBlockDevice OpenRaw(FuzzRandom random, ScratchDirectory scratch) =>
        RawBlockDevice.Open(scratch[ImageFormat.ImagePath], new RawImageOptions { IsSynchronous = random.OneIn(8), Discards = !random.OneIn(4) });

    private static UmlCowBlockDevice OpenCow(FuzzRandom random, ScratchDirectory scratch) =>
        UmlCowBlockDevice.Open(scratch[ImageFormat.ImagePath], new UmlCowOptions { IsSynchronous = random.OneIn(8), Discards = !random.OneIn(4) });

    private static Qcow2BlockDevice OpenQcow2(FuzzRandom random, ScratchDirectory scratch) => Qcow2BlockDevice.Open(
        scratch[ImageFormat.ImagePath],
        new Qcow2Options { Discards = !random.OneIn(4), CacheBytes = random.OneIn(2) ? 8 << 20 : random.Below(100_000) });
}
