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
        Option<string?> export = new("--export")
        {
            Description = "Puts kernel (vmlinuz), initial RAM disk (initrd.img) and a link to the image (disk.img) into a directory, and does not boot.",
            HelpName = "directory",
        };
        RootCommand root = new("Boots Debian with systemd from a disk, in this process. The first run makes the disk: it takes some minutes and needs apt, but no root.")
        {
            memory, size, kernel, append, changes, discard, commit, export,
        };
        root.Validators.Add(result =>
        {
            // Options that are left out have no value yet.
            if (result.GetValue(memory) is { } wanted && !ByteSize.TryParse(wanted, out _, out string? problem))
            {
                result.AddError($"--mem: {problem}");
            }

            if (result.GetValue(size) is { } length
                && (!ByteSize.TryParse(length, out ulong bytes, out problem) || bytes is < DebianImageOptions.MinimumLength or > 1UL << 44))
            {
                result.AddError($"--size: {problem ?? $"'{length}' is out of range; write 1G to 16T."}");
            }

            if (result.GetValue(kernel) is { } package && !NamedFile.IsKernelPackage(package))
            {
                result.AddError($"--kernel is '{package}'; write a package that begins with linux-image-. BootLinux boots a disk with other kernels.");
            }

            if (result.GetValue(changes) is { Length: 0 })
            {
                result.AddError("--changes is empty; name a file, or leave the option out.");
            }

            if (result.GetValue(export) is { Length: 0 })
            {
                result.AddError("--export is empty; name a directory, or leave the option out.");
            }

            if ((bool[])[result.GetValue(discard), result.GetValue(commit), result.GetValue(export) is not null] is [true, true, _] or [true, _, true] or [_, true, true])
            {
                result.AddError("--discard-changes, --commit and --export exclude each other; write one of them.");
            }
        });
        root.SetAction((result, cancellationToken) => Run.RunAsync(
            new Settings(
                GetBytes(result.GetRequiredValue(memory)),
                (long)GetBytes(result.GetRequiredValue(size)),
                result.GetRequiredValue(kernel),
                result.GetValue(append),
                Path.GetFullPath(result.GetRequiredValue(changes)),
                result.GetValue(discard),
                result.GetValue(commit),
                result.GetValue(export)),
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

/// <summary>The parsed command line.</summary>
internal sealed record Settings(
    ulong Memory, long Size, string Kernel, string? Append, string Changes, bool DiscardsChanges, bool CommitsChanges, string? ExportDirectory);
