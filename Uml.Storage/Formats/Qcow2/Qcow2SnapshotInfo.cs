namespace Uml.Storage.Formats.Qcow2;

/// <summary>An internal snapshot of a qcow2 image.</summary>
/// <param name="Id">Unique in the image.</param>
/// <param name="Name">What its maker called it.</param>
/// <param name="Time">When it was made.</param>
/// <param name="Length">Bytes of the disk then.</param>
/// <param name="MachineStateLength">Bytes of a machine's state that was saved with it.</param>
public sealed record Qcow2SnapshotInfo(string Id, string Name, DateTimeOffset Time, long Length, long MachineStateLength)
{
    /// <summary>Where its L1 table is.</summary>
    internal long L1Offset { get; init; }

    internal int L1Count { get; init; }
}
