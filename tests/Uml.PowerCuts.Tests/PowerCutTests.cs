using Uml.Storage.Blocks;

namespace Uml.PowerCuts.Tests;

/// <summary>A few rounds of each kind and format; hundreds are for tests/soak/power-cuts.sh.</summary>
public sealed class PowerCutTests
{
    public static IEnumerable<string> Formats => DiskFormat.All.Select(format => format.Name);

    [TestCaseSource(nameof(Formats))]
    public Task A_killed_machine_s_disk_has_what_was_acknowledged(string format) =>
        new KillRounds(DiskFormat.Get(format), 1, TestContext.Out).RunAsync(5, "drive");

    [TestCaseSource(nameof(Formats))]
    public Task Lost_power_leaves_what_was_acknowledged(string format) =>
        new PowerLossRounds(DiskFormat.Get(format), 1, TestContext.Out).RunAsync(10);

    [TestCaseSource(nameof(Formats))]
    [Category("Guest")]
    public Task A_killed_guest_s_files_are_there_and_its_file_system_is_clean(string format) =>
        new FileRounds(DiskFormat.Get(format), 1, TestContext.Out).RunAsync(2);

    [Test]
    public async Task A_record_that_is_lost_or_nobody_s_is_noticed()
    {
        RecordPlan plan = new(1);
        await using MemoryBlockDevice disk = new(RecordPlan.DiskLength);
        long number = Enumerable.Range(1, 10).First(candidate => !plan.IsZeroes(candidate));
        byte[] record = new byte[RecordPlan.RecordLength];
        plan.Fill(number, record);

        await disk.WriteAsync(plan.GetOffset(number), record);
        await new RecordBook(plan).CheckAsync(disk, 0);
        await WriteUpToAsync(disk, plan, number - 1);
        await new RecordBook(plan).CheckAsync(disk, number);

        await disk.WriteAsync(plan.GetOffset(number) + 1024, new byte[512]);
        Assert.That(() => new RecordBook(plan).CheckAsync(disk, number), Throws.InstanceOf<InvalidDataException>().With.Message.Contains("zeroes"));
        record[700]++;
        await disk.WriteAsync(plan.GetOffset(number), record);
        Assert.That(() => new RecordBook(plan).CheckAsync(disk, 0), Throws.InstanceOf<InvalidDataException>().With.Message.Contains("nobody"));
    }

    private static async Task WriteUpToAsync(MemoryBlockDevice disk, RecordPlan plan, long last)
    {
        byte[] record = new byte[RecordPlan.RecordLength];
        for (long number = 1; number <= last; number++)
        {
            plan.Fill(number, record);
            await disk.WriteAsync(plan.GetOffset(number), record);
        }
    }
}
