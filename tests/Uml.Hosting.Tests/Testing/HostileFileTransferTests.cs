using System.Security.Cryptography;
using System.Text;
using Uml.Hosting.Testing;

namespace Uml.Hosting.Tests.Testing;

/// <summary>Files to and from a guest that lies about them.</summary>
[TestFixture]
[CancelAfter(60_000)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class HostileFileTransferTests : IDisposable
{
    private readonly ScriptedGuest _guest = new();
    private GuestShell? _shell;

    // What the guest sends for a file, and what it says of it afterwards.
    private byte[] _file = [];
    private string _answer = "";
    private string _code = "0";

    public void Dispose()
    {
        _shell?.Dispose();
        _guest.Dispose();
    }

    [SetUp]
    public async Task AttachAsync()
    {
        _shell = await GuestShell.AttachAsync(_guest.Console);
        _shell.InterruptPatience = TimeSpan.FromMilliseconds(200);
        _guest.OnRun = script => script.Contains("tee", StringComparison.Ordinal) ? (_file, _code) : (Encoding.UTF8.GetBytes(_answer), "0");
    }

    [TestCase(0)]
    [TestCase(1_000_000)]
    public async Task A_file_arrives_when_its_hash_is_that_of_its_bytes(int length)
    {
        _file = new byte[length];
        new Random(length).NextBytes(_file);
        _answer = Hash(_file);
        Assert.That(await _shell!.ReadFileAsync("/x"), Is.EqualTo(_file));
    }

    [TestCase(0)]
    [TestCase(999)]
    [TestCase(1001)]
    public async Task Fewer_bytes_or_more_than_were_hashed_are_told(int length)
    {
        _file = new byte[length];
        _answer = Hash(new byte[1000]);
        IOException? error = await Assert.ThrowsAsync<IOException>(() => _shell!.ReadFileAsync("/x"));
        Assert.That(error!.Message, Does.StartWith("The guest's file /x did not arrive whole"));
    }

    [TestCase("", "it gives no reason")]
    [TestCase("no such file", "no such file")]
    [TestCase("\x1b]0;owned\a", "␛]0;owned␇")]
    [TestCase("0123456789abcdef  -", "0123456789abcdef  -")]
    public async Task What_is_no_hash_is_the_reason(string answer, string reason)
    {
        _answer = answer;
        IOException? error = await Assert.ThrowsAsync<IOException>(() => _shell!.ReadFileAsync("/x"));
        Assert.That(error!.Message, Is.EqualTo($"The guest cannot read /x: {reason}"));
        _code = "1";
        error = await Assert.ThrowsAsync<IOException>(() => _shell!.ReadFileAsync("/x"));
        Assert.That(error!.Message, Is.EqualTo($"The guest cannot read /x: {reason}"));
    }

    [Test]
    public async Task A_failure_with_the_right_hash_is_a_failure()
    {
        _file = new byte[10];
        (_answer, _code) = (Hash(_file), "3");
        Assert.That(await ThrowsAsync(() => _shell!.ReadFileAsync("/x")), Does.StartWith("The guest's file /x did not arrive whole"));
    }

    [Test]
    public async Task A_file_beyond_the_limit_is_told_with_what_to_do()
    {
        _shell!.MaximumOutput = 1000;
        _file = new byte[200_000];
        Assert.That(await ThrowsAsync(() => _shell.ReadFileAsync("/x")), Does.Contain("1000 bytes; raise GuestShell.MaximumOutput"));
    }

    [Test]
    public async Task A_reason_without_an_end_is_bounded()
    {
        _code = "1";
        _answer = new string('x', 60_000);
        Assert.That(await ThrowsAsync(() => _shell!.ReadFileAsync("/x")), Has.Length.LessThan(3000));
        _answer = new string('x', 1 << 20);
        Assert.That(await ThrowsAsync(() => _shell!.ReadFileAsync("/x")), Does.Contain("something else writes on the shell's console").And.Not.Contain("MaximumOutput"));
        _guest.OnRun = _ => (Encoding.ASCII.GetBytes(_answer), "1");
        Assert.That(await ThrowsAsync(() => _shell!.WriteFileAsync("/x", new byte[10])), Does.Contain("something else writes on the shell's console"));
    }

    [TestCase("1")]
    [TestCase("")]
    [TestCase("-0")]
    [TestCase("99999999999")]
    public async Task An_upload_that_is_refused_is_told(string code)
    {
        int pieces = 0;
        _guest.OnFrame = frame =>
        {
            if (frame.Kind == 'w' && ++pieces == 2)
            {
                _guest.Tell('a', frame.Number, code);
            }
            else
            {
                _guest.Keep(frame);
            }
        };
        Assert.That(await ThrowsAsync(() => _shell!.WriteFileAsync("/x", new byte[100_000])), Does.Contain($"(dd ended with {code})"));
        Assert.That(pieces, Is.EqualTo(2));
    }

    [Test]
    public async Task Pieces_that_are_acknowledged_out_of_order_do_not_hurry_the_host()
    {
        List<int> lengths = [];
        _guest.OnFrame = frame =>
        {
            if (frame.Kind == 'w')
            {
                lengths.Add(frame.Body.Length);
                _guest.Tell('a', frame.Number + 1, "0");
                _guest.Tell('a', frame.Number - 1, "0");
            }

            _guest.Keep(frame);
        };
        await _shell!.WriteFileAsync("/x", new byte[40_000]);
        Assert.That(lengths.Take(3), Is.EqualTo(new[] { 16384, 16384, 7232 }));
    }

    private static string Hash(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes)) + "  -\n";

    private static async Task<string> ThrowsAsync(Func<Task> action) => (await Assert.ThrowsAsync<IOException>(() => action()))!.Message;
}
