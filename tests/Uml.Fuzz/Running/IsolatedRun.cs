using System.Diagnostics;
using System.Globalization;

namespace Uml.Fuzz.Running;

/// <summary>
/// Runs the cases of a target in a process of their own. One that ends that process (a fault in host code, a stack overflow, a case that
/// hangs) is reported with the command that repeats it, and the run goes on behind it in another process.
/// </summary>
/// <param name="time">How long to go on; null for as long as there are cases.</param>
internal sealed class IsolatedRun(string target, ulong seed, long maximumCases, TimeSpan? time, TextWriter output)
{
    private const int MaximumDeaths = 20;

    /// <summary>What <see cref="Program.Main"/> returns: no case failed, or some did.</summary>
    private const int Passed = 0, Failed = 1;

    private readonly Stopwatch _watch = Stopwatch.StartNew();

    /// <returns>Whether no case failed.</returns>
    public bool Run()
    {
        output.WriteLine($"{target}, seed 0x{seed:x}, in processes of their own");
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
        long next = 0;
        for (int deaths = 0; deaths < MaximumDeaths && next < maximumCases && !(_watch.Elapsed >= time);)
        {
            journal.Note(next);
            int code = RunChild(path, next);
            if (code is Passed or Failed)
            {
                return passed && code == Passed;
            }

            passed = false;
            deaths++;
            long died = journal.Read();
            output.WriteLine($"FAILED, the process ended with code {code} in case {died}. Repeat it with\n  {FuzzRun.Command(target, Seeds.Derive(seed, (ulong)died))}");
            next = died + 1;
        }

        return passed;
    }

    private int RunChild(string path, long first)
    {
        // Started as "dotnet Uml.Fuzz.dll" or as an executable.
        List<string> arguments = Environment.GetCommandLineArgs()[0] is var program && program.EndsWith(".dll", StringComparison.Ordinal) ? [program] : [];
        arguments.AddRange(
        [
            target, "--seed", Number(seed), "--first", Number((ulong)first), "--cases", Number((ulong)(maximumCases - first)), "--journal", path,
        ]);
        if (time is { } limit)
        {
            arguments.AddRange(["--seconds", Number((ulong)Math.Max(1, (limit - _watch.Elapsed).TotalSeconds))]);
        }

        using Process child = Process.Start(new ProcessStartInfo(Executable(arguments), arguments))
            ?? throw new InvalidOperationException("The process for the cases could not be started.");
        child.WaitForExit();
        return child.ExitCode;
    }

    /// <summary>The host of this process; an executable of ours needs no assembly to be named.</summary>
    private static string Executable(List<string> arguments)
    {
        string path = Environment.ProcessPath!;
        if (!Path.GetFileNameWithoutExtension(path).Equals("dotnet", StringComparison.OrdinalIgnoreCase) && arguments[0].EndsWith(".dll", StringComparison.Ordinal))
        {
            arguments.RemoveAt(0);
        }

        return path;
    }

    private static string Number(ulong value) => value.ToString(CultureInfo.InvariantCulture);
}
