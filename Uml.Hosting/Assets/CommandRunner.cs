using System.ComponentModel;
using System.Diagnostics;
using System.Net.Sockets;
using System.Text;

namespace Uml.Hosting.Assets;

/// <summary>The exit code and output of a command.</summary>
/// <param name="ExitCode">Its exit code.</param>
/// <param name="Output">Its standard output.</param>
/// <param name="Errors">Its standard error.</param>
internal readonly record struct CommandResult(int ExitCode, string Output, string Errors);

/// <summary>Runs host commands and connects to other hosts; tests replace it.</summary>
internal interface ICommandRunner
{
    /// <summary>Runs a command to its end.</summary>
    /// <param name="command">Its name, searched for in PATH.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="environment">Variables that are set or changed.</param>
    /// <param name="workingDirectory">Where it runs.</param>
    /// <param name="onOutput">Is given each line of its standard output at once.</param>
    /// <param name="cancellationToken">Kills it.</param>
    /// <returns>The result, or null when there is no such command.</returns>
    Task<CommandResult?> RunAsync(
        string command,
        IReadOnlyList<string> arguments,
        IReadOnlyDictionary<string, string> environment,
        string workingDirectory,
        Action<string>? onOutput,
        CancellationToken cancellationToken);

    /// <summary>Opens a connection and closes it.</summary>
    /// <exception cref="SocketException">There is no route, or no listener.</exception>
    Task ConnectAsync(string host, int port, CancellationToken cancellationToken);
}

/// <summary>Runs commands as child processes without input.</summary>
internal sealed class CommandRunner(TimeSpan timeout) : ICommandRunner
{
    /// <inheritdoc/>
    public async Task<CommandResult?> RunAsync(
        string command,
        IReadOnlyList<string> arguments,
        IReadOnlyDictionary<string, string> environment,
        string workingDirectory,
        Action<string>? onOutput,
        CancellationToken cancellationToken)
    {
        using Process process = new();
        process.StartInfo = new ProcessStartInfo(command, arguments)
        {
            WorkingDirectory = workingDirectory,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        foreach ((string name, string value) in environment)
        {
            process.StartInfo.Environment[name] = value;
        }

        try
        {
            process.Start();
        }
        catch (Win32Exception)
        {
            return null;
        }

        process.StandardInput.Close();
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(timeout);
        try
        {
            Task<string> output = ReadLinesAsync(process.StandardOutput, onOutput, limit.Token);
            Task<string> errors = process.StandardError.ReadToEndAsync(limit.Token);
            await process.WaitForExitAsync(limit.Token).ConfigureAwait(false);
            return new CommandResult(
                process.ExitCode, await output.ConfigureAwait(false), await errors.ConfigureAwait(false));
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            cancellationToken.ThrowIfCancellationRequested();
            throw new GuestAssetException(
                $"'{command} {string.Join(' ', arguments)}' did not end within {timeout}; check the network, or raise "
                + $"{nameof(GuestAssetCacheOptions)}.{nameof(GuestAssetCacheOptions.CommandTimeout)}.");
        }
    }

    /// <inheritdoc/>
    public async Task ConnectAsync(string host, int port, CancellationToken cancellationToken)
    {
        using Socket socket = new(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(host, port, cancellationToken).ConfigureAwait(false);
    }

    private static async Task<string> ReadLinesAsync(StreamReader reader, Action<string>? onLine, CancellationToken cancellationToken)
    {
        StringBuilder text = new();
        while (await reader.ReadLineAsync(cancellationToken).ConfigureAwait(false) is { } line)
        {
            text.Append(line).Append('\n');
            onLine?.Invoke(line);
        }

        return text.ToString();
    }
}
