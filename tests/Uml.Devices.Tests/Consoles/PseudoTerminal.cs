using System.Runtime.InteropServices;

namespace Uml.Devices.Tests.Consoles;

/// <summary>A pseudo-terminal of the host: what a test types into and what the code under test takes for a terminal.</summary>
internal sealed unsafe partial class PseudoTerminal : IDisposable
{
    private const int ReadWrite = 2, NoControllingTerminal = 0x100;

    private readonly int _controller;

    public PseudoTerminal()
    {
        _controller = Check(OpenController(ReadWrite | NoControllingTerminal));
        Check(Grant(_controller));
        Check(Unlock(_controller));
        byte* name = stackalloc byte[128];
        Check(GetName(_controller, name, 128));
        Terminal = Check(Open(name, ReadWrite | NoControllingTerminal));
    }

    /// <summary>The descriptor that is a terminal.</summary>
    public int Terminal { get; }

    /// <summary>struct termios of the terminal, as bytes.</summary>
    public byte[] GetAttributes()
    {
        byte[] attributes = new byte[128];
        fixed (byte* pointer = attributes)
        {
            Check(TerminalAttributes(Terminal, pointer));
        }

        return attributes;
    }

    public void Dispose()
    {
        _ = Close(Terminal);
        _ = Close(_controller);
    }

    private static int Check(int result) =>
        result >= 0 ? result : throw new IOException($"The host gives no pseudo-terminal: errno {Marshal.GetLastPInvokeError()}.");

    [LibraryImport("libc", EntryPoint = "posix_openpt", SetLastError = true)]
    private static partial int OpenController(int flags);

    [LibraryImport("libc", EntryPoint = "grantpt", SetLastError = true)]
    private static partial int Grant(int descriptor);

    [LibraryImport("libc", EntryPoint = "unlockpt", SetLastError = true)]
    private static partial int Unlock(int descriptor);

    [LibraryImport("libc", EntryPoint = "ptsname_r", SetLastError = true)]
    private static partial int GetName(int descriptor, byte* name, nuint length);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true)]
    private static partial int Open(byte* name, int flags);

    [LibraryImport("libc", EntryPoint = "tcgetattr", SetLastError = true)]
    private static partial int TerminalAttributes(int descriptor, byte* attributes);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int descriptor);
}
