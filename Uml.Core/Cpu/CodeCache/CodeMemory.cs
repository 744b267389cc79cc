using System.ComponentModel;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Uml.Core.Interop;

namespace Uml.Core.Cpu.CodeCache;

/// <summary>
/// Memory for machine code, mapped twice: one mapping to write, one to execute, so that no page is both at once (sys/mman.h, memfd_create).
/// Host memory is committed as it is written. Each mapping has its own guards (see <see cref="GuardedMapping"/>).
/// </summary>
// SAFETY: both mappings are this object's own until Dispose, when no code of it runs. Callers of Patch and WriteJump pass places that the
// emitter has written in the writable one.
internal sealed unsafe class CodeMemory : IDisposable
{
    /// <summary>What has to be in use at the start of a huge page before the host is asked for it: small caches do without.</summary>
    private const int UsedBeforeHuge = 256 << 10;

    private readonly GuardedMapping? _writable;
    private readonly GuardedMapping? _executable;
    private readonly bool[] _huge;

    /// <param name="size">Bytes.</param>
    /// <exception cref="InsufficientMemoryException">The host does not give the memory, or does not let it be executed.</exception>
    public CodeMemory(ulong size)
    {
        Size = size;
        _huge = new bool[size / GuardedMapping.HugePage];
        using SafeFileHandle file = MemoryFile.TryCreate("uml-code", size, out string? refusal) ?? throw Refused(refusal!);
        int descriptor = (int)file.DangerousGetHandle();
        try
        {
            _writable = GuardedMapping.TryCreate(size, Libc.ProtRead | Libc.ProtWrite, descriptor) ?? throw NotMapped();
            _executable = GuardedMapping.TryCreate(size, Libc.ProtRead | Libc.ProtExecute, descriptor) ?? throw NotMapped();
        }
        catch
        {
            Dispose();
            throw;
        }

        Writable = _writable.Pointer;
        Executable = _executable.Pointer;
    }

    public ulong Size { get; }

    /// <summary>Where code is written.</summary>
    public byte* Writable { get; private set; }

    /// <summary>Where it runs.</summary>
    public byte* Executable { get; private set; }

    /// <summary>Converts an address in the writable mapping to the same place in the executable one.</summary>
    public byte* ToExecutable(byte* writable) => writable - Writable + Executable;

    /// <summary>Converts an address in the executable mapping to the same place in the writable one.</summary>
    public byte* ToWritable(byte* executable) => executable - Executable + Writable;

    /// <summary>Patches the displacement of a jump to lead to a target; both are addresses in the writable mapping.</summary>
    public static void Patch(byte* jump, byte* target) => Unsafe.WriteUnaligned(jump, checked((int)(target - (jump + 4))));

    /// <summary>Overwrites code with a jump to a target; both are addresses in the writable mapping.</summary>
    public static void WriteJump(byte* at, byte* target)
    {
        const byte jmpRel32 = 0xE9;
        *at = jmpRel32;
        Patch(at + 1, target);
    }

    /// <summary>
    /// Notes that code was written up to here, from the start of a huge page on, and has the host collect it in one (madvise(2),
    /// MADV_COLLAPSE): code that runs all over the memory misses the host's TLB less often, and the rest of the page is there without faults.
    /// A host that cannot leaves it as it is.
    /// </summary>
    public void NoteUse(byte* writable)
    {
        ulong offset = (ulong)(writable - Writable);
        ulong page = offset / GuardedMapping.HugePage;
        if (page >= (ulong)_huge.Length || _huge[page] || offset % GuardedMapping.HugePage < UsedBeforeHuge)
        {
            return;
        }

        _huge[page] = true;
        nint first = (nint)(page * GuardedMapping.HugePage);
        if (Libc.Madvise((nint)Writable + first, (nuint)GuardedMapping.HugePage, Libc.MadviseCollapse) == 0)
        {
            _ = Libc.Madvise((nint)Executable + first, (nuint)GuardedMapping.HugePage, Libc.MadviseCollapse);
        }
    }

    public void Dispose()
    {
        Writable = Executable = null;
        _writable?.Dispose();
        _executable?.Dispose();
    }

    private InsufficientMemoryException NotMapped() => Refused($"mmap: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}");

    private InsufficientMemoryException Refused(string reason) => new(
        $"The host refused {Size >> 20} MiB of memory for translated code ({reason}). " +
        "Raise the limit, make CpuOptions.CodeCacheSize smaller, or choose CpuEngine.Interpreter, which needs none.");
}
