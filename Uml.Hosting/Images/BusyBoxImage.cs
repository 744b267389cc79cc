using System.Collections.Frozen;
using System.Globalization;
using System.Text;
using Uml.Core.Boot;
using Uml.Devices.Platform;
using Uml.Hosting.Assets;
using Uml.Storage.Images;

namespace Uml.Hosting.Images;

/// <summary>
/// The smallest useful root file system: an initramfs with busybox and an /init that runs a shell or a command, and ends the
/// machine with its exit code.
/// </summary>
public static class BusyBoxImage
{
    private static readonly InitramfsAttributes Executable = new(0x1ED); // 0755

    /// <summary>The data registers of the serial ports: the addresses that PC software knows.</summary>
    private static readonly FrozenDictionary<string, ushort> SerialPorts =
        new Dictionary<string, ushort> { ["ttyS0"] = PortMap.Serial0, ["ttyS1"] = PortMap.Serial1, ["ttyS2"] = PortMap.Serial2, ["ttyS3"] = PortMap.Serial3 }
        .ToFrozenDictionary();

    /// <summary>Makes the image with Debian's busybox, which is fetched when the cache does not have it.</summary>
    /// <param name="assets">Where busybox comes from; null is the default cache.</param>
    /// <param name="options">What the image does; null runs an interactive shell.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <exception cref="GuestAssetException">Busybox cannot be fetched; the message says why.</exception>
    public static async Task<BootFile> CreateAsync(
        GuestAssetCache? assets = null, BusyBoxImageOptions? options = null, CancellationToken cancellationToken = default)
    {
        string busybox = await (assets ?? new GuestAssetCache()).GetBusyBoxAsync(cancellationToken).ConfigureAwait(false);
        return BootFile.FromBytes(CreateBuilder(busybox, options).Build(), "(busybox initramfs)");
    }

    /// <summary>The image as a builder, to add files and modules to.</summary>
    /// <param name="busyboxPath">A statically linked x86-64 busybox of the host's file system.</param>
    /// <param name="options">What the image does; null runs an interactive shell.</param>
    /// <exception cref="ArgumentException">The terminal's type or the control port has characters that names do not have.</exception>
    public static InitramfsBuilder CreateBuilder(string busyboxPath, BusyBoxImageOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(busyboxPath);
        Validate(options ??= new BusyBoxImageOptions());
        InitramfsBuilder builder = new();
        foreach (string directory in new[] { "dev", "proc", "sys", "root", "etc", "sbin", "usr/bin", "usr/sbin" })
        {
            builder.AddDirectory(directory);
        }

        builder.AddDirectory("tmp", new InitramfsAttributes(0x3FF)) // 1777
            .AddHostFile("bin/busybox", busyboxPath, Executable)
            .AddDeviceNode("dev/console", DeviceNodeType.Character, 5, 1)
            .AddFile("sbin/debug-exit", PortProgram.Create(PortMap.DebugExit, sizeof(uint)), Executable)
            .AddText("etc/hostname", options.HostName + "\n")
            .AddText("init", CreateInit(options), Executable);
        if (options.Command is { } command)
        {
            builder.AddText("etc/uml/command", command + "\n");
        }

        if (options.ControlPort is { } port)
        {
            builder.AddText("sbin/console-ready", CreateReady(port), Executable);
            if (SerialPorts.TryGetValue(port, out ushort address))
            {
                builder.AddFile("sbin/write-control", PortProgram.Create(address, sizeof(byte)), Executable);
            }
        }

        return builder;
    }

    private static string CreateInit(BusyBoxImageOptions options)
    {
        StringBuilder script = new();
        script.Append("""
            #!/bin/busybox sh
            /bin/busybox --install -s
            mount -t proc proc /proc
            mount -t sysfs sysfs /sys
            mount -t devtmpfs devtmpfs /dev 2>/dev/null
            mkdir -p /dev/pts && mount -t devpts devpts /dev/pts
            hostname -F /etc/hostname
            export HOME=/root PATH=/bin:/sbin:/usr/bin:/usr/sbin
            if [ -f /etc/modules.load ]; then while read module; do insmod "$module"; done < /etc/modules.load; fi
            cd /root

            """);
        script.Append(CultureInfo.InvariantCulture, $"export TERM={options.TerminalType}\n");
        if (options.TerminalSize is { } size)
        {
            script.Append(CultureInfo.InvariantCulture, $"stty columns {size.Columns} rows {size.Rows}\n");
        }

        if (options.Command is not null)
        {
            // Output is passed on unchanged: no CR before LF, no echo of input.
            script.Append(options.IsInteractive ? "" : "stty -opost -echo\n");
        }

        script.Append(options.ControlPort is { } port ? CreateControl(port) : "");

        // A session of its own, with the console as its controlling terminal, where Ctrl-C is a signal. One that the host held back
        // interrupts the command, so that the session has to be there first; before a prompt there is nothing to interrupt.
        string ready = options.ControlPort is null ? "" : "console-ready; ";
        script.Append(options.Command is null
            ? $"{ready}setsid cttyhack sh\n"
            : $"setsid cttyhack sh -c '{ready}exec sh /etc/uml/command'\n");
        script.Append("status=$?\n");
        script.Append("""
            # Waits until the terminal has sent everything: changing its settings does.
            stty opost; stty -opost
            # Does not return; a board without a debug-exit port goes off and tells no status.
            /sbin/debug-exit $status
            poweroff -f

            """);
        return script.ToString();
    }

    /// <summary>The guest's side of a <see cref="Uml.Devices.Consoles.TerminalControlChannel"/>: it follows the terminal's size.</summary>
    private static string CreateControl(string port) => $"""
        if [ -c /dev/{port} ] && (: <>/dev/{port}) 2>/dev/null; then
          exec 5<>/dev/{port}
          stty raw -echo <&5
          while read -r columns rows; do stty -F /dev/console columns $columns rows $rows; done <&5 &
          exec 5>&-
        fi

        """;

    /// <summary>
    /// Notifies the host that it may send input. If the kernel has no driver for the port, for example with 8250.nr_uarts=1, a program can
    /// write to it directly: a line feed is enough.
    /// </summary>
    private static string CreateReady(string port) => $"""
        #!/bin/sh
        ([ -c /dev/{port} ] && echo ready >/dev/{port}) 2>/dev/null || write-control 10 2>/dev/null

        """;

    /// <summary>Quotes a text, so that it is a single word of the script.</summary>
    private static void Validate(BusyBoxImageOptions options)
    {
        foreach ((string name, string? text) in ((string, string?)[])
            [(nameof(options.TerminalType), options.TerminalType), (nameof(options.ControlPort), options.ControlPort)])
        {
            if (text is not null && (text.Length == 0 || !text.All(c => char.IsAsciiLetterOrDigit(c) || "-_.+".Contains(c, StringComparison.Ordinal))))
            {
                throw new ArgumentException($"{name} \"{text}\" is not a name; use letters, digits, '-', '_', '.' and '+'.", nameof(options));
            }
        }
    }
}
