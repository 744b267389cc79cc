using System.Diagnostics;

namespace Uml.Storage.Tests.Nbd;

/// <summary>A server of others, which ends with the test.</summary>
internal sealed class PeerServer : IDisposable
{
    private readonly Process _process;
    private bool _isDisposed;

    private PeerServer(Process process) => _process = process;

    /// <summary>Starts a server, and waits until its socket is there.</summary>
    public static PeerServer Start(string package, string command, string socket, params string[] arguments)
    {
        PeerTool.IgnoreUnlessInstalled(package, command);
        ProcessStartInfo start = new(command, arguments) { RedirectStandardError = true, RedirectStandardOutput = true, RedirectStandardInput = true };
        PeerServer server = new(Process.Start(start)!);
        Stopwatch waited = Stopwatch.StartNew();
        while (!File.Exists(socket))
        {
            if (server._process.HasExited || waited.Elapsed.TotalSeconds > 20)
            {
                string said = server._process.HasExited ? server._process.StandardError.ReadToEnd() : "it makes no socket";
                server.Dispose();
                Assert.Fail($"{command}: {said}");
            }

            Thread.Sleep(20);
        }

        return server;
    }

    /// <summary>Kills it, as a crash would.</summary>
    public void Dispose()
    {
        if (_isDisposed)
        {
            return;
        }

        _isDisposed = true;
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        _process.WaitForExit();
        _process.Dispose();
    }
}
