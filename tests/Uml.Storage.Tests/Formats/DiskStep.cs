using System.Runtime.InteropServices;
using CsCheck;

namespace Uml.Storage.Tests.Formats;

/// <summary>
/// Something that is done with an image and its model. Its numbers fit every disk, whatever the steps before made of it, so that a failing case stays
/// one when steps are left out.
/// </summary>
internal abstract record DiskStep
{
    /// <summary>Any step. Smaller numbers count as simpler.</summary>
    public static Gen<DiskStep> Any { get; } = Gen.Frequency(
        (20, Gen.Select(
            Gen.OneOf(
                ModelRequestKind.Write, ModelRequestKind.Write, ModelRequestKind.Write, ModelRequestKind.Read, ModelRequestKind.Read,
                ModelRequestKind.Discard, ModelRequestKind.Zero, ModelRequestKind.ZeroByDiscard, ModelRequestKind.Flush),
            Gen.Int[0, ModelledImageTests.MaximumSectors - 1],
            Gen.Frequency((3, Gen.Int[1, 16]), (1, Gen.Int[1, 400])),
            Gen.Int[0, 3000],
            Gen.Int[1, byte.MaxValue],
            DiskStep (kind, start, count, cut, fill) => new RequestStep(kind, start, count, cut, (byte)fill))),
        (1, Gen.Int[1, ModelledImageTests.MaximumSectors].Select(DiskStep (sectors) => new ResizeStep(sectors))),
        (1, Gen.Const<DiskStep>(new ReopenStep())));

    public abstract Task RunAsync(ModelledDisk disk);
}

/// <param name="Kind">What is asked for.</param>
/// <param name="Start">The first sector, counted around.</param>
/// <param name="Count">Sectors, fewer where the disk ends.</param>
/// <param name="Cut">Bytes before the second piece of the memory.</param>
/// <param name="Fill">What tells the data from others.</param>
internal sealed record RequestStep(ModelRequestKind Kind, int Start, int Count, int Cut, byte Fill) : DiskStep
{
    public override Task RunAsync(ModelledDisk disk)
    {
        int start = Start % disk.Contents.Sectors;
        byte[] data = new byte[Math.Min(Count, disk.Contents.Sectors - start) * ModelContents.Sector];
        if (Kind == ModelRequestKind.Write)
        {
            Span<int> words = MemoryMarshal.Cast<byte, int>(data.AsSpan());
            for (int i = 0; i < words.Length; i++)
            {
                words[i] = (Fill << 24) + i;
            }
        }

        return disk.RunAsync(new ModelRequest(Kind, (long)start * ModelContents.Sector, data, Cut));
    }
}

/// <param name="Sectors">What the disk has then.</param>
internal sealed record ResizeStep(int Sectors) : DiskStep
{
    public override Task RunAsync(ModelledDisk disk) => disk.ResizeAsync(Sectors);
}

/// <summary>The image is closed, looked at, and opened again.</summary>
internal sealed record ReopenStep : DiskStep
{
    public override Task RunAsync(ModelledDisk disk) => disk.ReopenAsync();
}
