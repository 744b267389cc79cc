using System.Diagnostics;
using System.Globalization;

namespace Uml.PowerCuts.Tests;

/// <summary>A process of this program's that writes records until it is killed.</summary>
internal static class KilledProcess
{
    /// <summary>What a writer prints for each record that is durable, followed by its number.</summary>
    public const string AcknowledgedMark = "ack ";

    /// <summary>How long a writer may take to acknowledge anything: a guest boots first, on a host with more to do perhaps.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(5);

    /// <summary>Starts a writer, and kills it when it has acknowledged so many times, and a moment later.</summary>
    /// <param name="arguments">The command line of the writer.</param>
    /// <param name="acknowledgements">After how many it is killed.</param>
    /// <param name="delay">How long after that.</param>
    /// <returns>The last record that it acknowledged; null for none.</returns>
    /// <exception cref="InvalidOperationException">The writer ended before, or acknowledged nothing.</exception>
    public static long? Run(IEnumerable<string> arguments, int acknowledgements, TimeSpan delay)
    {
        string program = Environment.ProcessPath!;
        bool isDotnet = Path.GetFileNameWithoutExtension(program) == "dotnet";
        ProcessStartInfo start = new(program, isDotnet ? [typeof(KilledProcess).Assembly.Location, .. arguments] : arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardInput = true,
        };
        using Process process = Process.Start(start) ?? throw new InvalidOperationException("The writer could not be started.");
        long? last = null;
        List<string> said = [];
        using (Timer impatience = new(_ => process.Kill(), null, s_patience, Timeout.InfiniteTimeSpan))
        {
            int count = 0;
            while (process.StandardOutput.ReadLine() is { } line)
            {
                if (!line.StartsWith(AcknowledgedMark, StringComparison.Ordinal))
                {
                    said.Add(line);
                    continue;
                }

                last = long.Parse(line.AsSpan(AcknowledgedMark.Length).TrimEnd('\r'), CultureInfo.InvariantCulture);
                if (++count == acknowledgements)
                {
                    Wait(delay);
                    process.Kill();
                }
            }
        }

        process.WaitForExit();
        const int killed = 128 + 9;
        return process.ExitCode == killed && last is not null ? last
            : throw new InvalidOperationException($"The writer ended with {process.ExitCode}, having acknowledged {last}:\n{string.Join('\n', said)}");
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
