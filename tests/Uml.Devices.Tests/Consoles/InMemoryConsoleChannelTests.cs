using System.Text;
using System.Text.RegularExpressions;
using Uml.Core.Machine;
using Uml.Devices.Consoles;

namespace Uml.Devices.Tests.Consoles;

[TestFixture]
[CancelAfter(20_000)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class InMemoryConsoleChannelTests
{
    private readonly InMemoryConsoleChannel _console = new();

    [Test]
    public async Task Expecting_finds_what_was_printed_before(CancellationToken token)
    {
        Print("login: ");
        Assert.That(await _console.ExpectAsync("login:", cancellationToken: token), Is.Empty);
    }

    [Test]
    public async Task Expecting_waits_for_output_that_comes_in_pieces(CancellationToken token)
    {
        Task<string> wait = _console.ExpectAsync("abc", cancellationToken: token);
        foreach (string piece in new[] { "x", "a", "b", "c" })
        {
            await Task.Delay(3, token);
            Print(piece);
        }

        Assert.That(await wait, Is.EqualTo("x"));
    }

    [Test]
    public async Task Each_match_starts_behind_the_last_one(CancellationToken token)
    {
        Print("one=1 two=2 ");
        Match first = await _console.ExpectAsync(new Regex(@"=(\d) "), cancellationToken: token);
        Match second = await _console.ExpectAsync(new Regex(@"=(\d) "), cancellationToken: token);
        Assert.That(first.Groups[1].Value + second.Groups[1].Value, Is.EqualTo("12"));
    }

    [Test]
    public async Task A_timeout_shows_the_end_of_the_console()
    {
        var console = new InMemoryConsoleChannel(new InMemoryConsoleOptions { TailLines = 2 });
        console.Write("first\r\nsecond\r\nthird\r\n"u8);
        ConsoleExpectException? error = await Assert.ThrowsAsync<ConsoleExpectException>(() => console.ExpectAsync("fourth", TimeSpan.FromMilliseconds(30)));
        Assert.That(error!.Message, Does.Contain("No \"fourth\" within 0.03 s. The guest kernel has not panicked."));
        Assert.That(error.Message, Does.Contain("second").And.Contain("third").And.Not.Contain("first"));
    }

    [Test]
    public void Messages_leave_out_what_is_hidden_and_the_transcript_keeps_it()
    {
        var console = new InMemoryConsoleChannel(new InMemoryConsoleOptions { TailLines = 2 });
        console.HideInMessages(new Regex("<.*?>"));
        console.HideInMessages(new Regex("#\\d\n"));
        console.Write("first\nsecond<a>\n#1\n#2\n<b>third"u8);
        Assert.That(console.Explain("Why."), Does.EndWith($"with:{Environment.NewLine}second\nthird"));
        Assert.That(console.Transcript, Does.EndWith("#2\n<b>third"));
    }

    [Test]
    public async Task A_timeout_tells_of_a_panic()
    {
        Print("[    1.5] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n");
        ConsoleExpectException? error = await Assert.ThrowsAsync<ConsoleExpectException>(() => _console.ExpectAsync(new Regex("[$#] "), TimeSpan.FromMilliseconds(30)));
        Assert.That(error!.Message, Does.Contain("No /[$#] / within").And.Contain("The guest kernel panicked: VFS: Unable to mount root fs"));
    }

    [Test]
    public async Task The_end_of_the_machine_ends_the_wait()
    {
        Task<string> wait = _console.ExpectAsync("never", TimeSpan.FromMinutes(5));
        ((IMachineExitInterpreter)_console).Interpret(new MachineExit(MachineExitReason.PowerOff, 0, "The guest powered off."));
        ConsoleExpectException? error = await Assert.ThrowsAsync<ConsoleExpectException>(() => wait);
        Assert.That(error!.Message, Does.Contain("The machine ended before \"never\" came: The guest powered off.").And.Contain("empty"));
    }

    [Test]
    public void Cancelling_ends_the_wait_with_a_cancellation()
    {
        using var source = new CancellationTokenSource(20);
        Assert.That(() => _console.ExpectAsync("never", cancellationToken: source.Token), Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public void Text_that_is_cut_inside_a_character_is_put_together()
    {
        byte[] bytes = Encoding.UTF8.GetBytes("grüße");
        _console.Write(bytes.AsSpan(0, 3));
        _console.Write(bytes.AsSpan(3));
        Assert.That(_console.Transcript, Is.EqualTo("grüße"));
    }

    [Test]
    public void The_transcript_is_bounded_and_keeps_the_newest()
    {
        var console = new InMemoryConsoleChannel(new InMemoryConsoleOptions { MaximumTranscript = 1024 });
        for (int i = 0; i < 10_000; i++)
        {
            console.Write(Encoding.ASCII.GetBytes($"line {i}\n"));
        }

        Assert.That(console.Transcript, Has.Length.LessThanOrEqualTo(1024));
        Assert.That(console.Transcript, Does.EndWith("line 9999\n"));
    }

    [Test]
    public async Task Input_reaches_the_guest_in_order_and_as_fast_as_it_reads(CancellationToken token)
    {
        byte[] sent = new byte[200_000];
        new Random(1).NextBytes(sent);
        int calls = 0;
        _console.Attach(() => Interlocked.Increment(ref calls));
        Task writing = _console.WriteAsync(sent, token);
        var received = new List<byte>();
        byte[] buffer = new byte[1000];
        while (received.Count < sent.Length)
        {
            token.ThrowIfCancellationRequested();
            received.AddRange(buffer[.._console.Read(buffer)]);
        }

        await writing;
        Assert.That(received, Is.EqualTo(sent));
        Assert.That(calls, Is.Positive);
    }

    [Test]
    public async Task A_line_ends_in_the_Enter_key(CancellationToken token)
    {
        await _console.WriteLineAsync("ls", token);
        byte[] buffer = new byte[10];
        Assert.That(Encoding.ASCII.GetString(buffer, 0, _console.Read(buffer)), Is.EqualTo("ls\n"));
    }

    [Test]
    public async Task A_reader_gets_every_byte_and_holds_up_the_guest(CancellationToken token)
    {
        Print("before");
        byte[] sent = new byte[1_000_000];
        new Random(1).NextBytes(sent);
        using var room = new SemaphoreSlim(0);
        _console.Attach(() => room.Release());
        using ConsoleOutputReader reader = _console.OpenReader();
        int held = 0;
        Task guest = Task.Run(
            async () =>
            {
                for (int done = 0; done < sent.Length;)
                {
                    int accepted = _console.Write(sent.AsSpan(done, Math.Min(4096, sent.Length - done)));
                    done += accepted;
                    if (accepted == 0)
                    {
                        held++;
                        await room.WaitAsync(token);
                    }
                }
            },
            token);
        byte[] received = new byte[sent.Length];
        for (int done = 0; done < received.Length;)
        {
            done += await reader.ReadAsync(received.AsMemory(done, Math.Min(1000, received.Length - done)), token);
        }

        await guest;
        Assert.That(received, Is.EqualTo(sent));
        Assert.That(held, Is.Positive);
    }

    [Test]
    public void A_guest_that_waits_goes_on_when_its_reader_closes()
    {
        int ready = 0;
        _console.Attach(() => ready++);
        ConsoleOutputReader reader = _console.OpenReader();
        while (_console.Write(new byte[4096]) > 0)
        {
        }

        reader.Dispose();
        Assert.That(ready, Is.EqualTo(1));
        Assert.That(_console.Write(new byte[4096]), Is.EqualTo(4096));
    }

    [Test]
    public async Task A_reader_ends_with_the_machine_and_not_before_its_last_output(CancellationToken token)
    {
        using ConsoleOutputReader reader = _console.OpenReader();
        Print("last");
        ((IMachineExitInterpreter)_console).Interpret(new MachineExit(MachineExitReason.PowerOff, 0, "The guest powered off."));
        Assert.That(await reader.ReadAsync(new byte[10], token), Is.EqualTo(4));
        ConsoleExpectException? error = await Assert.ThrowsAsync<ConsoleExpectException>(() => reader.ReadAsync(new byte[10], token).AsTask());
        Assert.That(error!.Message, Does.StartWith("The machine ended: The guest powered off."));
    }

    [Test]
    public void There_is_one_reader_at_a_time()
    {
        ConsoleOutputReader reader = _console.OpenReader();
        Assert.That(_console.OpenReader, Throws.InvalidOperationException);
        reader.Dispose();
        Assert.That(() => reader.ReadAsync(new byte[1]).AsTask(), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(_console.OpenReader, Throws.Nothing);
    }

    private void Print(string text) => _console.Write(Encoding.UTF8.GetBytes(text));
}
