namespace Uml.Hosting.Debian;

/// <summary>Options of a <see cref="DebianImage"/>.</summary>
public sealed class DebianImageOptions
{
    /// <summary>The smallest size of the disk: 1 GiB.</summary>
    public const long MinimumLength = 1L << 30;

    /// <summary>The size of the disk and its file system in bytes, at least <see cref="MinimumLength"/>. The image is sparse. 4 GiB unless set.</summary>
    public long Length { get; set; } = 4L << 30;

    /// <summary>The Debian suite, such as <c>bookworm</c>; null for the host's own.</summary>
    public string? Suite { get; set; }

    /// <summary>
    /// Packages besides those that every system has, and apt. What they depend on comes with them, what they recommend does not. By default those that make
    /// a machine to log in to: systemd, udev, D-Bus, tools for networks, SSH, and an editor.
    /// </summary>
    public IReadOnlyList<string> Packages { get; set; } =
    [
        "systemd-sysv", "udev", "dbus", "libpam-systemd", "kmod", "iproute2", "iputils-ping", "openssh-client", "openssh-server", "ca-certificates",
        "e2fsprogs", "nano", "less", "procps", "netbase",
    ];

    /// <summary>The name of the guest: letters, digits and '-'. Default "debian".</summary>
    public string HostName { get; set; } = "debian";

    /// <summary>The kernel that completes the installation: a package, such as <c>linux-image-cloud-amd64</c>, which it is unless set.</summary>
    public string Kernel { get; set; } = "linux-image-cloud-amd64";

    /// <summary>The memory in bytes of the guest that completes the installation; 512 MiB unless set.</summary>
    public ulong BuildMemory { get; set; } = 512UL << 20;

    /// <summary>How long completing the installation may take, an hour unless set.</summary>
    public TimeSpan BuildPatience { get; set; } = TimeSpan.FromHours(1);
}
