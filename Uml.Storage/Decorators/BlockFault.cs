using Uml.Storage.Blocks;

namespace Uml.Storage.Decorators;

/// <summary>
/// A failure that a test wants: which requests it is about, which of those fail, and how. A request has to meet every condition that is
/// set; with none set, every request of <see cref="Kinds"/> fails.
/// </summary>
public sealed record BlockFault
{
    /// <summary>What kinds of requests it is about.</summary>
    public BlockRequestKind Kinds { get; init; } = BlockRequestKind.All;

    /// <summary>The first byte of the range it is about. A request meets it that has a byte within; a flush or a new size has none, and meets only the whole device.</summary>
    public long Offset { get; init; }

    /// <summary>Bytes of the range.</summary>
    public long Length { get; init; } = long.MaxValue;

    /// <summary>Which of the requests that meet everything else fails, from 1 on; null for all of them.</summary>
    public long? Nth { get; init; }

    /// <summary>How likely it is that such a request fails, 0 to 1; by the seed of the device.</summary>
    public double Probability { get; init; } = 1;

    /// <summary>A condition of the test's own. Called for one request at a time.</summary>
    public Func<BlockRequest, bool>? Predicate { get; init; }

    /// <summary>Why the request fails.</summary>
    public BlockError Error { get; init; } = BlockError.Io;

    /// <summary>What happens to the requests after the first that failed.</summary>
    public BlockFaultRepeat Repeat { get; init; } = BlockFaultRepeat.EachTime;

    /// <summary>
    /// Bytes at the start of the request that are carried out before it fails, rounded down to blocks: a short transfer, or of a write, one that is torn.
    /// At most the request's.
    /// </summary>
    public long TransferredBytes { get; init; }

    /// <summary>Whether a number of blocks by the seed, instead of <see cref="TransferredBytes"/>, is carried out.</summary>
    public bool TransfersAtRandom { get; init; }

    internal bool Concerns(in BlockRequest request) => (request.Kind & Kinds) != 0 && (request.HasRange
        ? request.Offset - Offset < Length && request.Offset + request.Length > Offset
        : Offset == 0 && Length == long.MaxValue);
}

/// <summary>What a fault does after the first time.</summary>
public enum BlockFaultRepeat
{
    /// <summary>It happens whenever its conditions are met.</summary>
    EachTime,

    /// <summary>It happens once.</summary>
    Once,

    /// <summary>From the first time on, every request of its kinds and range fails, as with a part of a disk that has gone bad.</summary>
    Sticky,

    /// <summary>From the first time on, every request whatsoever fails with <see cref="BlockError.Gone"/>, as when the power goes.</summary>
    PowerLoss,
}
