using System.Diagnostics;
using System.Reflection;
using System.Text.Json;

namespace Uml.Storage.Tests.Tools;

/// <summary>The program DiskImages, as a user's shell runs it.</summary>
public sealed class CommandLineTests
{
    private const string Command = "dotnet run -c Release --project samples/DiskImages -- ";

    private static readonly string Root = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../../../.."));

    private static string Program => Path.Combine(Root, $"samples/DiskImages/bin/{Configuration}/net10.0/DiskImages.dll");

    private TemporaryFolder _folder = null!;

    private static string Configuration =>
        typeof(CommandLineTests).Assembly.GetCustomAttribute<AssemblyConfigurationAttribute>()!.Configuration;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public void The_commands_of_the_documentation_succeed_one_after_another()
    {
        string[] commands = [.. File.ReadLines(Path.Combine(Root, "docs", "how-to-use-disks.md")).Where(line => line.StartsWith(Command, StringComparison.Ordinal))];
        Assert.That(commands, Has.Length.GreaterThan(8));
        foreach (string command in commands)
        {
            (int code, string output) = Run([.. command[Command.Length..].Split(' ').Select(Place)]);
            Assert.That(code, Is.Zero, $"{command}: {output}");
        }

        Assert.That(new FileInfo(_folder["copy.img"]).Length, Is.EqualTo(2L << 30));
    }

    [Test]
    public void Information_comes_as_json()
    {
        Run("create", _folder["base.img"], "1M");
        Run("cow", _folder["root.cow"], _folder["base.img"]);
        (int code, string output) = Run("info", _folder["root.cow"], "-f", "cow", "--json");
        Assert.That(code, Is.Zero);
        using JsonDocument json = JsonDocument.Parse(output);
        Assert.That(json.RootElement.GetProperty("format").GetString(), Is.EqualTo("cow"));
        Assert.That(json.RootElement.GetProperty("backing").GetProperty("virtualSize").GetInt64(), Is.EqualTo(1 << 20));
    }

    [TestCase("info missing.img", 1, "Check the path")]
    [TestCase("create new.img 100", 2, "sectors of 512 bytes")]
    [TestCase("create new.img 9999999T", 2, "more than a disk can have")]
    [TestCase("merge root.cow", 2, "--in-place")]
    [TestCase("resize root.cow 1G --format cow", 1, "Merge it into a new image")]
    [TestCase("info x --format vmdk", 2, "cow")]
    [TestCase("create new.img 8388607T --format qcow2", 1, "less than")]
    [TestCase("convert a.img b.img --parallel x", 2, "--parallel")]
    [TestCase("convert a.img b.img --parallel 65", 2, "1 to 64")]
    [TestCase("create  1M", 2, "empty")]
    [TestCase("info ", 2, "empty")]
    [TestCase("merge a.cow ", 2, "empty")]
    [TestCase("serve a.img ", 2, "empty")]
    public void Errors_say_what_to_do_and_have_an_exit_code_each(string arguments, int expected, string part)
    {
        (int code, string output) = Run([.. arguments.Split(' ').Select(Place)]);
        Assert.That(code, Is.EqualTo(expected), output);
        Assert.That(output, Does.Contain(part).And.Not.Contain("   at "));
    }

    [Test]
    public void A_check_that_finds_something_has_an_exit_code_of_its_own()
    {
        Run("create", _folder["base.img"], "1M");
        Run("cow", _folder["root.cow"], _folder["base.img"]);
        File.Delete(_folder["base.img"]);
        (int code, string output) = Run("check", _folder["root.cow"], "-f", "cow");
        Assert.That(code, Is.EqualTo(3));
        Assert.That(output, Does.Contain("There is no file"));
    }

    [Test, CancelAfter(60_000)]
    public async Task A_socket_of_a_server_that_was_killed_is_no_hindrance_and_one_in_use_is_refused(CancellationToken cancellationToken)
    {
        Run("create", _folder["a.img"], "1M");
        for (int i = 0; i < 2; i++)
        {
            ProcessStartInfo start = new("dotnet", [Program, "serve", _folder["a.img"], _folder["a.sock"]])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,

                // A runtime that is killed leaves what it had for debuggers in TMPDIR.
                Environment = { ["DOTNET_EnableDiagnostics"] = "0" },
            };
            using Process server = Process.Start(start)!;
            try
            {
                // Whichever stream it tells the address on, it listens when it has told it.
                Task<string?> told = server.StandardOutput.ReadLineAsync(cancellationToken).AsTask(), error = server.StandardError.ReadLineAsync(cancellationToken).AsTask();
                Assert.That(await await Task.WhenAny(told, error), Does.Contain("nbd+unix:"));
                (int code, string output) = Run("serve", _folder["a.img"], _folder["a.sock"], "--read-only");
                Assert.That((code, output), Is.EqualTo((1, $"DiskImages: A server listens on '{_folder["a.sock"]}' already. Name another socket, or end that server.\n")));
            }
            finally
            {
                server.Kill();
                await server.WaitForExitAsync(CancellationToken.None);
            }

            Assert.That(File.Exists(_folder["a.sock"]), "what a server leaves that is killed");
        }

        await File.WriteAllTextAsync(_folder["text.sock"], "mine", cancellationToken);
        Assert.That(Run("serve", _folder["a.img"], _folder["text.sock"]).Code, Is.EqualTo(1));
        Assert.That(await File.ReadAllTextAsync(_folder["text.sock"], cancellationToken), Is.EqualTo("mine"), "what is no socket is left alone");
    }

    /// <summary>Names of files, in the test's folder.</summary>
    private string Place(string word) => word.Contains('.', StringComparison.Ordinal) ? _folder[word] : word;

    private static (int Code, string Output) Run(params string[] arguments) => PeerTool.TryRun(
        "dotnet-sdk-10.0", "dotnet", [Program, .. arguments]);
}
