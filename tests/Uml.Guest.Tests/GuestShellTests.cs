using System.Diagnostics;
using System.Text;
using Uml.Devices.Consoles;
using Uml.Hosting.Testing;

namespace Uml.Guest.Tests;

/// <summary>The shell takes every command, survives all of them, and copies files byte for byte. One guest for all: that is the point.</summary>
[TestFixture]
[Category("Guest")]
public sealed class GuestShellTests
{
    private GuestMachine _guest = null!;

    private GuestShell Shell => _guest.Shell;

    [OneTimeSetUp]
    public async Task BootAsync() => _guest = await GuestMachine.BootToShellAsync();

    [OneTimeTearDown]
    public async Task EndAsync() => await _guest.DisposeAsync();

    [TearDown]
    public async Task The_next_command_works()
    {
        GuestCommandResult next = await Shell.RunAsync("echo next", GuestMachine.Patience);
        Assert.That((next.ExitCode, next.Output), Is.EqualTo((0, "next\n")));
    }

    [TestCase("sleep 1 &", 0, "")]
    [TestCase("echo x;", 0, "x\n")]
    [TestCase("echo x # c", 0, "x\n")]
    [TestCase("# nothing", 0, "")]
    [TestCase("echo \"it's\"", 0, "it's\n")]
    [TestCase("echo a\necho b\n", 0, "a\nb\n")]
    [TestCase("for i in 1 2; do\n  echo $i\ndone", 0, "1\n2\n")]
    [TestCase("cat <<'E'\n$x `y` \\\nE\n", 0, "$x `y` \\\n")]
    [TestCase("echo a \\\n  b", 0, "a b\n")]
    [TestCase("printf 'no end'", 0, "no end")]
    [TestCase("printf 'a\\r\\nb'", 0, "a\r\nb")]
    [TestCase("echo grüße", 0, "grüße\n")]
    [TestCase("exit 3", 3, "")]
    [TestCase("echo a; exec sh -c 'echo b; exit 255'", 255, "a\nb\n")]
    [TestCase("kill -9 $$", 137, "")]
    [TestCase("false", 1, "")]
    [TestCase("cat; read x; echo $?", 0, "1\n")]
    [TestCase("cd /tmp; x=1; set -e; pwd", 0, "/tmp\n")]
    [TestCase("pwd; echo $x", 0, "/root\n\n")]
    [TestCase("stty sane </dev/console; echo x", 0, "x\r\n")]
    [TestCase("echo $((6 * 7)) > /tmp/x; cat /tmp/x; rm /tmp/x", 0, "42\n")]
    public async Task A_command_gives_its_output_and_exit_code(string command, int exitCode, string output)
    {
        GuestCommandResult result = await Shell.RunAsync(command, GuestMachine.Patience);
        Assert.That((result.ExitCode, result.Output), Is.EqualTo((exitCode, output)));
    }

    [TestCase("echo it's")]
    [TestCase("if")]
    [TestCase("echo )")]
    public async Task What_is_no_command_tells_so(string command)
    {
        GuestCommandResult result = await Shell.RunAsync(command, GuestMachine.Patience);
        Assert.That(result.ExitCode, Is.EqualTo(2), result.Output);
        Assert.That(result.Output, Does.Contain("syntax error"));
    }

    [TestCase(4_000)]
    [TestCase(40_000)]
    [TestCase(400_000)]
    public async Task A_command_may_have_any_length(int length)
    {
        string text = string.Concat(Enumerable.Range(0, length / 10).Select(i => $"{i,9} "));
        GuestCommandResult result = await Shell.RunAsync($"cat <<'E'\n{text}\nE", GuestMachine.Patience);
        Assert.That(result.Output, Is.EqualTo(text + "\n"));
    }

    [Test]
    public async Task Large_output_arrives_whole()
    {
        GuestCommandResult result = await Shell.RunAsync("seq 1 1000000", GuestMachine.Patience);
        StringBuilder expected = new();
        for (int i = 1; i <= 1_000_000; i++)
        {
            expected.Append(i).Append('\n');
        }

        Assert.That(result.Output.Length, Is.EqualTo(expected.Length));
        Assert.That(result.Output == expected.ToString(), Is.True);
    }

