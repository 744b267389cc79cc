using System.CommandLine;
using System.CommandLine.Parsing;
using System.Net.Sockets;
using Uml.Hosting.CommandLine;
using Uml.Storage.Blocks;
using Uml.Storage.Nbd.Server;
using Uml.Storage.Tools;

namespace DiskImages;

/// <summary>The commands of this program.</summary>
internal static class CommandLine
{
    private const string EmptyName = "The name of a file is empty.";

    public static RootCommand Create(Report report) => new("Makes, merges, converts, checks and shows disk images. The format of an image is stated, never guessed.")
    {
        CreateCreate(report),
        CreateCow(report),
        CreateMerge(report),
        CreateConvert(report),
        CreateInfo(report),
        CreateCheck(report),
        CreateResize(report),
        CreateMap(report),
        CreateServe(report),
    };

    private static Command CreateCreate(Report report)
    {
        Argument<string> file = File("file", "The image to make.");
        Argument<string> size = Size();
        Option<string> format = Format("--format", "-f");
        return Make(new Command("create", "Makes an image of zeroes, which takes no room yet.") { file, size, format }, report, (result, _) =>
        {
            DiskImage.Create(result.GetRequiredValue(file), GetFormat(result, format), GetSize(result, size));
            return Task.FromResult(ExitCodes.Success);
        });
    }

    private static Command CreateCow(Report report)
    {
        Argument<string> file = File("file", "The copy-on-write file to make.");
        Argument<string> backing = File("base", "The image below it, which stays as it is. It may not be changed any more.");
        Option<string> format = Format("--format", "-f", "cow"), backingFormat = Format("--base-format", "-F", whose: "the image below");
        return Make(new Command("cow", "Makes a copy-on-write file over an image.") { file, backing, format, backingFormat }, report, (result, _) =>
        {
            string below = result.GetRequiredValue(backing);
            DiskImageFormat? ofBelow = result.GetResult(backingFormat) is { Implicit: false } ? GetFormat(result, backingFormat, report, below) : null;
            DiskImage.CreateOverlay(result.GetRequiredValue(file), GetFormat(result, format), below, ofBelow);
            return Task.FromResult(ExitCodes.Success);
        });
    }

    private static Command CreateMerge(Report report)
    {
        Argument<string> file = File("file", "The copy-on-write file.");
        Argument<string?> target = new("new") { Description = "The raw image to make; left out with --in-place.", Arity = ArgumentArity.ZeroOrOne };
        Option<bool> inPlace = new("--in-place", "-d") { Description = "Merges into the image below. Every other file over that one is invalid afterwards." };
        Option<string> format = Format("--format", "-f", "cow");
        CopyOptions copy = new();
        Command command = new("merge", "Merges a copy-on-write file and the image below it, into a new image or in place.") { file, target, inPlace, format };
        copy.AddTo(command);
        command.Validators.Add(result =>
        {
            if (result.GetValue(inPlace) == (result.GetValue(target) is not null))
            {
                result.AddError("merge makes a new image or changes the one below: name the new image, or write --in-place, and not both.");
            }
            else if (result.GetValue(target) is "")
            {
                result.AddError(EmptyName);
            }
        });
        return Make(command, report, async (result, cancellationToken) =>
        {
            string path = result.GetRequiredValue(file);
            DiskCopyOptions options = copy.Get(result);
            if (result.GetValue(target) is { } made)
            {
                await report.RunAsync("Merging", progress =>
                    DiskImage.ConvertAsync(path, GetFormat(result, format), made, DiskImageFormat.Raw, options, progress, cancellationToken));
                return ExitCodes.Success;
            }

            string backing = await report.RunAsync(
                "Merging", progress => DiskImage.CommitAsync(path, GetFormat(result, format), options, progress, cancellationToken));
            report.WriteMessage($"'{backing}' has everything now. Delete '{path}', and every other copy-on-write file over that image: they do not fit it any more.");
            return ExitCodes.Success;
        });
    }

