using System.Diagnostics;

namespace Uml.Net.Tests.Transports;

/// <summary>A program of others that runs until the test has ended.</summary>
internal sealed class PeerProcess : IDisposable
{
    private readonly Process _process;
    private bool _hasEnded;

    private PeerProcess(Process process)
    {
        _process = process;
    }

    /// <summary>Starts a program, and waits for the socket that it makes.</summary>
    /// <param name="package">The Debian package that has it; the test is skipped where it is not installed.</param>
    /// <param name="command">The program.</param>
    /// <param name="socket">The path of the socket.</param>
    /// <param name="arguments">Its arguments.</param>
    public static PeerProcess Start(string package, string command, string socket, params string[] arguments)
    {
        PeerTool.IgnoreUnlessInstalled(package, command);
        ProcessStartInfo start = new(command, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        PeerProcess peer = new(Process.Start(start)!);
        peer._process.OutputDataReceived += (_, _) => { };
        peer._process.ErrorDataReceived += (_, _) => { };
        peer._process.BeginOutputReadLine();
        peer._process.BeginErrorReadLine();
        for (long end = Environment.TickCount64 + 20_000; !File.Exists(socket); Thread.Sleep(10))
        {
            if (peer._process.HasExited || Environment.TickCount64 > end)
            {
                peer.Dispose();
                Assert.Fail($"{command} {string.Join(' ', arguments)} makes no socket.");
            }
        }

        return peer;
    }

    public void Dispose()
    {
        if (_hasEnded)
        {
            return;
        }

        _hasEnded = true;
        _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        _process.Dispose();
    }
}
