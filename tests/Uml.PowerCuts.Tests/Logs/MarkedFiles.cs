using System.Globalization;
using System.Text;

namespace Uml.PowerCuts.Tests.Logs;

/// <summary>
/// Files that marks of a log tell of: "file:NAME:LENGTH" when one is durable, with so many bytes of lines that have the name, and "gone:NAME" when it
/// was removed. They are in the folder "marked" of the file system, alone.
/// </summary>
internal sealed class MarkedFiles
{
    private readonly Dictionary<string, int> _lengths = [];

    /// <summary>Takes note of a mark.</summary>
    /// <returns>Whether it tells of a file.</returns>
    public bool TryTake(string mark)
    {
        switch (mark.Split(':'))
        {
            case ["file", var name, var length]:
                _lengths[name] = int.Parse(length, CultureInfo.InvariantCulture);
                return true;
            case ["gone", var name]:
                _lengths.Remove(name);
                return true;
            default:
                return false;
        }
    }

    /// <summary>Looks for the files.</summary>
    /// <param name="image">The file system, whose journal is replayed.</param>
    /// <param name="folder">Where they are copied to.</param>
    /// <exception cref="InvalidDataException">One is gone, damaged or there again.</exception>
    public void Check(string image, string folder)
    {
        FileSystemCheck.Extract(image, folder, "/marked");
        string tree = Path.Combine(folder, "marked");
        string[] found = [.. Directory.EnumerateFiles(tree).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];
        string[] expected = [.. _lengths.Keys.Order(StringComparer.Ordinal)];
        if (!found.SequenceEqual(expected))
        {
            throw new InvalidDataException($"There are the files {string.Join(' ', found)}, and there have to be {string.Join(' ', expected)}.");
        }

        foreach ((string name, int length) in _lengths)
        {
            if (!File.ReadAllBytes(Path.Combine(tree, name)).AsSpan().SequenceEqual(GetContents(name, length)))
            {
                throw new InvalidDataException($"File {name}, of {length} bytes, is damaged.");
            }
        }
    }

    private static byte[] GetContents(string name, int length)
    {
        byte[] line = Encoding.ASCII.GetBytes(name + "\n"), contents = new byte[length];
        for (int i = 0; i < length; i++)
        {
            contents[i] = line[i % line.Length];
        }

        return contents;
    }
}
