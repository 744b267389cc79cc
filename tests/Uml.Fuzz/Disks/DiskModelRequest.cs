using Uml.Storage.Blocks;

namespace Uml.Fuzz.Disks;

internal enum DiskRequestKind
{
    Read,
    Write,
    Flush,
    Discard,
    Zero,
    ZeroByDiscard,
}

/// <summary>A request to a disk.</summary>
/// <param name="Kind">What it does.</param>
/// <param name="Offset">Where.</param>
/// <param name="Data">What is written or gets what is read; of others zeroes, as many as the range has.</param>
/// <param name="Cut">Where the data is cut in two pieces, if there.</param>
internal sealed record DiskModelRequest(DiskRequestKind Kind, long Offset, byte[] Data, int Cut)
{
    private bool Changes => Kind is not (DiskRequestKind.Read or DiskRequestKind.Flush);

    /// <summary>Whether the outcome depends on which of the two is first.</summary>
    public bool Disturbs(DiskModelRequest other) =>
        (Changes || other.Changes) && Kind != DiskRequestKind.Flush && other.Kind != DiskRequestKind.Flush
        && Offset < other.Offset + other.Data.Length && other.Offset < Offset + Data.Length;

    public Task RunAsync(IBlockDevice device) => Kind switch
    {
        DiskRequestKind.Read => device.ReadAsync(Offset, Buffers()).AsTask(),
        DiskRequestKind.Write => device.WriteAsync(Offset, Buffers()).AsTask(),
        DiskRequestKind.Flush => device.GetCapability<IFlushable>()!.FlushAsync().AsTask(),
        DiskRequestKind.Discard => device.GetCapability<IDiscardable>()!.DiscardAsync(Offset, Data.Length).AsTask(),
        _ => device.GetCapability<IZeroable>()!.WriteZeroesAsync(Offset, Data.Length, Kind == DiskRequestKind.ZeroByDiscard).AsTask(),
    };

    private BlockBuffers Buffers() =>
        Cut >= Data.Length ? new BlockBuffers(Data) : new BlockBuffers(new Memory<byte>[] { Data.AsMemory(0, Cut), Data.AsMemory(Cut) });
}
