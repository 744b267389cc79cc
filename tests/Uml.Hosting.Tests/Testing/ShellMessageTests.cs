using System.Text;
using Uml.Devices.Consoles;
using Uml.Hosting.Testing;

namespace Uml.Hosting.Tests.Testing;

/// <summary>Messages show what the guest's programs wrote, and not what the shell and its host tell each other on the same console.</summary>
[TestFixture]
[CancelAfter(60_000)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class ShellMessageTests : IDisposable
{
    private readonly ScriptedGuest _guest = new();
    private GuestShell _shell = null!;

    [SetUp]
    public async Task AttachAsync() => _shell = await GuestShell.AttachAsync(_guest.Console);

    public void Dispose()
    {
        _shell.Dispose();
        _guest.Dispose();
    }

    [Test]
    public async Task A_command_that_takes_too_long_shows_what_it_wrote()
    {
        _guest.OnFrame = frame => AnswerRun(frame, "hello\r\n");
        ConsoleExpectException? error = await Assert.ThrowsAsync<ConsoleExpectException>(() => _shell.RunAsync("x", TimeSpan.FromSeconds(0.2)));
        Assert.That(error!.Message, Does.EndWith($" The console ends with:{Environment.NewLine}# hello"));
    }

    [Test]
    public async Task A_guest_that_ends_shows_what_it_wrote()
    {
        await _shell.RunAsync("x");
        _guest.OnFrame = frame =>
        {
            AnswerRun(frame, "bye\n");
            if (frame.Kind == 'r')
            {
                _guest.PowerOff();
            }
        };
        ConsoleExpectException? error = await Assert.ThrowsAsync<ConsoleExpectException>(() => _shell.RunAsync("x"));
        Assert.That(error!.Message, Does.EndWith($" The console ends with:{Environment.NewLine}# bye"));
        error = await Assert.ThrowsAsync<ConsoleExpectException>(() => _guest.Console.ExpectAsync("never"));
        Assert.That(error!.Message, Does.EndWith($" The console ends with:{Environment.NewLine}# bye"));
    }

    [Test]
    public async Task What_the_kernel_prints_in_the_middle_of_an_event_is_shown()
    {
        _guest.OnFrame = frame => AnswerRun(frame, _guest.Marker + "e\n[    1.5] Oops: 7\n5:;");
        ConsoleExpectException? error = await Assert.ThrowsAsync<ConsoleExpectException>(() => _shell.RunAsync("x", TimeSpan.FromSeconds(0.2)));
        Assert.That(error!.Message, Does.Contain("[    1.5] Oops: 7"));
    }

    [TestCase(0)]
    [TestCase(1)]
    [TestCase(77)]
    public void The_echo_of_the_first_line_is_the_protocols_wherever_the_terminal_wraps_it(int column)
    {
        var protocol = new ShellProtocol();
        string line = Encoding.ASCII.GetString(protocol.GetFirstLine()).TrimEnd('\n');
        string echo = $"~ # {line[..column]}\r\r\n{line[column..]}\r\nsh: stty: not found";
        Assert.That(protocol.OwnText.Replace(echo, ""), Is.EqualTo($"~ # {(column == 0 ? "\r\r\n" : "")}\r\nsh: stty: not found"));
    }

    [Test]
    public void The_echo_of_a_frame_is_the_protocols()
    {
        // A command that sets the terminal to echo leaves it so until the next frame.
        var protocol = new ShellProtocol();
        string echo = Encoding.ASCII.GetString(protocol.CreateFrame('n', "c", 12)).Replace("\n", "\r\n", StringComparison.Ordinal);
        Assert.That(protocol.OwnText.Replace($"a\n{echo}b", ""), Is.EqualTo("a\nb"));
    }

    /// <summary>Begins a run that does not end before it is told to.</summary>
    private void AnswerRun(Frame frame, string output)
    {
        if (frame.Kind == 'r')
        {
            _guest.Tell('b', frame.Number, "");
            _guest.Print(output);
        }
        else
        {
            _guest.Keep(frame);
        }
    }
}
