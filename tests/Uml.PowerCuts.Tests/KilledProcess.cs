using System.Diagnostics;

namespace Uml.PowerCuts.Tests;

/// <summary>A process of this program's that writes records until it is killed.</summary>
internal static class KilledProcess
{
    /// <summary>What a writer prints for each record that is durable, followed by what tells which one.</summary>
    public const string AcknowledgedMark = "ack ";

    /// <summary>How long a writer may take to acknowledge anything: a guest boots first, on a host with more to do perhaps.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(5);

    /// <summary>Starts a writer, and kills it when it has acknowledged enough, and a moment later.</summary>
    /// <param name="arguments">The command line of the writer.</param>
    /// <param name="isEnough">Told of each acknowledgement, those among them that come after the last one that was waited for.</param>
    /// <param name="delay">How long after the first that was enough it is killed.</param>
    /// <exception cref="InvalidOperationException">The writer ended before.</exception>
    public static void Run(IEnumerable<string> arguments, Func<string, bool> isEnough, TimeSpan delay)
    {
        string program = Environment.ProcessPath!;
        bool isDotnet = Path.GetFileNameWithoutExtension(program) == "dotnet";
        ProcessStartInfo start = new(program, isDotnet ? [typeof(KilledProcess).Assembly.Location, .. arguments] : arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardInput = true,

            // A runtime that is killed leaves what it had for debuggers in TMPDIR.
            Environment = { ["DOTNET_EnableDiagnostics"] = "0" },
        };
        using Process process = Process.Start(start) ?? throw new InvalidOperationException("The writer could not be started.");
        bool isKilled = false;
        List<string> said = [];
        using (Timer impatience = new(_ => process.Kill(), null, s_patience, Timeout.InfiniteTimeSpan))
        {
            while (process.StandardOutput.ReadLine() is { } line)
            {
                if (!line.StartsWith(AcknowledgedMark, StringComparison.Ordinal))
                {
                    said.Add(line);
                    continue;
                }

                if (isEnough(line[AcknowledgedMark.Length..].TrimEnd('\r')) && !isKilled)
                {
                    Wait(delay);
                    process.Kill();
                    isKilled = true;
                }
            }
        }

        process.WaitForExit();
        if (!isKilled)
        {
            throw new InvalidOperationException($"The writer ended with {process.ExitCode} before it was killed:\n{string.Join('\n', said)}");
        }
    }

    /// <summary>Timers are too coarse for where a write may be.</summary>
    private static void Wait(TimeSpan delay)
    {
        long start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) < delay)
        {
        }
    }
}
