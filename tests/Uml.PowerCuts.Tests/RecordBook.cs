using Uml.Storage.Blocks;

namespace Uml.PowerCuts.Tests;

/// <summary>What a disk has to have: of each sector, the record that was acknowledged last or one that was written later.</summary>
internal sealed class RecordBook(RecordPlan plan)
{
    /// <summary>Records that may be under way beyond the last one acknowledged; a limit of the writers'.</summary>
    public const int Window = 64;

    /// <summary>Of each sector, the record that it has had: 0 for none. A later one only may replace it.</summary>
    private readonly long[] _sectors = new long[RecordPlan.DiskLength / RecordPlan.SectorLength];

    /// <summary>The number of the next record to be written; those before that nobody acknowledged may be left out.</summary>
    public long Next { get; set; } = 1;

    /// <summary>Records that were acknowledged.</summary>
    public long Confirmed { get; private set; }

    /// <summary>Reads a disk that was opened again, and takes what it has as what it has to keep.</summary>
    /// <param name="device">The disk.</param>
    /// <param name="acknowledged">The last record that was acknowledged.</param>
    /// <param name="later">How many records behind that may have been written.</param>
    /// <exception cref="InvalidDataException">The disk has lost a record, or has what nobody wrote.</exception>
    public async Task CheckAsync(IBlockDevice device, long acknowledged, long later = Window)
    {
        byte[] disk = new byte[RecordPlan.DiskLength];
        await device.ReadAsync(0, disk);
        const int perRecord = RecordPlan.RecordLength / RecordPlan.SectorLength;
        for (; Next <= acknowledged; Next++)
        {
            _sectors.AsSpan((int)plan.GetSlot(Next) * perRecord, perRecord).Fill(Next);
            Confirmed++;
        }

        ILookup<long, long> candidates = Enumerable.Range(0, (int)later).Select(i => acknowledged + 1 + i).ToLookup(plan.GetSlot);
        for (int i = 0; i < _sectors.Length; i++)
        {
            long offset = (long)i * RecordPlan.SectorLength;
            CheckSector(i, RecordPlan.Read(disk.AsSpan((int)offset, RecordPlan.SectorLength), offset), candidates[offset / RecordPlan.RecordLength]);
        }

        Next += later;
    }

    private void CheckSector(int sector, long found, IEnumerable<long> later)
    {
        long had = _sectors[sector];
        long known = found == 0 && (had == 0 || plan.IsZeroes(had)) ? had
            : found == had && found != 0 ? had
            : later.FirstOrDefault(number => found == (plan.IsZeroes(number) ? 0 : number), -1);
        if (known < 0)
        {
            string what = found < 0 ? "what nobody wrote there" : found == 0 ? "zeroes" : $"record {found}";
            throw new InvalidDataException($"Sector {sector} has {what}, and has to have record {had} or a later one of {string.Join(", ", later)}.");
        }

        _sectors[sector] = known;
    }
}
