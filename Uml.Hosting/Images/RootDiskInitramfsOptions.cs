namespace Uml.Hosting.Images;

/// <summary>Options of a <see cref="RootDiskInitramfs"/>.</summary>
public sealed class RootDiskInitramfsOptions
{
    /// <summary>
    /// File systems whose drivers are put in: names of kernel modules, with letters, digits, '-' and '_'. Without <c>rootfstype=</c> the root is mounted
    /// as the first of them that accepts it. Default: ext4.
    /// </summary>
    public IReadOnlyList<string> FileSystems { get; set; } = ["ext4"];

    /// <summary>More kernel modules to load before the root is mounted, by their names. What they depend on comes with them. Default: none.</summary>
    public IReadOnlyList<string> Modules { get; set; } = [];

    /// <summary>
    /// How long, in the guest's time, the disk may take to appear: 0 to a day, in whole seconds. Default 10 seconds; <c>rootwait</c> on the kernel's
    /// command line waits for ever.
    /// </summary>
    public TimeSpan Patience { get; set; } = TimeSpan.FromSeconds(10);
}
