using System.Runtime.InteropServices;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>
/// A page of the host below 4 GiB, where addresses of 32 bits reach it too, filled with a pattern: what a guest that gets out would read
/// and overwrite.
/// </summary>
internal sealed unsafe partial class LowHostMemory : IDisposable
{
    private const int Size = 4096;
    private const int ProtRead = 1, ProtWrite = 2;
    private const int MapPrivate = 0x02, MapAnonymous = 0x20, Map32Bit = 0x40;
    private const byte Pattern = 0xA5;

    private readonly byte* _page;

    public LowHostMemory()
    {
        // SAFETY: an anonymous page that nothing else knows; it stays mapped until Dispose.
        nint page = Mmap(0, Size, ProtRead | ProtWrite, MapPrivate | MapAnonymous | Map32Bit, -1, 0);
        Assert.That(page, Is.Not.EqualTo((nint)(-1)), "the host has no page below 4 GiB");
        _page = (byte*)page;
        Bytes.Fill(Pattern);
    }

    public ulong Address => (ulong)_page;

    /// <summary>Whether nothing was written to it.</summary>
    public bool IsUntouched => !Bytes.ContainsAnyExcept(Pattern);

    private Span<byte> Bytes => new(_page, Size);

    public void Dispose() => _ = Munmap((nint)_page, Size);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Mmap(nint address, nuint length, int protection, int flags, int descriptor, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int Munmap(nint address, nuint length);
}
