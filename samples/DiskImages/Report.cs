using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Spectre.Console;
using Uml.Storage.Blocks;
using Uml.Storage.Tools;

namespace DiskImages;

/// <summary>What the program shows: tables and a bar on a terminal, and lines where the output goes elsewhere.</summary>
internal sealed class Report
{
    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        Converters = { new FormatNames() },
    };

    private readonly IAnsiConsole _errors = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });

    public void WriteMessage(string message) => Console.Error.WriteLine($"DiskImages: {message}");

    /// <summary>Runs something that tells of its progress, and shows that on a terminal.</summary>
    public async Task<T> RunAsync<T>(string what, Func<IProgress<DiskCopyProgress>?, Task<T>> run) => Console.IsErrorRedirected
        ? await run(null)
        : await _errors.Progress().Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn(), new TransferSpeedColumn())
            .StartAsync(context => run(new Bar(context.AddTask(what))));

    public Task RunAsync(string what, Func<IProgress<DiskCopyProgress>?, Task> run) => RunAsync(what, async progress =>
    {
        await run(progress);
        return true;
    });

    public void Write(DiskImageInfo info, bool asJson)
    {
        if (asJson)
        {
            Console.Out.WriteLine(JsonSerializer.Serialize(info, Json));
            return;
        }

        for (DiskImageInfo? image = info; image is not null; image = image.Backing)
        {
            WriteTable(["", image == info ? "image" : "image below"], [.. Describe(image)]);
            WriteNotes(image);
        }
    }

    public void WriteNotes(DiskImageInfo image)
    {
        foreach (string note in image.Notes)
        {
            WriteMessage(note);
        }
    }

    public void Write(DiskImageCheckResult found)
    {
        foreach (DiskImageProblem problem in found.Problems)
        {
            string state = problem.IsRepaired ? "repaired" : problem.CanRepair ? "can be repaired, with --repair" : "cannot be repaired here";
            Console.Out.WriteLine($"{problem.Message} ({state})");
        }

        if (found.Problems.Count == 0)
        {
            Console.Out.WriteLine("Nothing is wrong.");
        }
    }

    public async Task WriteMapAsync(IAsyncEnumerable<(long Offset, BlockExtent Extent)> map)
    {
        List<string[]> rows = [];
        await foreach ((long offset, BlockExtent extent) in map)
        {
            rows.Add([Text(offset), Text(extent.Length), extent.IsZero ? "zero" : "data", extent.IsBelow ? "below" : "own"]);
        }

        WriteTable(["offset", "length", "contents", "from"], rows);
    }

    private static IEnumerable<string[]> Describe(DiskImageInfo info)
    {
        yield return ["file", info.Path];
        yield return ["format", DiskImageFormatName.Get(info.Format) + (info.Version is { } version ? $" version {Text(version)}" : "")];
        yield return ["disk size", Size(info.VirtualSize)];
        yield return ["file size", Size(info.FileLength)];
        yield return ["size on host", Size(info.SizeOnDisk)];
        if (info.ClusterSize is { } cluster)
        {
            yield return ["cluster size", Text(cluster)];
        }

        if (info.OwnBytes is { } own)
        {
            yield return ["data of its own", Size(own)];
        }

        if (info.IsDirty)
        {
            yield return ["state", "not closed properly: check it"];
        }

        if (info.BackingPath is { } backing)
        {
            yield return ["image below", backing];
        }

        foreach (string snapshot in info.Snapshots)
        {
            yield return ["snapshot", snapshot];
        }
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static string Size(long bytes) => bytes < 1 << 20 ? Text(bytes)
        : string.Create(CultureInfo.InvariantCulture, $"{bytes} ({bytes / (double)(1 << 20):0.#} MiB)");

    private static void WriteTable(string[] names, IReadOnlyList<string[]> rows)
    {
        if (Console.IsOutputRedirected)
        {
            foreach (string[] row in rows)
            {
                Console.Out.WriteLine(string.Join('\t', row));
            }

            return;
        }

        Table table = new() { Border = TableBorder.Rounded };
        table.AddColumns(names.Select(Markup.Escape).ToArray());
        foreach (string[] row in rows)
        {
            table.AddRow(row.Select(Markup.Escape).ToArray());
        }

        AnsiConsole.Write(table);
    }

    /// <summary>A bar for what a copy tells of, from any thread.</summary>
    private sealed class Bar(ProgressTask task) : IProgress<DiskCopyProgress>
    {
        public void Report(DiskCopyProgress value)
        {
            task.MaxValue = Math.Max(value.Total, 1);
            task.Value = Math.Max(task.Value, value.Done);
        }
    }

    private sealed class FormatNames : JsonConverter<DiskImageFormat>
    {
        public override DiskImageFormat Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            DiskImageFormatName.TryParse(reader.GetString(), out DiskImageFormat format) ? format : throw new JsonException("There is no such format.");

        public override void Write(Utf8JsonWriter writer, DiskImageFormat value, JsonSerializerOptions options) =>
            writer.WriteStringValue(DiskImageFormatName.Get(value));
    }
}