    [Test]
    public async Task A_hundred_megabytes_arrive_as_a_string()
    {
        var time = Stopwatch.StartNew();
        GuestCommandResult result = await Shell.RunAsync("head -c 100000000 /dev/zero | tr '\\0' x", GuestMachine.Patience);
        TestContext.Out.WriteLine($"100 MB in {time.Elapsed.TotalSeconds:0.0} s");
        Assert.That(result.Output.Length, Is.EqualTo(100_000_000));
        Assert.That(result.Output.AsSpan().ContainsAnyExcept('x'), Is.False);
    }

    [TestCase("sleep 1000")]
    [TestCase("while :; do :; done")]
    [TestCase("yes")]
    [TestCase("trap '' TERM INT HUP; while :; do sleep 1; done")]
    [TestCase("sh -c 'sleep 1000 | cat'")]
    [TestCase("kill -STOP $$")]
    public async Task A_command_that_takes_too_long_is_interrupted(string command)
    {
        var time = Stopwatch.StartNew();
        ConsoleExpectException? error = await Assert.ThrowsAsync<ConsoleExpectException>(() => Shell.RunAsync(command, TimeSpan.FromSeconds(1)));
        Assert.That(error!.Message, Does.StartWith($"The command \"{command}\" did not end within 1 s and was interrupted."));
        Assert.That(time.Elapsed, Is.LessThan(TimeSpan.FromMinutes(1)), "the call hung");
        GuestCommandResult left = await Shell.RunAsync("ps | grep -c -e '[s]leep 1000' -e '[y]es$'", GuestMachine.Patience);
        Assert.That(left.Output, Is.EqualTo("0\n"));
    }

    [Test]
    public async Task A_command_that_takes_too_long_shows_what_it_wrote_and_nothing_of_the_shells()
    {
        ConsoleExpectException? error = await Assert.ThrowsAsync<ConsoleExpectException>(
            () => Shell.RunAsync("echo hello; stty sane </dev/console; sleep 1000", TimeSpan.FromSeconds(1)));
        Assert.That(error!.Message, Does.Contain("hello").And.Not.Match("[0-9a-f]{16}").And.Not.Contain("stty raw"));
    }

    [Test]
    public async Task A_cancelled_command_is_interrupted()
    {
        using var source = new CancellationTokenSource(500);
        Assert.That(() => Shell.RunAsync("sleep 1001", GuestMachine.Patience, source.Token), Throws.InstanceOf<OperationCanceledException>());
        Assert.That((await Shell.RunAsync("ps | grep -c '[s]leep 1001'", GuestMachine.Patience)).Output, Is.EqualTo("0\n"));
    }

    [Test]
    public async Task Output_beyond_the_limit_ends_the_command()
    {
        Shell.MaximumOutput = 1 << 20;
        try
        {
            IOException? error = await Assert.ThrowsAsync<IOException>(() => Shell.RunAsync("yes", GuestMachine.Patience));
            Assert.That(error!.Message, Does.Contain("1048576").And.Contain("MaximumOutput"));
        }
        finally
        {
            Shell.MaximumOutput = 256 << 20;
        }
    }

    [Test]
    public async Task Commands_at_the_same_time_take_turns()
    {
        GuestCommandResult[] results = await Task.WhenAll(Enumerable.Range(0, 5).Select(i => Shell.RunAsync($"echo {i}; sleep 0.1; exit {i}", GuestMachine.Patience)));
        Assert.That(results.Select(result => (result.ExitCode, result.Output)), Is.EqualTo(Enumerable.Range(0, 5).Select(i => (i, $"{i}\n"))));
    }

