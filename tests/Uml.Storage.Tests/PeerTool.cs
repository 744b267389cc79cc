using System.Diagnostics;

namespace Uml.Storage.Tests;

/// <summary>A program of others that reads and writes the same formats.</summary>
internal static class PeerTool
{
    /// <summary>How long a program may take; then it is killed, and has failed.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(5);

    /// <summary>Runs a program, which has to succeed.</summary>
    /// <param name="package">The Debian package that has it; the test is skipped where it is not installed.</param>
    /// <param name="command">The program.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <returns>What it wrote.</returns>
    public static string Run(string package, string command, params string[] arguments)
    {
        (int code, string output) = TryRun(package, command, arguments);
        Assert.That(code, Is.Zero, $"{command} {string.Join(' ', arguments)}: {output}");
        return output;
    }

    public static (int Code, string Output) TryRun(string package, string command, params string[] arguments)
    {
        IgnoreUnlessInstalled(package, command);
        ProcessStartInfo start = new(command, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        using Process process = Process.Start(start)!;
        using Timer impatience = new(_ => process.Kill(entireProcessTree: true), null, s_patience, Timeout.InfiniteTimeSpan);
        process.StandardInput.Close();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output + errors.Result);
    }

    /// <summary>Skips the test where a program is not installed.</summary>
    public static void IgnoreUnlessInstalled(string package, string command)
    {
        if (!IsInstalled(command))
        {
            Assert.Ignore($"{command} is not here: apt-get install {package}");
        }
    }

    public static bool IsInstalled(string command) =>
        Environment.GetEnvironmentVariable("PATH")!.Split(':').Any(folder => File.Exists(System.IO.Path.Combine(folder, command)));
}
