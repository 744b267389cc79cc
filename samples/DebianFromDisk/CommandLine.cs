using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using Uml.Core.Machine;
using Uml.Hosting;
using Uml.Hosting.CommandLine;
using Uml.Hosting.Debian;

namespace DebianFromDisk;

/// <summary>The options of this program.</summary>
internal static class CommandLine
{
    private const string Examples = """
        Examples:
          DebianFromDisk                       makes the disk the first time, and boots it to a login prompt
          DebianFromDisk --discard-changes     forgets what was changed on the disk, and boots it
          DebianFromDisk --commit              makes the changes part of the image that machines start from
          DebianFromDisk --size 16G --changes big.cow

        Log in as root, without a password; "poweroff" ends the machine. Keys on a terminal:
          Ctrl-A x       ends the machine at once, as pulling its plug does
          Ctrl-A a       sends Ctrl-A
        """;

    public static RootCommand Create()
    {
        Option<string> memory = new("--mem")
        {
            Description = "Guest memory: bytes, or with a suffix K, M or G.",
            DefaultValueFactory = _ => "512M",
            HelpName = "size",
        };
        Option<string> size = new("--size")
        {
            Description = "Size of the disk when it is made. Takes no room on the host until it is used; each size has an image of its own.",
            DefaultValueFactory = _ => "4G",
            HelpName = "size",
        };
        Option<string> kernel = new("--kernel")
        {
            Description = "Kernel to boot: a Debian package linux-image-..., which is fetched with apt.",
            DefaultValueFactory = _ => "linux-image-cloud-amd64",
            HelpName = "package",
        };
        Option<string?> append = new("--append") { Description = "More of the kernel's command line; what comes later wins.", HelpName = "arguments" };
        Option<string> changes = new("--changes")
        {
            Description = "The file with what was changed on the disk, a copy-on-write file over the image.",
            DefaultValueFactory = _ => Disk.DefaultChanges,
            HelpName = "file",
        };
        Option<bool> discard = new("--discard-changes") { Description = "Forgets all that was changed on the disk, and boots." };
        Option<bool> commit = new("--commit") { Description = "Writes the changes to the image, and does not boot. Other files of changes over this image are lost." };
        Option<bool> build = new("--build") { Description = "Makes the image if it is not there, prints its path, and does not boot." };
        RootCommand root = new("Boots Debian with systemd from a disk, in this process. The first run makes the disk: it takes some minutes and needs apt, but no root.")
        {
            memory, size, kernel, append, changes, discard, commit, build,
        };
        root.Validators.Add(result =>
        {
            if (!ByteSize.TryParse(result.GetRequiredValue(memory), out _, out string? problem))
            {
                result.AddError($"--mem: {problem}");
            }

            if (!ByteSize.TryParse(result.GetRequiredValue(size), out ulong bytes, out problem) || bytes is < DebianImageOptions.MinimumLength or > 1UL << 44)
            {
                result.AddError($"--size: {problem ?? $"'{result.GetValue(size)}' is out of range; write 1G to 16T."}");
            }

            if (!NamedFile.IsKernelPackage(result.GetRequiredValue(kernel)))
            {
                result.AddError($"--kernel is '{result.GetValue(kernel)}'; write a package that begins with linux-image-. BootLinux boots a disk with other kernels.");
            }

            if (result.GetRequiredValue(changes).Length == 0)
            {
                result.AddError("--changes is empty; name a file, or leave the option out.");
            }

            if (result.GetValue(discard) && result.GetValue(commit))
            {
                result.AddError("--discard-changes and --commit exclude each other; write one of them.");
            }
        });
        root.SetAction((result, cancellationToken) => Run.RunAsync(
            new Settings(
                GetBytes(result.GetRequiredValue(memory)),
                (long)GetBytes(result.GetRequiredValue(size)),
                result.GetRequiredValue(kernel),
                result.GetValue(append),
                Path.GetFullPath(result.GetRequiredValue(changes)),
                result.GetValue(discard) ? Action.Discard : result.GetValue(commit) ? Action.Commit : result.GetValue(build) ? Action.Build : Action.Boot),
            cancellationToken));
        HelpOption help = root.Options.OfType<HelpOption>().Single();
        help.Action = new HelpWithExamples((HelpAction)help.Action!);
        return root;
    }

    /// <summary>The size, which the command's validator has looked at.</summary>
    private static ulong GetBytes(string size) =>
        ByteSize.TryParse(size, out ulong bytes, out string? problem) ? bytes : throw new ArgumentException(problem, nameof(size));

    /// <summary>The library's help, and examples.</summary>
    private sealed class HelpWithExamples(HelpAction help) : SynchronousCommandLineAction
    {
        public override int Invoke(ParseResult parseResult)
        {
            int status = help.Invoke(parseResult);
            parseResult.InvocationConfiguration.Output.WriteLine(Examples);
            return status;
        }
    }
}

/// <summary>What the program is to do.</summary>
internal enum Action
{
    Boot,
    Discard,
    Commit,
    Build,
}

/// <summary>The parsed command line.</summary>
internal sealed record Settings(ulong Memory, long Size, string Kernel, string? Append, string Changes, Action Action);