    [TestCase(0)]
    [TestCase(1)]
    [TestCase(100_000)]
    [TestCase(3_000_000)]
    public async Task A_file_goes_in_and_out_byte_for_byte(int length)
    {
        byte[] content = new byte[length];
        new Random(length).NextBytes(content);
        await Shell.WriteFileAsync("/tmp/a file's \"name\" $x", content, GuestMachine.Patience);
        Assert.That((await Shell.RunAsync("stat -c %s /tmp/a*; cat /tmp/a* | sha256sum", GuestMachine.Patience)).Output,
            Is.EqualTo($"{length}\n{Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(content))}  -\n"));
        Assert.That(await Shell.ReadFileAsync("/tmp/a file's \"name\" $x", GuestMachine.Patience), Is.EqualTo(content));
        await Shell.RunAsync("rm /tmp/a*", GuestMachine.Patience);
    }

    [Test]
    public async Task A_file_that_exists_keeps_its_mode()
    {
        await Shell.RunAsync("echo old content > mode; chmod 750 mode", GuestMachine.Patience);
        await Shell.WriteFileAsync("mode", "new"u8.ToArray(), GuestMachine.Patience);
        Assert.That((await Shell.RunAsync("stat -c %a mode; cat mode", GuestMachine.Patience)).Output, Is.EqualTo("750\nnew"));
    }

    [Test]
    public async Task A_file_of_proc_can_be_read() =>
        Assert.That(Encoding.UTF8.GetString(await Shell.ReadFileAsync("/proc/version", GuestMachine.Patience)), Does.StartWith("Linux version"));

    [TestCase("/no/such", "o such file")]
    [TestCase("/tmp", "Is a directory")]
    public async Task A_file_that_cannot_be_read_says_why(string path, string reason)
    {
        IOException? error = await Assert.ThrowsAsync<IOException>(() => Shell.ReadFileAsync(path, GuestMachine.Patience));
        Assert.That(error!.Message, Does.StartWith($"The guest cannot read {path}: ").And.Contain(reason));
    }

    [TestCase("/no/such/file")]
    [TestCase("/proc/version")]
    [TestCase("/dev/full")]
    public async Task A_file_that_cannot_be_written_says_why(string path)
    {
        IOException? error = await Assert.ThrowsAsync<IOException>(() => Shell.WriteFileAsync(path, "x"u8.ToArray(), GuestMachine.Patience));
        Assert.That(error!.Message, Does.StartWith($"The guest cannot write {path}: ").And.Length.GreaterThan(path.Length + 30));
    }

    [Test]
    public async Task A_full_file_system_is_told()
    {
        await Shell.RunAsync("mkdir -p /mnt; mount -t tmpfs -o size=64k tmpfs /mnt", GuestMachine.Patience);
        IOException? error = await Assert.ThrowsAsync<IOException>(() => Shell.WriteFileAsync("/mnt/large", new byte[1 << 20], GuestMachine.Patience));
        Assert.That(error!.Message, Does.Contain("No space left on device"));
        await Shell.RunAsync("umount /mnt", GuestMachine.Patience);
    }

    [Test]
    public async Task A_file_that_the_guest_has_no_room_for_leaves_the_shell_working()
    {
        // Room for four megabytes where the shell keeps what is sent to it.
        await Shell.RunAsync(
            "dd if=/dev/zero of=/tmp/room bs=1M count=4; dd if=/dev/zero of=/tmp/rest bs=64k; rm /tmp/room", GuestMachine.Patience);
        IOException? error = await Assert.ThrowsAsync<IOException>(() => Shell.WriteFileAsync("/root/large", new byte[8 << 20], GuestMachine.Patience));
        Assert.That(error!.Message, Does.Contain("may be full"));
        GuestCommandResult result = await Shell.RunAsync("rm /tmp/rest; echo alive", GuestMachine.Patience);
        Assert.That(result, Is.EqualTo(new GuestCommandResult(0, "alive\n")));
    }

    [TestCase(-5.0)]
    [TestCase(5e6)]
    public async Task A_timeout_that_there_is_not_is_refused(double seconds)
    {
        ArgumentException? error = await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => Shell.RunAsync("echo x", TimeSpan.FromSeconds(seconds)));
        Assert.That(error!.Message, Does.Contain("0 to 49 days, or Timeout.InfiniteTimeSpan").And.Contain("timeout"));
    }
}
