using System.Globalization;
using Uml.Core;
using Uml.Core.Boot;
using Uml.Devices.Platform;
using Uml.Hosting.Assets;
using Uml.Storage.Images;

namespace Uml.Hosting.Images;

/// <summary>
/// An initramfs that mounts a disk of the machine as the root file system and starts its init, for kernels whose drivers are modules. It follows the
/// kernel's command line: <c>root=</c> (a device, its numbers, <c>UUID=</c>, <c>LABEL=</c>, <c>PARTUUID=</c>, <c>PARTLABEL=</c>),
/// <c>rootfstype=</c>, <c>rootflags=</c>, <c>ro</c> and <c>rw</c>, <c>rootdelay=</c>, <c>rootwait</c>, and <c>init=</c>.
/// </summary>
/// <remarks>
/// When there is no such disk, or nothing to start on it, a message on the console says why, and the machine ends with <see cref="FailureStatus"/>.
/// </remarks>
public static class RootDiskInitramfs
{
    /// <summary>The status of the exit of a machine whose root could not be mounted.</summary>
    public const int FailureStatus = 125;

    private static readonly InitramfsAttributes Executable = new(0x1ED); // 0755

    /// <summary>The machine's disks are virtio-blk devices on PCI.</summary>
    private static readonly string[] DiskDrivers = ["virtio_pci", "virtio_blk"];

    private static readonly string[] Applets = ["cat", "findfs", "insmod", "mount", "poweroff", "sed", "sh", "sleep", "stty", "switch_root"];

