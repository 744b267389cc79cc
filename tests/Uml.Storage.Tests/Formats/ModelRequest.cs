using Uml.Storage.Blocks;

namespace Uml.Storage.Tests.Formats;

internal enum ModelRequestKind
{
    Read,
    Write,
    Flush,
    Discard,
    Zero,
    ZeroByDiscard,
}

/// <summary>A request to a disk that is compared with a model of it.</summary>
/// <param name="Kind">What it does.</param>
/// <param name="Offset">Where.</param>
/// <param name="Data">What is written or gets what is read; of others zeroes, as many as the range has.</param>
/// <param name="Cut">Where the data is cut in two pieces, if there.</param>
internal sealed record ModelRequest(ModelRequestKind Kind, long Offset, byte[] Data, int Cut)
{
    private bool Changes => Kind is not (ModelRequestKind.Read or ModelRequestKind.Flush);

    /// <summary>Whether the device has what the request asks for.</summary>
    public static bool IsPossible(ModelRequestKind kind, IBlockDevice device) => kind switch
    {
        ModelRequestKind.Flush => device.GetCapability<IFlushable>() is not null,
        ModelRequestKind.Discard => device.GetCapability<IDiscardable>() is not null,
        ModelRequestKind.Zero or ModelRequestKind.ZeroByDiscard => device.GetCapability<IZeroable>() is not null,
        _ => true,
    };

    /// <summary>Whether the outcome depends on which of the two is first.</summary>
    public bool Disturbs(ModelRequest other) =>
        (Changes || other.Changes) && Kind != ModelRequestKind.Flush && other.Kind != ModelRequestKind.Flush
        && Offset < other.Offset + other.Data.Length && other.Offset < Offset + Data.Length;

    public Task RunAsync(IBlockDevice device) => Kind switch
    {
        ModelRequestKind.Read => device.ReadAsync(Offset, Buffers()).AsTask(),
        ModelRequestKind.Write => device.WriteAsync(Offset, Buffers()).AsTask(),
        ModelRequestKind.Flush => device.GetCapability<IFlushable>()!.FlushAsync().AsTask(),
        ModelRequestKind.Discard => device.GetCapability<IDiscardable>()!.DiscardAsync(Offset, Data.Length).AsTask(),
        _ => device.GetCapability<IZeroable>()!.WriteZeroesAsync(Offset, Data.Length, Kind == ModelRequestKind.ZeroByDiscard).AsTask(),
    };

    private BlockBuffers Buffers() =>
        Cut >= Data.Length ? new BlockBuffers(Data) : new BlockBuffers(new Memory<byte>[] { Data.AsMemory(0, Cut), Data.AsMemory(Cut) });
}
