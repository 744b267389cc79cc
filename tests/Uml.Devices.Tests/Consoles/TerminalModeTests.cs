using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Uml.Devices.Consoles;

namespace Uml.Devices.Tests.Consoles;

[TestFixture]
[Platform("Linux")]
[SupportedOSPlatform("linux")]
public sealed partial class TerminalModeTests
{
    [Test]
    public void A_terminal_is_raw_until_it_is_given_back()
    {
        using var terminal = new PseudoTerminal();
        byte[] before = terminal.GetAttributes();
        TerminalMode mode = TerminalMode.TryEnterRaw(terminal.Terminal)!;
        byte[] raw = terminal.GetAttributes();
        Assert.That(raw, Is.Not.EqualTo(before));

        // c_oflag and c_lflag, the second and fourth word: no output processing, no signals, no echo, no line editing.
        Assert.That(BitConverter.ToUInt32(raw, 4) & 1, Is.Zero);
        Assert.That(BitConverter.ToUInt32(raw, 12) & 0xB, Is.Zero);
        mode.Dispose();
        mode.Dispose();
        Assert.That(terminal.GetAttributes(), Is.EqualTo(before));
    }

    [Test]
    public void What_is_no_terminal_is_left_alone()
    {
        using var file = File.OpenHandle("/dev/null");
        Assert.That(TerminalMode.TryEnterRaw((int)file.DangerousGetHandle()), Is.Null);
    }

    [Test]
    public async Task A_signal_that_stops_the_process_gives_the_terminal_back_and_going_on_takes_it_again()
    {
        using var terminal = new PseudoTerminal();
        byte[] before = terminal.GetAttributes();
        using TerminalMode mode = TerminalMode.TryEnterRaw(terminal.Terminal)!;
        byte[] raw = terminal.GetAttributes();

        // Somebody else in the process wants to live on, as the test runner does.
        using PosixSignalRegistration survive = PosixSignalRegistration.Create(PosixSignal.SIGHUP, context => context.Cancel = true);
        _ = Raise(Environment.ProcessId, 1);
        await WaitForAsync(terminal, before);
        _ = Raise(Environment.ProcessId, 18);
        await WaitForAsync(terminal, raw);
    }

    private static async Task WaitForAsync(PseudoTerminal terminal, byte[] attributes)
    {
        for (int i = 0; i < 500 && !terminal.GetAttributes().AsSpan().SequenceEqual(attributes); i++)
        {
            await Task.Delay(10);
        }

        Assert.That(terminal.GetAttributes(), Is.EqualTo(attributes));
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Raise(int process, int signal);
}
