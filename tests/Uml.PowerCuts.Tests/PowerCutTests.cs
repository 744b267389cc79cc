using Uml.Storage.Blocks;

namespace Uml.PowerCuts.Tests;

/// <summary>A few rounds of each kind and format; hundreds are for tests/soak/power-cuts.sh.</summary>
public sealed class PowerCutTests
{
    public static IEnumerable<string> Formats => DiskFormat.All.Select(format => format.Name);

    [TestCaseSource(nameof(Formats))]
    public async Task A_killed_machine_s_disk_has_what_was_acknowledged(string format)
    {
        using TemporaryFolder folder = new();
        await new KillRounds(DiskFormat.Get(format), 1, TestContext.Out).RunAsync(5, folder["rounds"]);
    }

    [TestCaseSource(nameof(Formats))]
    public async Task Lost_power_leaves_what_was_acknowledged(string format)
    {
        using TemporaryFolder folder = new();
        await new PowerLossRounds(DiskFormat.Get(format), 1, TestContext.Out).RunAsync(10, folder["rounds"]);
    }

    [Test]
    [Category("Guest")]
    public async Task A_killed_guest_s_records_and_files_are_there_and_its_file_systems_are_clean()
    {
        using TemporaryFolder folder = new();
        await new GuestRounds(DiskFormat.All, 1, TestContext.Out).RunAsync(2, folder["rounds"]);
    }

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
