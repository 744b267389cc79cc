using System.Diagnostics;
using System.Globalization;

namespace Uml.Fuzz.Running;

/// <summary>
/// Runs the cases of a target in a process of their own. One that ends that process (a fault in host code, a stack overflow, a case that
/// hangs) is reported with the command that repeats it, and the run goes on behind it in another process.
/// </summary>
internal sealed class IsolatedRun(string target, FuzzSettings settings, TextWriter output)
{
    private const int MaximumDeaths = 20;

    /// <summary>What <see cref="Program.Main"/> returns: no case failed, or some did.</summary>
    private const int Passed = 0, Failed = 1;

    private readonly Stopwatch _watch = Stopwatch.StartNew();

    /// <returns>Whether no case failed.</returns>
    public bool Run()
    {
        output.WriteLine($"{target}, seed 0x{settings.Seed:x}, in processes of their own");
        string path = Path.GetTempFileName();
        try
        {
            using CaseJournal journal = CaseJournal.Open(path);
            return Run(path, journal);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private bool Run(string path, CaseJournal journal)
    {
        bool passed = true;
        long next = settings.FirstCase, end = settings.MaximumCases > long.MaxValue - next ? long.MaxValue : next + settings.MaximumCases;
        for (int deaths = 0; deaths < MaximumDeaths && next < end && !(_watch.Elapsed >= settings.Time);)
        {
            journal.Note(next);
            int code = RunChild(path, next, end - next);
            if (code is Passed or Failed)
            {
                return passed && code == Passed;
            }

            passed = false;
            deaths++;
            long died = journal.Read();
            ulong seed = settings.OnlyCase ?? Seeds.Derive(settings.Seed, (ulong)died);
            output.WriteLine($"FAILED, the process ended with code {code} in case {died}. Repeat it with\n  {FuzzRun.Command(target, seed)}");
            next = settings.OnlyCase is null ? died + 1 : end;
        }

        return passed;
    }

    private int RunChild(string path, long first, long cases)
    {
        // This process is the program itself, or dotnet with an assembly to run.
        string program = Environment.ProcessPath!;
        List<string> arguments = Path.GetFileNameWithoutExtension(program) == "dotnet" ? [typeof(IsolatedRun).Assembly.Location] : [];
        arguments.AddRange(
        [
            target, "--seed", Number(settings.Seed), "--first", Number((ulong)first), "--cases", Number((ulong)cases), "--journal", path,
        ]);
        if (settings.OnlyCase is { } only)
        {
            arguments.AddRange(["--case", Number(only)]);
        }

        if (settings.Time is { } limit)
        {
            arguments.AddRange(["--seconds", Number((ulong)Math.Max(1, (limit - _watch.Elapsed).TotalSeconds))]);
        }

        // A runtime that does not end by itself leaves what it had for debuggers in TMPDIR.
        ProcessStartInfo start = new(program, arguments) { Environment = { ["DOTNET_EnableDiagnostics"] = "0" } };
        using Process child = Process.Start(start)
            ?? throw new InvalidOperationException("The process for the cases could not be started.");
        child.WaitForExit();
        return child.ExitCode;
    }

    private static string Number(ulong value) => value.ToString(CultureInfo.InvariantCulture);
}