    private static Command CreateConvert(Report report)
    {
        Argument<string> source = File("source", "The image."), target = File("new", "The image to make.");
        Option<string> from = Format("--format", "-f", whose: "the source"), to = Format("--to", "-O", whose: "the new image");
        CopyOptions copy = new();
        Command command = new("convert", "Makes an image of the same contents in another format. Zeroes become holes.") { source, target, from, to };
        copy.AddTo(command);
        return Make(command, report, async (result, cancellationToken) =>
        {
            string path = result.GetRequiredValue(source);
            DiskImageFormat format = GetFormat(result, from, report, path);
            await report.RunAsync("Converting", progress => DiskImage.ConvertAsync(
                path,
                format,
                result.GetRequiredValue(target),
                GetFormat(result, to),
                copy.Get(result),
                progress,
                cancellationToken));
            return ExitCodes.Success;
        });
    }

    private static Command CreateInfo(Report report)
    {
        Argument<string> file = File("file", "The image.");
        Option<string> format = Format("--format", "-f");
        Option<bool> json = new("--json") { Description = "Writes JSON." };
        return Make(new Command("info", "Says what an image is, and what is below it. It may be in use.") { file, format, json }, report, (result, _) =>
        {
            report.Write(DiskImage.GetInfo(result.GetRequiredValue(file), GetFormat(result, format)), result.GetValue(json));
            return Task.FromResult(ExitCodes.Success);
        });
    }

    private static Command CreateCheck(Report report)
    {
        Argument<string> file = File("file", "The image.");
        Option<string> format = Format("--format", "-f");
        Option<bool> repairs = new("--repair") { Description = "Repairs what can be. Copy the image first." };
        return Make(
            new Command("check", $"Checks an image. Exit code {ExitCodes.ProblemsFound} when something is wrong.") { file, format, repairs },
            report,
            async (result, cancellationToken) =>
            {
                string path = result.GetRequiredValue(file);
                DiskImageCheckResult found = await DiskImage.CheckAsync(
                    path, GetFormat(result, format, report, path), result.GetValue(repairs), cancellationToken);
                report.Write(found);
                return found.IsSound ? ExitCodes.Success : ExitCodes.ProblemsFound;
            });
    }

    private static Command CreateResize(Report report)
    {
        Argument<string> file = File("file", "The image.");
        Argument<string> size = Size();
        Option<string> format = Format("--format", "-f");
        Option<bool> shrink = new("--shrink") { Description = "Allows it to become smaller. What is cut off is lost." };
        return Make(
            new Command("resize", "Sets the size of an image. What is new reads as zeroes.") { file, size, format, shrink },
            report,
            async (result, cancellationToken) =>
            {
                string path = result.GetRequiredValue(file);
                await DiskImage.ResizeAsync(
                    path, GetFormat(result, format, report, path), GetSize(result, size), result.GetValue(shrink), cancellationToken);
                return ExitCodes.Success;
            });
    }

    private static Command CreateMap(Report report)
    {
        Argument<string> file = File("file", "The image.");
        Option<string> format = Format("--format", "-f");
        return Make(
            new Command("map", "Lists where an image has data and where zeroes: offset, length, contents, and whether they are its own or of an image below.") { file, format },
            report,
            async (result, cancellationToken) =>
            {
                string path = result.GetRequiredValue(file);
                await using IBlockDevice device = DiskImage.Open(path, GetFormat(result, format, report, path), new DiskImageOptions { IsReadOnly = true });
                await report.WriteMapAsync(DiskImage.MapAsync(device, cancellationToken));
                return ExitCodes.Success;
            });
    }

