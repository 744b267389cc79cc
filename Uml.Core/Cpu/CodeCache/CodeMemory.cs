using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Uml.Core.Cpu.CodeCache;

/// <summary>
/// Memory for machine code, mapped twice: one mapping to write, one to execute, so that no page is both at once (sys/mman.h,
/// memfd_create). Host memory is used as it is written to.
/// </summary>
internal sealed unsafe partial class CodeMemory : IDisposable
{
    private const int ProtRead = 1, ProtWrite = 2, ProtExecute = 4;
    private const int MapShared = 1;
    private const uint MfdCloseOnExec = 1;

    private byte* _writable;
    private byte* _executable;

    /// <param name="size">Bytes.</param>
    /// <exception cref="InsufficientMemoryException">The host does not give the memory, or does not let it be executed.</exception>
    public CodeMemory(ulong size)
    {
        Size = size;
        int descriptor = MemfdCreate("uml-code", MfdCloseOnExec);
        if (descriptor < 0)
        {
            throw Refused("memfd_create");
        }

        try
        {
            if (Ftruncate(descriptor, (long)size) != 0)
            {
                throw Refused("ftruncate");
            }

            _writable = Map(descriptor, ProtRead | ProtWrite);
            _executable = Map(descriptor, ProtRead | ProtExecute);
        }
        catch
        {
            Release();
            throw;
        }
        finally
        {
            _ = Close(descriptor);
        }
    }

    ~CodeMemory() => Release();

    public ulong Size { get; }

    /// <summary>Where code is written.</summary>
    public byte* Writable => _writable;

    /// <summary>From a place in the writable mapping to the same place in the executable one.</summary>
    public byte* ToExecutable(byte* writable) => writable - _writable + _executable;

    /// <summary>From a place in the executable mapping to the same place in the writable one.</summary>
    public byte* ToWritable(byte* executable) => executable - _executable + _writable;

    public void Dispose()
    {
        Release();
        GC.SuppressFinalize(this);
    }

    private byte* Map(int descriptor, int protection)
    {
        nint address = Mmap(0, (nuint)Size, protection, MapShared, descriptor, 0);
        return address == -1 ? throw Refused("mmap") : (byte*)address;
    }

    private void Release()
    {
        if (_writable != null)
        {
            _ = Munmap((nint)_writable, (nuint)Size);
        }

        if (_executable != null)
        {
            _ = Munmap((nint)_executable, (nuint)Size);
        }

        _writable = _executable = null;
    }

    private InsufficientMemoryException Refused(string call) => new(
        $"The host refused {Size >> 20} MiB of memory for translated code ({call}: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}). " +
        "Raise the limit, make CpuOptions.CodeCacheSize smaller, or choose CpuEngine.Interpreter, which needs none.");

    [LibraryImport("libc", EntryPoint = "memfd_create", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MemfdCreate(string name, uint flags);

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    private static partial int Ftruncate(int descriptor, long length);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Mmap(nint address, nuint length, int protection, int flags, int descriptor, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int Munmap(nint address, nuint length);
}
