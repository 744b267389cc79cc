using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using Uml.Core.Boot;
using Uml.Core.Cpu;
using Uml.Core.Machine;
using Uml.Hosting.CommandLine;

namespace BootLinux;

/// <summary>The options of this program.</summary>
internal static class CommandLine
{
    private const string Examples = """
        Examples:
          BootLinux                                              a shell of Debian's kernel
          BootLinux --run "uname -a"                             one command, its output and its exit code
          BootLinux --kernel linux-image-amd64/trixie --mem 1G   another kernel, and more memory
          BootLinux --disk root.cow,format=cow,backing=root.img  a disk that keeps the image as it is
          BootLinux --disk data.img --run "mke2fs /dev/vda"      a command that uses a disk
          BootLinux --disk root.img --append "root=/dev/ubda rw" a root file system from a disk; UML's names and /dev/vda are the same
          BootLinux --kernel ./vmlinuz --initrd ./initrd.img --append "loglevel=7"

        Keys on a terminal:
          Ctrl-A x       ends the machine
          Ctrl-A h       shows this list
          Ctrl-A a       sends Ctrl-A
          Ctrl-C         goes to the guest, as all other keys do
        """;

    public static RootCommand Create()
    {
        Option<string?> kernel = new("--kernel")
        {
            Description = "Kernel to boot: a file, or a Debian package linux-image-..., which is fetched with apt.",
            DefaultValueFactory = _ => "linux-image-cloud-amd64",
            HelpName = "file|package",
        };
        Option<BootProtocol> protocol = CreateChoice(
            "--protocol",
            BootProtocol.Auto,
            "How the kernel is entered. Auto: as its header says; BzImage64 and BzImage32 let a bzImage unpack itself in the guest.");
        Option<string?> initrd = new("--initrd")
        {
            Description = "Initial RAM disk. Default: with a --disk and root= in --append, one that mounts the disk and starts its init; "
                + "else busybox, with an /init that loads the drivers for disks if there are any, and runs a shell or the command of --run.",
            HelpName = "file",
        };
        Option<string?> modules = new("--modules")
        {
            Description = "Where the drivers for disks are, when the kernel is a file: its directory in /lib/modules, its package, "
                + $"or '{RootDisk.NoModules}' when they are built into it. Default: the kernel's package.",
            HelpName = $"directory|package|{RootDisk.NoModules}",
        };
        Option<string?> append = new("--append")
        {
            Description = "More of the kernel's command line; what comes later wins.",
            HelpName = "arguments",
        };
        Option<string> memory = new("--mem")
        {
            Description = "Guest memory: bytes, or with a suffix K, M or G.",
            DefaultValueFactory = _ => "256M",
            HelpName = "size",
        };
        Option<string[]> disks = new("--disk")
        {
            Description = "A disk, as often as wanted: FILE[,format=raw|cow|qcow2][,backing=FILE][,backing-format=raw|qcow2][,ro][,sync][,nolock], "
                + "or nbd://HOST/EXPORT[,ro][,sync]. /dev/vda is the first.",
            HelpName = "image",
        };
        Option<string?> run = new("--run")
        {
            Description = "Runs a command in the guest's shell, prints its output, and exits with its exit code. Its input passes a terminal: text, in lines of up to 4095 bytes.",
            HelpName = "command",
        };
        CpuOptions defaults = new();
        Option<CpuEngine> engine = CreateChoice(
            "--engine", defaults.Engine, "How guest code runs: Jit translates it, Interpreter runs on every host.");
        Option<CpuModel> cpu = CreateChoice(
            "--cpu", defaults.Model, "The processor the guest sees: Host is the largest of the others that this machine has all of.");
        Option<TranslationCheck> check = CreateChoice(
            "--check",
            defaults.TranslationCheck,
            "What becomes of translated code that the checker refuses (SECURITY.md). None does not check, and starts guests faster.");
        RootCommand root = new("Boots a stock x86-64 Linux kernel in this process.")
        {
            kernel, protocol, initrd, modules, append, memory, disks, run, engine, cpu, check,
        };
        root.Validators.Add(result =>
        {
            foreach (Option<string?> file in (Option<string?>[])[kernel, initrd, modules])
            {
                if (result.GetResult(file) is { Implicit: false } && result.GetValue(file) is { Length: 0 })
                {
                    result.AddError($"{file.Name} is empty; name a file{(file == initrd ? "" : " or a package")}, or leave the option out.");
                }
            }

            if (result.GetValue(memory) is { } size && FindProblem(size) is { } problem)
            {
                result.AddError(problem);
            }

            foreach (string disk in result.GetValue(disks) ?? [])
            {
                if (!DiskOption.TryParse(disk, out _, out string? wrong))
                {
                    result.AddError($"--disk: {wrong}");
                }
            }

            if (result.GetValue(run) is { } command && string.IsNullOrWhiteSpace(command))
            {
                result.AddError("--run is empty; write a command, such as --run \"uname -a\", or leave the option out for a shell.");
            }

            if (result.GetValue(run) is not null && (result.GetValue(initrd) is not null || (result.GetValue(disks) is { Length: > 0 } && RootDisk.IsNamed(result.GetValue(append)))))
            {
                result.AddError("--run needs the initial RAM disk with a shell; use it without --initrd, and without root= for a --disk.");
            }
        });
        root.SetAction((result, cancellationToken) => Boot.RunAsync(
            new BootSettings(
                result.GetRequiredValue(kernel)!,
                result.GetValue(protocol),
                result.GetValue(initrd),
                result.GetValue(modules),
                result.GetValue(append),
                GetBytes(result.GetRequiredValue(memory)),
                [.. (result.GetValue(disks) ?? []).Select(GetDisk)],
                result.GetValue(run),
                result.GetValue(engine),
                result.GetValue(cpu),
                result.GetValue(check)),
            cancellationToken));
        HelpOption help = root.Options.OfType<HelpOption>().Single();
        help.Action = new HelpWithExamples((HelpAction)help.Action!);
        return root;
    }

