using System.Runtime.InteropServices;

namespace Uml.Storage.Interop;

/// <summary>sys/vfs.h of 64-bit Linux.</summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal unsafe partial struct Statfs
{
    [FieldOffset(0)]
    public long Type;

    private const long TmpfsMagic = 0x0102_1994, RamfsMagic = 0x8584_58F6;

    /// <summary>Whether a file is in memory, so that no access waits for storage.</summary>
    public static bool IsInMemory(int descriptor)
    {
        Statfs status = default;

        // SAFETY: the structure is larger than the kernel's, which has 120 bytes.
        return Get(descriptor, &status) == 0 && status.Type is TmpfsMagic or RamfsMagic;
    }

    [LibraryImport("libc", EntryPoint = "fstatfs", SetLastError = true)]
    private static partial int Get(int descriptor, Statfs* buffer);
}