    /// <summary>Makes the image for a kernel, with Debian's busybox, which is fetched when the cache does not have it.</summary>
    /// <param name="modulesDirectory">The kernel's modules on the host, such as <see cref="KernelAsset.ModulesDirectory"/>.</param>
    /// <param name="assets">Where busybox comes from; null is the default cache.</param>
    /// <param name="options">What is in it; null is the default.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <exception cref="GuestAssetException">Busybox cannot be fetched; the message says why.</exception>
    /// <exception cref="MachineConfigurationException">A module is missing or damaged.</exception>
    public static async Task<BootFile> CreateAsync(
        string modulesDirectory, GuestAssetCache? assets = null, RootDiskInitramfsOptions? options = null, CancellationToken cancellationToken = default)
    {
        string busybox = await (assets ?? new GuestAssetCache()).GetBusyBoxAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return BootFile.FromBytes(CreateBuilder(busybox, modulesDirectory, options).Build(), "(root disk initramfs)");
        }
        catch (ImageContentException e)
        {
            throw new MachineConfigurationException(e.Message, e);
        }
    }

    /// <summary>The image as a builder, to add files to. Modules that are built into the kernel are left out.</summary>
    /// <param name="busyboxPath">A statically linked x86-64 busybox of the host's file system.</param>
    /// <param name="modulesDirectory">The kernel's modules on the host, <c>lib/modules/6.1.0-56-cloud-amd64</c> for example.</param>
    /// <param name="options">What is in it; null is the default.</param>
    /// <exception cref="ImageContentException">A module is missing or damaged.</exception>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public static InitramfsBuilder CreateBuilder(string busyboxPath, string modulesDirectory, RootDiskInitramfsOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(busyboxPath);
        ArgumentException.ThrowIfNullOrEmpty(modulesDirectory);
        Validate(options ??= new RootDiskInitramfsOptions());

        InitramfsBuilder builder = new();
        foreach (string directory in (string[])["dev", "proc", "sys", "root"])
        {
            builder.AddDirectory(directory);
        }

        builder.AddHostFile("bin/busybox", busyboxPath, Executable)
            .AddDeviceNode("dev/console", DeviceNodeType.Character, 5, 1)
            .AddFile("bin/debug-exit", PortProgram.Create(PortMap.DebugExit, sizeof(uint)), Executable)
            .AddText("init", CreateInit(options), Executable);
        foreach (string applet in Applets)
        {
            builder.AddSymbolicLink($"bin/{applet}", "busybox");
        }

        builder.AddModules(modulesDirectory, [.. DiskDrivers, .. options.FileSystems, .. options.Modules]);
        return builder;
    }

    private static void Validate(RootDiskInitramfsOptions options)
    {
        if (options.Patience < TimeSpan.Zero || options.Patience > TimeSpan.FromDays(1))
        {
            throw new ArgumentException($"{nameof(options.Patience)} is {options.Patience}; it is 0 to a day.", nameof(options));
        }

        if (options.FileSystems.Count == 0)
        {
            throw new ArgumentException($"{nameof(options.FileSystems)} is empty; name one, such as ext4.", nameof(options));
        }

        // They become part of a script.
        foreach (string name in options.FileSystems)
        {
            if (name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'))
            {
                throw new ArgumentException($"'{name}' is no file system; use letters, digits, '-' and '_', such as ext4.", nameof(options));
            }
        }
    }

    private static string CreateInit(RootDiskInitramfsOptions options) => Script
        .Replace("@FILESYSTEMS@", string.Join(',', options.FileSystems), StringComparison.Ordinal)
        .Replace("@SECONDS@", ((long)options.Patience.TotalSeconds).ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
        .Replace("@STATUS@", FailureStatus.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);

    // The kernel has taken init= from the words of its command line that it gives to this script, and leaves those behind "--".
    private const string Script = """
        #!/bin/sh
        export PATH=/bin
        mount -t devtmpfs devtmpfs /dev
        mount -t proc proc /proc
        mount -t sysfs sysfs /sys

        fail() {
            echo "root disk: $*"
            # Waits until the terminal has sent everything: changing its settings does.
            stty -opost; stty opost
            # Does not return; a board without a debug-exit port goes off and tells no status.
            debug-exit @STATUS@
            poweroff -f
        }

        set -f
        root= type= flags= mode=ro init= delay= patience=@SECONDS@
        for word in $(cat /proc/cmdline); do
            case $word in
            root=*) root=${word#root=} ;;
            rootfstype=*) type=${word#rootfstype=} ;;
            rootflags=*) flags=${word#rootflags=} ;;
            rootdelay=*) delay=${word#rootdelay=} ;;
            rootwait) patience= ;;
            init=*) init=${word#init=} ;;
            ro | rw) mode=$word ;;
            --) break ;;
            esac
        done
        set +f
        [ "$root" ] || fail "the kernel's command line has no root=; write root=/dev/vda for the first disk."

        while read -r module; do
            name=${module##*/}
            name=${name%.ko}
            problem=$(insmod "$module" 2>&1) || [ -d "/sys/module/${name//-/_}" ] || fail "$problem"
        done </etc/modules.load

        # The device of an event file that has a line.
        device_with() {
            for event in /sys/class/block/*/uevent; do
                while read -r line; do
                    [ "$line" = "$1" ] && sed -n 's/^DEVNAME=/\/dev\//p' "$event" && return
                done <"$event"
            done
        }

        find_root() {
            case $root in
            UUID=* | LABEL=*) findfs "$root" 2>/dev/null ;;
            PARTUUID=*) device_with "$root" ;;
            PARTLABEL=*) device_with "PARTNAME=${root#PARTLABEL=}" ;;
            /*) [ -b "$root" ] && echo "$root" ;;
            *:*) sed -n 's/^DEVNAME=/\/dev\//p' "/sys/dev/block/$root/uevent" 2>/dev/null ;;
            esac
        }

        [ "$delay" ] && sleep "$delay"
        read -r start rest </proc/uptime
        while device=$(find_root); [ -z "$device" ]; do
            read -r now rest </proc/uptime
            if [ "$patience" ] && [ $((${now%.*} - ${start%.*})) -ge "$patience" ]; then
                set --
                for disk in /sys/class/block/*; do
                    [ -e "$disk" ] && set -- "$@" "/dev/${disk##*/}"
                done
                fail "there is no '$root' within $patience s; root= may name: ${*:-nothing, because the machine has no disk}."
            fi
            sleep 0.05
        done

        mounted=
        IFS=,
        for try in ${type:-@FILESYSTEMS@}; do
            problem=$(mount -t "$try" -o "$mode${flags:+,$flags}" "$device" /root 2>&1) && mounted=1 && break
        done
        unset IFS
        [ "$mounted" ] || fail "$device cannot be mounted as ${type:-@FILESYSTEMS@} ($mode${flags:+,$flags}): $problem"

        if [ "$init" ]; then
            [ -e "/root$init" ] || [ -L "/root$init" ] || fail "$device has no '$init', which init= names."
        else
            for init in /sbin/init /etc/init /bin/init /bin/sh none; do
                [ -e "/root$init" ] || [ -L "/root$init" ] && break
            done
            [ $init = none ] && fail "$device has no /sbin/init; write init= to name a program to start."
        fi
        for directory in dev proc sys; do
            [ -d "/root/$directory" ] || fail "$device has no directory /$directory, so it is no root file system."
            mount --move "/$directory" "/root/$directory"
        done
        exec switch_root /root "$init" "$@"

        """;
}
