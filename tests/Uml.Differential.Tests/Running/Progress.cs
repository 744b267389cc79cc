using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using Iced.Intel;
using Uml.Differential.Tests.Generation;

namespace Uml.Differential.Tests.Running;

/// <summary>The case that a process runs, in a file that outlives it: so that another tells which case ended it.</summary>
internal sealed unsafe class Progress : IDisposable
{
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly Record* _record;

    /// <summary>Opens the file, or makes it.</summary>
    public Progress(string path)
    {
        _file = MemoryMappedFile.CreateFromFile(path, FileMode.OpenOrCreate, null, sizeof(Record));
        _view = _file.CreateViewAccessor();
        byte* pointer = null;

        // SAFETY: the view is held until Dispose and has room for the record.
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref pointer);
        _record = (Record*)pointer;
    }

    /// <summary>Number of the case in its run; -1 before the first.</summary>
    public long Number => _record->Number - 1;

    public ulong Seed => _record->Seed;

    public Code? Form => _record->Form == 0 ? null : (Code)_record->Form;

    public ProgramKind Kind => (ProgramKind)_record->Kind;

    public byte[] Prefixes => new ReadOnlySpan<byte>(_record->Prefixes, _record->PrefixCount).ToArray();

    public void Note(long number, TestCase test)
    {
        ReadOnlySpan<byte> prefixes = test.Prefixes;
        _record->Seed = test.Seed;
        _record->Form = (int)(test.Form ?? Code.INVALID);
        _record->Kind = (int)test.Kind;
        _record->PrefixCount = prefixes.Length;
        prefixes.CopyTo(new Span<byte>(_record->Prefixes, PrefixPatterns.MaxLength));
        Volatile.Write(ref _record->Number, number + 1);
    }

    public void Dispose()
    {
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _file.Dispose();
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Record
    {
        public long Number;
        public ulong Seed;
        public int Form;
        public int Kind;
        public int PrefixCount;
        public fixed byte Prefixes[PrefixPatterns.MaxLength];
    }
}
