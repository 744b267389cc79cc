using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using Uml.Storage.FileSystems.Ext4;
using Uml.Storage.FileSystems.Trees;
using Uml.Storage.Formats.Qcow2;

namespace Uml.Guest.Tests;

/// <summary>The program BootLinux, as a user's shell runs it: standard streams, signals and exit statuses.</summary>
[TestFixture]
[Category("Guest")]
[Platform("Linux")]
public sealed partial class BootLinuxTests
{
    private const int Terminate = 15;

    private static readonly string Configuration = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;

    private static readonly string Program =
        Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, $"../../../../../samples/BootLinux/bin/{Configuration}/net10.0/BootLinux.dll"));

    [Test]
    public async Task Commands_on_standard_input_are_run_whole()
    {
        (int status, string output, _) = await RunAsync("echo a\necho $((6 * 7))\n");
        Assert.That(output, Does.Contain("echo a\r\na\r\n").And.Contain("\r\n42\r\n"));
        Assert.That(status, Is.Zero);
    }

    [TestCase("hello\nworld\n", "head -n 1", "hello\n")]
    [TestCase("hello\nworld\n", "cat", "hello\nworld\n")]
    [TestCase("no end", "cat", "no end\n")]
    [TestCase("", "cat; echo done", "done\n")]
    [TestCase("", "read x || echo end", "end\n")]
    public async Task A_command_gets_standard_input_and_its_end(string input, string command, string expected)
    {
        (int status, string output, string error) = await RunAsync(input, "--run", command);
        Assert.That((status, output), Is.EqualTo((0, expected)), error);
    }

    [Test]
    public async Task Help_shows_defaults_as_they_are_written_examples_and_keys()
    {
        (int status, string output, _) = await RunAsync("", "--help");
        Assert.That(output, Does.Contain("[default: 256M]").And.Contain("BootLinux --run \"uname -a\"").And.Contain("Ctrl-A x"));
        Assert.That(status, Is.Zero);
    }

    [Test]
    public async Task The_version_is_that_of_the_packages()
    {
        (_, string output, _) = await RunAsync("", "--version");
        Assert.That(output.Trim(), Is.EqualTo(typeof(Uml.Hosting.UmlMachine).Assembly.GetName().Version!.ToString(3)));
    }

    [Test]
    public async Task The_reason_of_a_panic_stands_once()
    {
        (int status, string output, string error) = await RunAsync("", "--append", "rdinit=/none quiet loglevel=1");
        Assert.That((output + error).Split("Unable to mount root fs"), Has.Length.EqualTo(2), output + error);
        Assert.That(error, Is.EqualTo("BootLinux: The guest kernel panicked.\n"));
        Assert.That(status, Is.EqualTo(125));
    }

    [Test]
    public async Task The_guest_has_the_hosts_terminal_type()
    {
        (_, string output, _) = await RunAsync("", "--run", "echo $TERM");
        Assert.That(output, Is.EqualTo("xterm-256color\n"));
    }

    [TestCase("--run", "", "--run is empty; write a command, such as --run \"uname -a\", or leave the option out for a shell.")]
    [TestCase("--run", " ", "--run is empty; write a command,")]
    [TestCase("--kernel", "", "--kernel is empty; name a file or a package, or leave the option out.")]
    [TestCase("--initrd", "", "--initrd is empty; name a file, or leave the option out.")]
    [TestCase("--mem", "", "--mem: '' is not a size; write a whole number with an optional K, M, G or T, such as 256M.")]
    [TestCase("--mem", "1", "--mem is '1'; write 1M to 512G in steps of 4K, such as 256M. Without a suffix it counts bytes.")]
    [TestCase("--mem", "1023K", "--mem is '1023K'; write 1M to 512G in steps of 4K, such as 256M. Without a suffix it counts bytes.")]
    [TestCase("--mem", "1T", "--mem is '1T'; write 1M to 512G in steps of 4K, such as 256M. Without a suffix it counts bytes.")]
    [TestCase("--mem", "67108865", "--mem is '67108865'; write 1M to 512G in steps of 4K, such as 256M. Without a suffix it counts bytes.")]
    public async Task A_value_that_nothing_can_be_done_with_is_refused_with_what_to_write(string option, string value, string advice)
    {
        (int status, string output, string error) = await RunAsync("", option, value);
        Assert.That((status, output), Is.EqualTo((125, "")), error);
        Assert.That(error, Does.StartWith(advice));
    }

    [TestCase("--check", "", "--check is ''; write None, Interpret or Stop.")]
    [TestCase("--check", "1", "--check is '1'; write None, Interpret or Stop.")]
    [TestCase("--check", "-1", "--check is '-1'; write None, Interpret or Stop.")]
    [TestCase("--check", "None,Stop", "--check is 'None,Stop'; write None, Interpret or Stop.")]
    [TestCase("--check", "Sotp", "--check is 'Sotp'; write None, Interpret or Stop.")]
    [TestCase("--engine", "0", "--engine is '0'; write Interpreter or Jit.")]
    [TestCase("--cpu", "386", "--cpu is '386'; write Host, X64V2 or X64V3.")]
    public async Task A_value_that_is_no_choice_is_refused_with_the_choices(string option, string value, string advice)
    {
        (int status, _, string error) = await RunAsync("", option, value);
        Assert.That(status, Is.EqualTo(125), error);
        Assert.That(error, Does.Contain(advice));
    }

    [TestCase("yes", "exec \"$@\" >/dev/full", "No space left on device")]
    [TestCase("echo x", "exec \"$@\" >/dev/full", "No space left on device")]
    [TestCase("yes", "{ \"$@\"; echo $? >&2; } | head -c 4 >/dev/null; exit 125", "Broken pipe")]
    public async Task Output_that_cannot_be_written_ends_the_program_with_a_message(string command, string shell, string reason)
    {
        (int status, _, string error) = await RunInShellAsync(shell, "--run", command);
        Assert.That(error, Does.Contain($"BootLinux: Standard output cannot be written: {reason}"));
        Assert.That(status, Is.EqualTo(125));
    }

    [Test]
    public async Task A_signal_that_ends_the_program_gives_its_status()
    {
        using Process process = Start("dotnet", [Program, "--run", "echo here; sleep 1000"]);
        Assert.That(await process.StandardOutput.ReadLineAsync().WaitAsync(GuestMachine.Patience), Is.EqualTo("here"));
        Assert.That(Signal(process.Id, Terminate), Is.Zero);
        await process.WaitForExitAsync().WaitAsync(GuestMachine.Patience);
        Assert.That(process.ExitCode, Is.EqualTo(143));
    }

    [Test]
    public async Task A_disk_with_a_root_is_booted_by_its_name_in_uml()
    {
        string image = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():n}.img");
        try
        {
            using (FileTree tree = await RootDiskTests.CreateTreeAsync())
            {
                await Ext4Writer.CreateAsync(tree, image);
            }

            (int status, string output, string error) = await RunAsync("", "--disk", image, "--append", "root=/dev/ubda rw quiet PATH=/bin");
            Assert.That(output, Does.Contain("/dev/root / ext4 rw").Or.Contain("/dev/vda / ext4 rw"), error);
            Assert.That(output, Does.Contain("starts: 1"));
            Assert.That(status, Is.Zero);

            (status, output, _) = await RunAsync("", "--disk", image, "--append", "root=LABEL=other");
            Assert.That(output, Does.Contain("root disk: there is no 'LABEL=other'"));
            Assert.That(status, Is.EqualTo(125));

            (status, _, error) = await RunAsync("", "--kernel", GuestAssets.Kernel.ImagePath, "--disk", image, "--append", "root=/dev/vda");
            Assert.That(error, Does.Contain("is a file without its modules").And.Contain("Write --modules"));
            Assert.That(status, Is.EqualTo(125));

            (status, output, error) = await RunAsync(
                "", "--kernel", GuestAssets.Kernel.ImagePath, "--modules", GuestAssets.Kernel.ModulesDirectory!, "--disk", image, "--append", "root=/dev/vda rw PATH=/bin");
            Assert.That(output, Does.Contain("starts: 2"), error);
            Assert.That(status, Is.Zero);
        }
        finally
        {
            File.Delete(image);
        }
    }

    [Test]
    public async Task A_command_finds_the_disks_and_an_image_of_a_forgotten_format_is_told()
    {
        string image = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():n}.qcow2");
        try
        {
            Qcow2BlockDevice.Create(image, 1 << 20);
            (int status, string output, string error) = await RunAsync("", "--disk", $"{image},format=qcow2", "--run", "cat /sys/block/vda/size");
            Assert.That((status, output), Is.EqualTo((0, "2048\n")), error);
            Assert.That(error, Does.Not.Contain("begins like"));

            (status, output, error) = await RunAsync("", "--disk", image, "--run", "head -c 3 /dev/vda");
            Assert.That((status, output), Is.EqualTo((0, "QFI")), error);
            Assert.That(error, Does.Contain($"'{image}' begins like a file of the format qcow2"));
        }
        finally
        {
            File.Delete(image);
        }
    }

    [Test]
    public async Task A_command_is_not_run_on_a_root_disk()
    {
        (int status, _, string error) = await RunAsync("", "--run", "true", "--disk", "x.img", "--append", "root=/dev/vda");
        Assert.That(error, Does.StartWith("--run needs the initial RAM disk with a shell; use it without --initrd, and without root= for a --disk."));
        Assert.That(status, Is.EqualTo(125));
    }

    private static Task<(int Status, string Output, string Error)> RunAsync(string input, params string[] arguments) =>
        FinishAsync(Start("dotnet", [Program, .. arguments]), input);

    private static Task<(int Status, string Output, string Error)> RunInShellAsync(string shell, params string[] arguments) =>
        FinishAsync(Start("sh", ["-c", shell, "sh", "dotnet", Program, .. arguments]), "");

    private static Process Start(string file, IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(file, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardInputEncoding = new UTF8Encoding(false),
        };
        start.Environment["TERM"] = "xterm-256color";
        return Process.Start(start)!;
    }

    private static async Task<(int Status, string Output, string Error)> FinishAsync(Process process, string input)
    {
        using (process)
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync();
            Task<string> error = process.StandardError.ReadToEndAsync();
            await process.StandardInput.WriteAsync(input);
            process.StandardInput.Close();
            using var patience = new CancellationTokenSource(GuestMachine.Patience);
            try
            {
                await process.WaitForExitAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                process.Kill(entireProcessTree: true);
                throw;
            }

            return (process.ExitCode, await output, await error);
        }
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Signal(int process, int signal);
}
