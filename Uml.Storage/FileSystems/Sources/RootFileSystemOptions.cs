namespace Uml.Storage.FileSystems.Sources;

/// <summary>What turns a tree of a distribution, such as debootstrap makes, into the root file system of one machine.</summary>
public sealed record RootFileSystemOptions
{
    /// <summary>A password that is empty: root logs in without being asked.</summary>
    public const string NoPassword = "";

    /// <summary>A password that nothing matches.</summary>
    public const string LockedPassword = "*";

    /// <summary>The name in /etc/hostname, and in /etc/hosts beside <c>localhost</c>. "uml" unless set; null leaves both files as they are.</summary>
    public string? HostName { get; init; } = "uml";

    /// <summary>The lines of /etc/fstab. Unless set, one for a root on <c>/dev/vda</c>; null leaves the file as it is.</summary>
    public IReadOnlyList<string>? FileSystems { get; init; } = ["/dev/vda / ext4 errors=remount-ro 0 1"];

    /// <summary>
    /// Terminals that ask for a login, such as <c>ttyS0</c> and <c>hvc0</c>, besides those that the tree has set up: by systemd if it is there, else in
    /// /etc/inittab if that is there. ttyS0 unless set.
    /// </summary>
    public IReadOnlyList<string> Consoles { get; init; } = ["ttyS0"];

    /// <summary>
    /// Root's password as crypt(3) makes it (<c>openssl passwd -6</c>), <see cref="NoPassword"/>, or <see cref="LockedPassword"/>. None unless set, for
    /// machines that nobody reaches but at their console; null leaves it as it is.
    /// </summary>
    public string? RootPassword { get; init; } = NoPassword;

    /// <summary>Whether /etc/machine-id is emptied, so that each machine gets its own at its first start. Yes unless set.</summary>
    public bool EmptiesMachineId { get; init; } = true;

    /// <summary>More files: their text by their paths. A file that is there keeps its mode and owner; others are root's (0644).</summary>
    public IReadOnlyDictionary<string, string> Files { get; init; } = new Dictionary<string, string>();

    /// <exception cref="ArgumentException">A value would not stay in its line of a file.</exception>
    internal void Validate()
    {
        Check(HostName is null || (HostName.Length is > 0 and <= 64 && HostName.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '.')),
            nameof(HostName), "has 1 to 64 letters, digits, '-' and '.'");
        Check(Consoles.All(console => console.Length > 0 && console.All(char.IsAsciiLetterOrDigit)), nameof(Consoles), "are names of terminals, such as ttyS0");
        Check(RootPassword is null || !RootPassword.Any(letter => letter is ':' or < ' ' or > '~'), nameof(RootPassword), "is a hash of crypt(3), without ':'");
        Check(FileSystems?.Any(line => line.Contains('\n', StringComparison.Ordinal)) != true, nameof(FileSystems), "are lines");
    }

    private static void Check(bool isValid, string name, string rule)
    {
        if (!isValid)
        {
            throw new ArgumentException($"{name} {rule}.", name);
        }
    }
}