    private static Command CreateServe(Report report)
    {
        Argument<string> file = File("file", "The image.");
        Argument<string> socket = File("socket", "The Unix socket to make, which is this user's alone.");
        Option<string> format = Format("--format", "-f");
        Option<bool> isReadOnly = new("--read-only", "-r") { Description = "Refuses writes." };
        return Make(
            new Command("serve", "Serves an image to NBD clients, until it is interrupted.") { file, socket, format, isReadOnly },
            report,
            async (result, cancellationToken) =>
            {
                string path = result.GetRequiredValue(file);
                StaleSocket.Remove(result.GetRequiredValue(socket));
                await using IBlockDevice device = DiskImage.Open(
                    path, GetFormat(result, format, report, path), new DiskImageOptions { IsReadOnly = result.GetValue(isReadOnly) });
                await using NbdServer server = NbdServer.Start(new NbdServerOptions
                {
                    EndPoint = new UnixDomainSocketEndPoint(result.GetRequiredValue(socket)),
                    Exports = [new NbdExport(device)],
                });
                report.WriteMessage($"nbd+unix:///?socket={result.GetRequiredValue(socket)}");
                await Task.Delay(Timeout.Infinite, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                return ExitCodes.Success;
            });
    }

    private static Command Make(Command command, Report report, Func<ParseResult, CancellationToken, Task<int>> run)
    {
        command.SetAction(async (result, cancellationToken) =>
        {
            try
            {
                return await run(result, cancellationToken);
            }
            catch (Exception e) when (e is IOException or NotSupportedException or ArgumentOutOfRangeException)
            {
                report.WriteMessage(e.Message);
                return ExitCodes.Failure;
            }
            catch (OperationCanceledException)
            {
                report.WriteMessage("It was cut off; a new image was not made. A merge in place can be repeated.");
                return ExitCodes.Failure;
            }
        });
        return command;
    }

    public static void RefuseEmptyNames(SymbolResult result)
    {
        if (result.Tokens.Any(token => token.Value.Length == 0))
        {
            result.AddError(EmptyName);
        }
    }

    private static Argument<string> File(string name, string description)
    {
        Argument<string> file = new(name) { Description = description };
        file.Validators.Add(RefuseEmptyNames);
        return file;
    }

    private static Argument<string> Size()
    {
        Argument<string> size = new("size") { Description = "Bytes, a multiple of 512, or with a suffix K, M, G or T." };
        size.Validators.Add(result =>
        {
            if (FindProblem(result.GetRequiredValue(size)) is { } problem)
            {
                result.AddError(problem);
            }
        });
        return size;
    }

    private static string? FindProblem(string size) => !ByteSize.TryParse(size, out ulong bytes, out string? problem) ? problem
        : bytes > long.MaxValue ? $"'{size}' is more than a disk can have; write something like 10G."
        : bytes % BlockLimits.SectorSize != 0 ? $"'{size}' is no whole number of sectors of {BlockLimits.SectorSize} bytes; write a multiple of that."
        : null;

    private static long GetSize(ParseResult result, Argument<string> size) =>
        ByteSize.TryParse(result.GetRequiredValue(size), out ulong bytes, out string? problem) ? (long)bytes : throw new ArgumentException(problem, nameof(size));

    private static Option<string> Format(string name, string alias, string standard = "raw", string whose = "the image")
    {
        Option<string> option = new(name, alias)
        {
            Description = $"The format of {whose}.",
            DefaultValueFactory = _ => standard,
            HelpName = string.Join('|', DiskImageFormatName.All),
        };
        return option.AcceptOnlyFromAmong([.. DiskImageFormatName.All]);
    }

    private static DiskImageFormat GetFormat(ParseResult result, Option<string> option) =>
        DiskImageFormatName.TryParse(result.GetRequiredValue(option), out DiskImageFormat format) ? format
        : throw new ArgumentException("The options accept only names of formats.", nameof(option));

    /// <summary>The format of an image that is there. What is taken for a raw one and begins like another is seldom meant so: that is told.</summary>
    private static DiskImageFormat GetFormat(ParseResult result, Option<string> option, Report report, string path)
    {
        DiskImageFormat format = GetFormat(result, option);
        if (format == DiskImageFormat.Raw)
        {
            report.WriteNotes(DiskImage.GetInfo(path, format));
        }

        return format;
    }
}
