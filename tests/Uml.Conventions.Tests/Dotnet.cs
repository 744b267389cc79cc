using System.Diagnostics;

namespace Uml.Conventions.Tests;

/// <summary>The SDK's command, and programs that it has made.</summary>
internal static class Dotnet
{
    /// <summary>Runs the command, which has to succeed.</summary>
    /// <returns>What it printed.</returns>
    public static async Task<string> RunAsync(string directory, string[] arguments, CancellationToken cancellationToken = default)
    {
        (int code, string output) = await TryRunAsync("dotnet", directory, arguments, cancellationToken);
        Assert.That(code, Is.Zero, output);
        return output;
    }

    /// <summary>Runs a program to its end; it ends with the test.</summary>
    /// <returns>Its exit code, and what it printed.</returns>
    public static async Task<(int Code, string Output)> TryRunAsync(string program, string directory, string[] arguments, CancellationToken cancellationToken = default)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, WorkingDirectory = directory })!;
        try
        {
            string output = await process.StandardOutput.ReadToEndAsync(cancellationToken);
            await process.WaitForExitAsync(cancellationToken);
            return (process.ExitCode, output);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }
    }
}
