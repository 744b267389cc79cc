using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Uml.Core.Interop;

/// <summary>
/// Zeroed, page-aligned host memory that is committed when it is touched. On Linux it lies between guards, at a random address (see
/// <see cref="GuardedMapping"/>): all that emitted code addresses is in memory of this kind, or in <see cref="Cpu.CodeCache.CodeMemory"/>.
/// </summary>
internal sealed unsafe class HostMemory : IDisposable
{
    private readonly SafeHandle _allocation;
    private readonly int _discardAdvice;

    /// <param name="size">Bytes.</param>
    /// <param name="file">The file to map (see <see cref="MemoryFile"/>); null for anonymous memory.</param>
    /// <exception cref="InsufficientMemoryException">The host does not give that much.</exception>
    public HostMemory(ulong size, SafeFileHandle? file = null)
    {
        Size = size;
        if (!OperatingSystem.IsLinux())
        {
            var aligned = new AlignedAllocation(size);
            _allocation = aligned;
            Pointer = aligned.Pointer;
            return;
        }

        int descriptor = file is null ? -1 : (int)file.DangerousGetHandle();
        GuardedMapping? mapping = GuardedMapping.TryCreate(size, Libc.ProtRead | Libc.ProtWrite, descriptor);
        if (mapping is null)
        {
            throw new InsufficientMemoryException(
                $"The host would not map {size >> 20} MiB: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}. " +
                "Give the machine less memory, or raise the limit (ulimit -v, cgroup).");
        }

        _allocation = mapping;
        Pointer = mapping.Pointer;
        _discardAdvice = file is null ? Libc.MadviseDontNeed : Libc.MadviseRemove;
    }

    /// <summary>The first byte; null once it is disposed.</summary>
    public byte* Pointer { get; private set; }

    public ulong Size { get; }

    /// <summary>
    /// Keeps the memory from being freed, also by <see cref="Dispose"/>, until the handle is released as often as this was called
    /// (<see cref="SafeHandle.DangerousRelease"/>). Callable from any thread.
    /// </summary>
    /// <exception cref="ObjectDisposedException">It was disposed already.</exception>
    public SafeHandle Keep()
    {
        bool kept = false;
        _allocation.DangerousAddRef(ref kept);
        return _allocation;
    }

    /// <summary>Zeroes a page-aligned range, and returns its memory to the host where possible.</summary>
    public void Discard(ulong offset, ulong length)
    {
        if (!OperatingSystem.IsLinux() || Libc.Madvise((nint)(Pointer + offset), (nuint)length, _discardAdvice) != 0)
        {
            NativeMemory.Clear(Pointer + offset, (nuint)length);
        }
    }

    /// <summary>Frees the memory, unless it is kept.</summary>
    public void Dispose()
    {
        Pointer = null;
        _allocation.Dispose();
    }

    /// <summary>An allocation, on hosts other than Linux.</summary>
    private sealed class AlignedAllocation : SafeHandleZeroOrMinusOneIsInvalid
    {
        public AlignedAllocation(ulong size)
            : base(ownsHandle: true)
        {
            Pointer = (byte*)NativeMemory.AlignedAlloc((nuint)size, 4096);
            NativeMemory.Clear(Pointer, (nuint)size);
            SetHandle((nint)Pointer);
        }

        public byte* Pointer { get; }

        protected override bool ReleaseHandle()
        {
            // SAFETY: nobody keeps the memory any more.
            NativeMemory.AlignedFree((void*)handle);
            return true;
        }
    }
}
