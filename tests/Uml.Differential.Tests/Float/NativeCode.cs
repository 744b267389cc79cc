using System.Runtime.InteropServices;
using Iced.Intel;

namespace Uml.Differential.Tests.Float;

/// <summary>A page of machine code that the test process runs on its own CPU.</summary>
internal sealed unsafe partial class NativeCode : IDisposable
{
    private const int ProtReadWriteExec = 7;
    private const int MapPrivateAnonymous = 0x22;
    private const nuint Size = 4096;

    private readonly nint _base;

    public NativeCode(Action<Assembler> emit)
    {
        _base = MMap(0, Size, ProtReadWriteExec, MapPrivateAnonymous, -1, 0);
        if (_base == -1)
        {
            throw new InvalidOperationException("mmap of an executable page failed; the differential tests need PROT_EXEC memory.");
        }

        var assembler = new Assembler(64);
        emit(assembler);
        var writer = new PageWriter(_base);
        assembler.Assemble(writer, (ulong)_base);
    }

    public nint Address => _base;

    public nint End => _base + (nint)Size;

    // SAFETY: the emitted code reads and writes only the frame it is given, and follows the SysV calling convention.
    public void Run(void* frame) => ((delegate* unmanaged<void*, void>)_base)(frame);

    public void Dispose() => _ = MUnmap(_base, Size);

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial nint MMap(nint address, nuint length, int protection, int flags, int descriptor, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int MUnmap(nint address, nuint length);

    private sealed class PageWriter(nint start) : CodeWriter
    {
        private int _length;

        public override void WriteByte(byte value)
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(_length, (int)Size);

            // SAFETY: the check above keeps the write inside the page.
            ((byte*)start)[_length++] = value;
        }
    }
}
