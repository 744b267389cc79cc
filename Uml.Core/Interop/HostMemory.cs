using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Uml.Core.Interop;

/// <summary>Zeroed, page-aligned host memory that costs nothing until it is touched (sys/mman.h).</summary>
internal sealed unsafe partial class HostMemory : IDisposable
{
    private const int ProtRead = 1, ProtWrite = 2;
    private const int MapPrivate = 0x02, MapAnonymous = 0x20, MapNoReserve = 0x4000;
    private const int MadviseDontNeed = 4;

    public HostMemory(ulong size)
    {
        Size = size;
        if (OperatingSystem.IsLinux())
        {
            nint address = Mmap(0, (nuint)size, ProtRead | ProtWrite, MapPrivate | MapAnonymous | MapNoReserve, -1, 0);
            if (address == -1)
            {
                throw new InsufficientMemoryException(
                    $"The host would not map {size >> 20} MiB: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}. " +
                    "Give the machine less memory, or raise the limit (ulimit -v, cgroup).");
            }

            Pointer = (byte*)address;
        }
        else
        {
            Pointer = (byte*)NativeMemory.AlignedAlloc((nuint)size, 4096);
            NativeMemory.Clear(Pointer, (nuint)size);
        }
    }

    ~HostMemory() => Release();

    public byte* Pointer { get; private set; }

    public ulong Size { get; }

    /// <summary>Zeroes a page-aligned range and gives its memory back to the host where the host can.</summary>
    public void Discard(ulong offset, ulong length)
    {
        if (!OperatingSystem.IsLinux() || Madvise((nint)(Pointer + offset), (nuint)length, MadviseDontNeed) != 0)
        {
            NativeMemory.Clear(Pointer + offset, (nuint)length);
        }
    }

    public void Dispose()
    {
        Release();
        GC.SuppressFinalize(this);
    }

    private void Release()
    {
        if (Pointer == null)
        {
            return;
        }

        if (OperatingSystem.IsLinux())
        {
            _ = Munmap((nint)Pointer, (nuint)Size);
        }
        else
        {
            NativeMemory.AlignedFree(Pointer);
        }

        Pointer = null;
    }

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Mmap(nint address, nuint length, int protection, int flags, int descriptor, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int Munmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "madvise", SetLastError = true)]
    private static partial int Madvise(nint address, nuint length, int advice);
}
