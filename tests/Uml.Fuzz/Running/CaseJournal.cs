using System.IO.MemoryMappedFiles;

namespace Uml.Fuzz.Running;

/// <summary>The number of the case that runs, in a file: it outlives the process, however that ends.</summary>
internal sealed class CaseJournal : IDisposable
{
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;

    private CaseJournal(MemoryMappedFile file)
    {
        _file = file;
        _view = file.CreateViewAccessor(0, sizeof(long));
    }

    /// <summary>Opens a journal, or makes one.</summary>
    public static CaseJournal Open(string path) => new(MemoryMappedFile.CreateFromFile(path, FileMode.OpenOrCreate, null, sizeof(long)));

    /// <summary>Notes that a case begins. It is in the file at once: other processes see it without anything being written back.</summary>
    public void Note(long number) => _view.Write(0, number);

    /// <summary>The case that was noted last.</summary>
    public long Read() => _view.ReadInt64(0);

    public void Dispose()
    {
        _view.Dispose();
        _file.Dispose();
    }
}
