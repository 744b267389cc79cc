using System.Diagnostics;
using System.Globalization;
using Iced.Intel;
using Uml.Differential.Tests.Generation;

namespace Uml.Differential.Tests.Running;

/// <summary>
/// Runs cases in a process of its own and starts another behind the case that ended it: code that gets out of its guest mostly ends the
/// host's process.
/// </summary>
/// <param name="arguments">Of the run.</param>
/// <param name="catalog">The forms.</param>
internal sealed class Supervisor(IReadOnlyList<string> arguments, FormCatalog catalog)
{
    /// <summary>Deaths after which more of them tell nothing new.</summary>
    private const int MaxDeaths = 200;

    private readonly ProgramGenerator _programs = new(catalog);
    private readonly PrefixGenerator _prefixes = new(catalog, native: false);

    /// <param name="seed">Seed of the run.</param>
    /// <param name="from">The first case.</param>
    /// <param name="cases">How many.</param>
    /// <param name="seconds">The longest it takes.</param>
    /// <returns>Whether nothing failed.</returns>
    public bool Run(ulong seed, long from, long cases, double seconds)
    {
        string path = Path.GetTempFileName();
        try
        {
            var time = Stopwatch.StartNew();
            bool failed = false;
            int deaths = 0;
            long end = from + cases;
            while (from < end && time.Elapsed.TotalSeconds < seconds && deaths < MaxDeaths)
            {
                File.Delete(path);
                using var progress = new Progress(path);
                string left = Math.Max(0.001, seconds - time.Elapsed.TotalSeconds).ToString(CultureInfo.InvariantCulture);
                int code = RunProcess(["--child", path, "--seed", $"0x{seed:x}", "--from", $"{from}", "--cases", $"{end - from}", "--seconds", left]);
                if (code is 0 or 1)
                {
                    return !failed && code == 0;
                }

                failed = true;
                if (progress.Number < from)
                {
                    Console.WriteLine($"The process ended with {code} before its first case.");
                    return false;
                }

                deaths++;
                Console.WriteLine($"Case {progress.Number} ended the process ({code}):\n{Explain(progress)}");
                from = progress.Number + 1;
            }

            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{deaths} processes were ended by a case, up to case {from} in {time.Elapsed.TotalSeconds:F1} s"));
            return !failed;
        }
        finally
        {
            File.Delete(path);
        }
    }

    private int RunProcess(string[] more)
    {
        string program = Environment.ProcessPath!;
        string[] library = Path.GetFileNameWithoutExtension(program) == "dotnet" ? [Environment.GetCommandLineArgs()[0]] : [];
        var start = new ProcessStartInfo(program, [.. library, .. arguments, .. more])
        {
            RedirectStandardError = true,

            // A runtime that does not end by itself leaves what it had for debuggers in TMPDIR.
            Environment = { ["DOTNET_EnableDiagnostics"] = "0" },
        };
        using Process process = Process.Start(start)!;

        // The runtime's own last words are long and say nothing of emitted code; the watchdog's first lines tell the case.
        string words = process.StandardError.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode is not (0 or 1))
        {
            Console.WriteLine(string.Join('\n', words.Split('\n').Where(line => line.Length > 0).Take(3)));
        }

        return process.ExitCode;
    }

    private string Explain(Progress progress)
    {
        TestCase? test = progress.Form is { } form
            ? _prefixes.Create(form.ToOpCode(), progress.Seed, progress.Prefixes)
            : _programs.Create(progress.Kind, progress.Seed);
        return test is null ? $"UML_DIFF_SEED=0x{progress.Seed:x}" : CaseReport.Write(test, Option("--reference"), Option("--engine"), ["the process ended"]);
    }

    private string Option(string name)
    {
        int at = arguments.ToList().IndexOf(name);
        return at < 0 ? "" : arguments[at + 1];
    }
}
