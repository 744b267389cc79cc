using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Uml.Core.Interop;

/// <summary>
/// Zeroed, page-aligned host memory that costs nothing until it is touched. On Linux it lies between guards, at a random address (see
/// <see cref="GuardedMapping"/>): all that emitted code addresses is in memory of this kind, or in <see cref="Cpu.CodeCache.CodeMemory"/>.
/// </summary>
internal sealed unsafe class HostMemory : IDisposable
{
    private readonly GuardedMapping? _mapping;

    /// <param name="size">Bytes.</param>
    /// <exception cref="InsufficientMemoryException">The host does not give that much.</exception>
    public HostMemory(ulong size)
    {
        Size = size;
        if (OperatingSystem.IsLinux())
        {
            _mapping = GuardedMapping.TryCreate(size, Libc.ProtRead | Libc.ProtWrite);
            if (_mapping is null)
            {
                GC.SuppressFinalize(this);
                throw new InsufficientMemoryException(
                    $"The host would not map {size >> 20} MiB: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}. " +
                    "Give the machine less memory, or raise the limit (ulimit -v, cgroup).");
            }

            Pointer = _mapping.Pointer;
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
        if (!OperatingSystem.IsLinux() || Libc.Madvise((nint)(Pointer + offset), (nuint)length, Libc.MadviseDontNeed) != 0)
        {
            NativeMemory.Clear(Pointer + offset, (nuint)length);
        }
    }

    public void Dispose()
    {
        _mapping?.Dispose();
        Release();
        GC.SuppressFinalize(this);
    }

    /// <summary>Forgets the memory, and frees what is not a mapping, which frees itself.</summary>
    private void Release()
    {
        if (_mapping is null)
        {
            NativeMemory.AlignedFree(Pointer);
        }

        Pointer = null;
    }
}
