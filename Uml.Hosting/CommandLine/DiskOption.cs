using System.Diagnostics.CodeAnalysis;
using Uml.Storage.Blocks;
using Uml.Storage.Tools;

namespace Uml.Hosting.CommandLine;

/// <summary>A disk as a command line names it: <c>FILE[,format=raw|cow][,backing=FILE][,ro][,sync][,nolock]</c>. The format is raw unless it is given.</summary>
/// <param name="Path">The image.</param>
/// <param name="Format">Its format, which is never guessed.</param>
/// <param name="Backing">The image below a copy-on-write file; null when the file names it.</param>
/// <param name="IsReadOnly">Whether the guest may only read.</param>
/// <param name="IsSynchronous">Whether every write is durable when it has ended.</param>
/// <param name="Locks">Whether the image is locked against a second writer.</param>
public sealed record DiskOption(
    string Path, DiskImageFormat Format = DiskImageFormat.Raw, string? Backing = null, bool IsReadOnly = false, bool IsSynchronous = false, bool Locks = true)
{
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
                case ("backing", { Length: > 0 }): disk = disk with { Backing = value }; break;
                case ("ro", null): disk = disk with { IsReadOnly = true }; break;
                case ("sync", null): disk = disk with { IsSynchronous = true }; break;
                case ("nolock", null): disk = disk with { Locks = false }; break;
                default: problem ??= $"'{word}' is no option of a disk; write format={string.Join('|', DiskImageFormatName.All)}, backing=FILE, ro, sync or nolock."; break;
            }
        }

        if (problem is null && disk.Backing is not null && disk.Format == DiskImageFormat.Raw)
        {
            problem = $"'{text}' has a backing file, which only copy-on-write files have; write format=cow as well.";
        }

        disk = problem is null ? disk : null;
        return problem is null;
    }

    /// <summary>Opens the image. A copy-on-write file that is not there is made, over the backing file that is named.</summary>
    /// <exception cref="DiskImageException">It cannot be opened; the message says what to do.</exception>
    public IBlockDevice Open()
    {
        if (Backing is not null && !File.Exists(Path))
        {
            DiskImage.CreateOverlay(Path, Format, Backing);
        }

        return DiskImage.Open(
            Path, Format, new DiskImageOptions { IsReadOnly = IsReadOnly, IsSynchronous = IsSynchronous, Locks = Locks, BackingPath = Backing });
    }
}