    /// <summary>An option whose value is one of an enumeration's names, of either case. Numbers and lists, which Enum.Parse takes, are no names.</summary>
    private static Option<T> CreateChoice<T>(string name, T missing, string description)
        where T : struct, Enum
    {
        string[] names = Enum.GetNames<T>();
        return new Option<T>(name)
        {
            Description = description,
            DefaultValueFactory = _ => missing,
            HelpName = string.Join('|', names),
            CustomParser = result =>
            {
                string text = result.Tokens[0].Value;
                if (names.Contains(text, StringComparer.OrdinalIgnoreCase))
                {
                    return Enum.Parse<T>(text, ignoreCase: true);
                }

                result.AddError($"{name} is '{text}'; write {string.Join(", ", names[..^1])} or {names[^1]}.");
                return missing;
            },
        };
    }

    /// <summary>The error message for a size, with the option's name: those of <see cref="MachineOptions"/> are for programs.</summary>
    private static string? FindProblem(string size)
    {
        if (!ByteSize.TryParse(size, out ulong bytes, out string? problem))
        {
            return $"--mem: {problem}";
        }

        return bytes is >= MachineOptions.MinimumMemorySize and <= MachineOptions.MaximumMemorySize && bytes % MachineOptions.MemorySizeGranularity == 0
            ? null
            : $"--mem is '{size}'; write {MachineOptions.MinimumMemorySize >> 20}M to {MachineOptions.MaximumMemorySize >> 30}G "
                + $"in steps of {MachineOptions.MemorySizeGranularity >> 10}K, such as 256M. Without a suffix it counts bytes.";
    }

    /// <summary>The size, which the command's validator has looked at.</summary>
    private static ulong GetBytes(string size) =>
        ByteSize.TryParse(size, out ulong bytes, out string? problem) ? bytes : throw new ArgumentException(problem, nameof(size));

    private static DiskOption GetDisk(string text) =>
        DiskOption.TryParse(text, out DiskOption? disk, out string? problem) ? disk : throw new ArgumentException(problem, nameof(text));

    /// <summary>The library's help, and its message for unknown options.</summary>
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
internal sealed record BootSettings(
    string Kernel,
    BootProtocol Protocol,
    string? Initrd,
    string? Modules,
    string? Append,
    ulong Memory,
    IReadOnlyList<DiskOption> Disks,
    string? Run,
    CpuEngine Engine,
    CpuModel Model,
    TranslationCheck Check);
