using System.Text;
using Uml.Devices.Consoles;
using Uml.Hosting.Testing;

namespace Uml.Hosting.Tests.Testing;

/// <summary>A guest that knows the shell's secret words and answers what it likes: calls end, with what they document, and nothing grows.</summary>
[TestFixture]
[CancelAfter(60_000)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class HostileShellTests : IDisposable
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(200);

    private readonly ScriptedGuest _guest = new();
    private GuestShell? _shell;

    public void Dispose()
    {
        _shell?.Dispose();
        _guest.Dispose();
    }

    [Test]
    public async Task A_guest_that_means_well_is_understood()
    {
        GuestShell shell = await AttachAsync();
        _guest.OnRun = script => (Encoding.UTF8.GetBytes(script), "7");
        GuestCommandResult result = await shell.RunAsync("echo grüße");
        Assert.That((result.ExitCode, result.Output), Is.EqualTo((7, "echo grüße")));
    }

    [TestCase("-1")]
    [TestCase("256")]
    [TestCase("4294967296")]
    [TestCase("99999999999999999999999999")]
    [TestCase("")]
    [TestCase(" 1")]
    [TestCase("1x")]
    [TestCase("0x1")]
    public async Task An_exit_code_is_a_number_from_0_to_255(string code)
    {
        GuestShell shell = await AttachAsync();
        _guest.OnRun = _ => ([], code);
        ConsoleExpectException? error = await Assert.ThrowsAsync<ConsoleExpectException>(() => shell.RunAsync("x"));
        Assert.That(error!.Message, Does.StartWith($"The guest gave \"{code}\" as an exit code"));
        await ExpectNextWorksAsync(shell);
    }

    [Test]
    public async Task Messages_have_no_control_characters_of_the_guest_and_a_bound()
    {
        GuestShell shell = await AttachAsync();
        _guest.OnRun = _ => ([], "\x1b[2J\a");
        ConsoleExpectException? error = await Assert.ThrowsAsync<ConsoleExpectException>(() => shell.RunAsync("x"));
        Assert.That(error!.Message.Any(c => char.IsControl(c) && c != '\n'), Is.False, error.Message);
        _guest.OnRun = _ => (new byte[1 << 20], "bad");
        error = await Assert.ThrowsAsync<ConsoleExpectException>(() => shell.RunAsync("x"));
        Assert.That(error!.Message, Has.Length.LessThan(20_000));
        _guest.OnRun = _ => (Encoding.ASCII.GetBytes("\x1b]0;title\a"), "1");
        IOException? refused = await Assert.ThrowsAsync<IOException>(() => shell.WriteFileAsync("/x", new byte[1]));
        Assert.That(refused!.Message.Any(char.IsControl), Is.False, refused.Message);
        _guest.OnFrame = frame => _guest.Tell('a', frame.Number, "\x1b[2J");
        refused = await Assert.ThrowsAsync<IOException>(() => shell.RunAsync("x"));
        Assert.That(refused!.Message.Any(char.IsControl), Is.False, refused.Message);
    }

    [TestCase('n')]
    [TestCase('w')]
    [TestCase('r')]
    public async Task A_guest_that_never_answers_a_frame_ends_the_call_in_time(char kind)
    {
        GuestShell shell = await AttachAsync();
        _guest.OnFrame = frame => AnswerUnless(frame, kind);
        ConsoleExpectException? error = await Assert.ThrowsAsync<ConsoleExpectException>(() => shell.RunAsync("x", Short));
        Assert.That(error!.Message, Does.StartWith("The command \"x\" did not end within 0.2 s"));
        using var source = new CancellationTokenSource(Short);
        Assert.That(() => shell.RunAsync("x", Timeout.InfiniteTimeSpan, source.Token), Throws.InstanceOf<OperationCanceledException>());
        _guest.OnFrame = _guest.Keep;
        await ExpectNextWorksAsync(shell);
    }

    [TestCase('n')]
    [TestCase('r')]
    public async Task A_guest_that_ends_while_a_frame_is_unanswered_ends_the_call(char kind)
    {
        GuestShell shell = await AttachAsync();
        _guest.OnFrame = frame =>
        {
            if (frame.Kind == kind)
            {
                _guest.PowerOff();
            }
            else
            {
                _guest.Keep(frame);
            }
        };
        ConsoleExpectException? error = await Assert.ThrowsAsync<ConsoleExpectException>(() => shell.RunAsync("x", Timeout.InfiniteTimeSpan));
        Assert.That(error!.Message, Does.Contain("The guest powered off."));
        error = await Assert.ThrowsAsync<ConsoleExpectException>(() => shell.RunAsync("x", Timeout.InfiniteTimeSpan));
        Assert.That(error!.Message, Does.Contain("The guest powered off."));
    }

    [TestCase("yyyyyyy")]
    [TestCase("y\n")]
    [TestCase("MARKER")]
    [TestCase("MARKERe1:0;")]
    [TestCase("MARKERe99999999999:0;MARKERx:;")]
    [TestCase("MARKERe1:")]
    public async Task Output_without_an_end_ends_with_the_timeout_and_nothing_grows(string piece)
    {
        GuestShell shell = await AttachAsync();
        byte[] flood = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat(piece.Replace("MARKER", _guest.Marker, StringComparison.Ordinal), 1000)));
        long printed = 0;
        bool asked = false;
        _guest.OnFrame = frame =>
        {
            if (frame.Kind != 'r')
            {
                _guest.Keep(frame);
                return;
            }

            _guest.Tell('b', frame.Number, "");
            Frame kill = _guest.FloodUntilFrame(flood);
            asked = kill is { Kind: 'k' } && kill.Number == frame.Number;

            // It does not stop at once, and it does not say when it does.
            for (int i = 0; i < 100; i++)
            {
                _guest.Print(flood);
            }

            _guest.OnFrame = _guest.Keep;
        };
        long before = GC.GetTotalMemory(forceFullCollection: true);
        var sink = new CountingStream(count => printed += count);
        ConsoleExpectException? error = await Assert.ThrowsAsync<ConsoleExpectException>(() => shell.RunAsync("yes", sink, TimeSpan.FromSeconds(1)));
        long growth = GC.GetTotalMemory(forceFullCollection: true) - before;
        Assert.That(error!.Message, Does.StartWith("The command \"yes\" did not end within 1 s"));
        Assert.That(asked, Is.True);
        Assert.That(growth, Is.LessThan(16 << 20), $"after {printed} bytes");
        await ExpectNextWorksAsync(shell);
    }

    [Test]
    public async Task Forged_events_ahead_of_their_frames_answer_nothing()
    {
        GuestShell shell = await AttachAsync();
        _guest.OnRun = _ =>
        {
            for (int number = -2; number < 100; number++)
            {
                foreach (char kind in "abek")
                {
                    _guest.Tell(kind, number is 4 ? 104 : number, "9");
                }
            }

            return ("x"u8.ToArray(), "3");
        };
        GuestCommandResult result = await shell.RunAsync("x");
        Assert.That((result.ExitCode, result.Output), Is.EqualTo((3, "x")));
        _guest.OnRun = _ => ([], "0");
        await ExpectNextWorksAsync(shell);
    }

    [Test]
    public async Task Output_up_to_the_limit_is_kept_and_more_ends_the_command()
    {
        GuestShell shell = await AttachAsync();
        shell.MaximumOutput = 100_000;
        _guest.OnRun = _ => (new byte[100_000], "0");
        Assert.That((await shell.RunAsync("x")).Output, Has.Length.EqualTo(100_000));
        _guest.OnFrame = frame =>
        {
            if (frame.Kind != 'r')
            {
                _guest.Keep(frame);
                return;
            }

            _guest.Tell('b', frame.Number, "");
            _guest.Keep(_guest.FloodUntilFrame(new byte[5000]));
        };
        IOException? error = await Assert.ThrowsAsync<IOException>(() => shell.RunAsync("x"));
        Assert.That(error!.Message, Does.Contain("100000").And.Contain("GuestShell.MaximumOutput"));
        _guest.OnFrame = _guest.Keep;
        await ExpectNextWorksAsync(shell);
    }

    [Test]
    public async Task A_guest_that_reads_nothing_ends_the_call_in_time_and_later_calls_say_so()
    {
        GuestShell shell = await AttachAsync();
        _guest.OnFrame = _ => _guest.Ended.WaitHandle.WaitOne();
        await Assert.ThrowsAsync<ConsoleExpectException>(() => shell.RunAsync("x", TimeSpan.FromMilliseconds(1)));
        await _guest.Console.WriteAsync(new byte[65_000]);
        int calls = 0;
        ConsoleExpectException? error;
        do
        {
            error = await Assert.ThrowsAsync<ConsoleExpectException>(() => shell.RunAsync("x", TimeSpan.FromMilliseconds(1)));
            calls++;
        }
        while (calls < 5000 && !error!.Message.Contains("nothing can be run", StringComparison.Ordinal));
        Assert.That(error!.Message, Does.Contain("nothing can be run on it any more; start a new machine"));
    }

    [TestCase(1)]
    [TestCase(2)]
    [TestCase(3)]
    public async Task Whatever_a_guest_answers_calls_end_with_what_they_document(int seed)
    {
        GuestShell shell = await AttachAsync();
        shell.InterruptPatience = TimeSpan.FromMilliseconds(10);
        shell.MaximumOutput = 50_000;
        var random = new Random(seed);
        _guest.OnFrame = frame =>
        {
            for (int i = random.Next(4); i > 0; i--)
            {
                Misbehave(frame, random);
            }

            if (random.Next(8) > 0)
            {
                _guest.Keep(frame);
            }
        };
        for (int round = 0; round < 60; round++)
        {
            using var source = new CancellationTokenSource(random.Next(2) == 0 ? random.Next(1, 30) : 1000);
            TimeSpan timeout = TimeSpan.FromMilliseconds(30);
            try
            {
                await (random.Next(3) switch
                {
                    0 => shell.RunAsync("x", timeout, source.Token),
                    1 => shell.ReadFileAsync("/x", timeout, source.Token),
                    _ => shell.WriteFileAsync("/x", new byte[40_000], timeout, source.Token),
                });
            }
            catch (Exception e) when (e is ConsoleExpectException or IOException or OperationCanceledException)
            {
                Assert.That(e.Message.Any(c => char.IsControl(c) && c is not ('\n' or '\t')), Is.False);
            }
        }

        _guest.OnFrame = _guest.Keep;
        await ExpectNextWorksAsync(shell);
    }

    [Test]
    public async Task A_prompt_with_no_shell_behind_it_is_told()
    {
        using var guest = new ScriptedGuest { Directory = null };
        ConsoleExpectException? error = await Assert.ThrowsAsync<ConsoleExpectException>(() => GuestShell.AttachAsync(guest.Console, Short));
        Assert.That(error!.Message, Does.StartWith("The shell behind the prompt did not answer within 0.2 s"));
        using ConsoleOutputReader reader = guest.Console.OpenReader();
    }

    [Test]
    public async Task A_shell_without_a_directory_is_told()
    {
        using var guest = new ScriptedGuest { Directory = "" };
        ConsoleExpectException? error = await Assert.ThrowsAsync<ConsoleExpectException>(() => GuestShell.AttachAsync(guest.Console));
        Assert.That(error!.Message, Does.StartWith("The guest has no directory for temporary files; mount one on /tmp"));
    }

    private void Misbehave(Frame frame, Random random)
    {
        string[] values = ["", "0", "1", "-1", "255", "4294967296", "\x1b[c", new string('9', 290), new string('x', 2000), "a;b"];
        int number = random.Next(4) == 0 ? random.Next() : frame.Number + random.Next(-2, 3);
        switch (random.Next(4))
        {
            case 0:
                byte[] noise = new byte[random.Next(70_000)];
                random.NextBytes(noise);
                _guest.Print(noise);
                break;
            case 1:
                _guest.Print(_guest.Marker[..random.Next(_guest.Marker.Length)]);
                break;
            default:
                _guest.Tell("abekx"[random.Next(5)], number, values[random.Next(values.Length)]);
                break;
        }
    }

    private async Task<GuestShell> AttachAsync()
    {
        _shell = await GuestShell.AttachAsync(_guest.Console);
        _shell.InterruptPatience = Short;
        return _shell;
    }

    private void AnswerUnless(Frame frame, char kind)
    {
        if (frame.Kind != kind && frame.Kind != 'k')
        {
            _guest.Keep(frame);
        }
    }

    private async Task ExpectNextWorksAsync(GuestShell shell)
    {
        _guest.OnRun = _ => ("next"u8.ToArray(), "5");
        GuestCommandResult next = await shell.RunAsync("echo next");
        Assert.That((next.ExitCode, next.Output), Is.EqualTo((5, "next")));
    }

    private sealed class CountingStream(Action<int> onWrite) : MemoryStream
    {
        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            onWrite(buffer.Length);
            return ValueTask.CompletedTask;
        }
    }
}
