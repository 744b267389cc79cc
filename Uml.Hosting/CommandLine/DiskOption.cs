using System.Diagnostics.CodeAnalysis;
using Uml.Storage.Blocks;
using Uml.Storage.Nbd.Client;
using Uml.Storage.Tools;

namespace Uml.Hosting.CommandLine;

/// <summary>
/// A disk as a command line names it: <c>FILE[,format=raw|cow|qcow2][,backing=FILE][,backing-format=raw|qcow2][,ro][,sync][,nolock]</c>, whose format
/// is raw unless it is given, or the URI of an NBD export, <c>nbd://HOST/EXPORT[,ro][,sync]</c>.
/// </summary>
/// <param name="Path">The image, or the URI.</param>
/// <param name="Format">Its format, which is never guessed.</param>
/// <param name="Backing">The image below a copy-on-write file or qcow2 image; null when the file names it.</param>
/// <param name="IsReadOnly">Whether the guest may only read.</param>
/// <param name="IsSynchronous">Whether every write is durable when it has ended.</param>
/// <param name="Locks">Whether the image is locked against a second writer.</param>
/// <param name="BackingFormat">The format of the image below a qcow2 image; null when the file says it, or raw for one that is to be made.</param>
public sealed record DiskOption(
    string Path,
    DiskImageFormat Format = DiskImageFormat.Raw,
    string? Backing = null,
    bool IsReadOnly = false,
    bool IsSynchronous = false,
    bool Locks = true,
    DiskImageFormat? BackingFormat = null)
{
    private bool IsOnServer => Path.StartsWith("nbd", StringComparison.Ordinal) && Path.Contains("://", StringComparison.Ordinal);

    /// <summary>Reads the text of an option.</summary>
    /// <param name="text">What the user wrote.</param>
    /// <param name="disk">The disk.</param>
    /// <param name="problem">What is wrong with it, as a sentence that says what to write.</param>
    /// <returns>Whether it is one.</returns>
    public static bool TryParse(string text, [NotNullWhen(true)] out DiskOption? disk, [NotNullWhen(false)] out string? problem)
    {
        ArgumentNullException.ThrowIfNull(text);
        string[] words = text.Split(',');
        disk = new DiskOption(words[0]);
        problem = words[0].Length == 0 ? $"'{text}' names no file; write FILE, or FILE,format=cow,backing=FILE." : null;
        foreach (string word in words[1..])
        {
            int equals = word.IndexOf('=', StringComparison.Ordinal);
            (string name, string? value) = equals < 0 ? (word, null) : (word[..equals], word[(equals + 1)..]);
            switch (name, value)
            {
                case ("format", _) when DiskImageFormatName.TryParse(value, out DiskImageFormat format): disk = disk with { Format = format }; break;
                case ("format", _): problem ??= $"'{value}' is no format of a disk; write {string.Join(" or ", DiskImageFormatName.All)}."; break;
                case ("backing-format", "raw" or "qcow2") when DiskImageFormatName.TryParse(value, out DiskImageFormat below):
                    disk = disk with { BackingFormat = below };
                    break;
                case ("backing", { Length: > 0 }): disk = disk with { Backing = value }; break;
                case ("ro", null): disk = disk with { IsReadOnly = true }; break;
                case ("sync", null): disk = disk with { IsSynchronous = true }; break;
                case ("nolock", null): disk = disk with { Locks = false }; break;
                default: problem ??= $"'{word}' is no option of a disk; write format={string.Join('|', DiskImageFormatName.All)}, backing=FILE, backing-format=raw|qcow2, ro, sync or nolock."; break;
            }
        }

        if (problem is null && disk.Backing is not null && disk.Format == DiskImageFormat.Raw)
        {
            problem = $"'{text}' has a backing file, which raw images have not; write format=cow or format=qcow2 as well.";
        }

        if (problem is null && disk.BackingFormat is not null && disk.Format != DiskImageFormat.Qcow2)
        {
            problem = $"'{text}' has a format of a backing file, which only qcow2 images need; write format=qcow2 as well, or leave it out.";
        }

        if (problem is null && disk.IsOnServer && disk.Format != DiskImageFormat.Raw)
        {
            problem = $"'{text}' has a format, which the server of a disk knows and its client does not; leave it out.";
        }

        disk = problem is null ? disk : null;
        return problem is null;
    }

    /// <summary>Opens the image. A copy-on-write file or qcow2 image that is not there is made, over the backing file that is named.</summary>
    /// <exception cref="DiskImageException">It cannot be opened; the message says what to do.</exception>
    public IBlockDevice Open()
    {
        if (IsOnServer)
        {
            return OpenOnServer();
        }

        if (Backing is not null && !File.Exists(Path))
        {
            DiskImage.CreateOverlay(Path, Format, Backing, BackingFormat);
        }

        return DiskImage.Open(Path, Format, new DiskImageOptions
        {
            IsReadOnly = IsReadOnly,
            IsSynchronous = IsSynchronous,
            Locks = Locks,
            BackingPath = Backing,
            BackingFormat = BackingFormat,
        });
    }

    /// <summary>Connects to a server, at most for as long as the options of a client say.</summary>
    private NbdBlockDevice OpenOnServer()
    {
        if (!Uri.TryCreate(Path, UriKind.Absolute, out Uri? uri))
        {
            throw new DiskImageException($"'{Path}' is no URI of a disk on a server: write nbd://HOST/EXPORT, or nbd+unix:///EXPORT?socket=FILE.");
        }

        // A machine's devices are made by functions that return them: the start of a machine waits for its disks.
        return NbdBlockDevice.ConnectAsync(uri, new NbdClientOptions { IsReadOnly = IsReadOnly, IsSynchronous = IsSynchronous }).GetAwaiter().GetResult();
    }
}
