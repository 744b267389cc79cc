using System.Runtime.InteropServices;

namespace Uml.Hosting.Interop;

/// <summary>sys/stat.h: the owner of a file, which the base class library does not provide.</summary>
internal static unsafe partial class Stat
{
    // linux/stat.h and linux/fcntl.h.
    private const int CurrentDirectory = -100; // AT_FDCWD
    private const int DoNotFollow = 0x100;     // AT_SYMLINK_NOFOLLOW
    private const uint Wanted = 0xB;           // STATX_TYPE | STATX_MODE | STATX_UID

    /// <summary>S_IFMT and S_IFDIR of <see cref="FileStatus.Mode"/>.</summary>
    public const int TypeMask = 0xF000, DirectoryType = 0x4000;

    /// <summary>The status of a file, of a link itself where the path is one; null when it cannot be had.</summary>
    public static FileStatus? Read(string path)
    {
        // SAFETY: the kernel writes at most sizeof(StatusBuffer) bytes, which is the size of struct statx (statx(2)).
        StatusBuffer buffer;
        return StatX(CurrentDirectory, path, DoNotFollow, Wanted, &buffer) == 0 ? new FileStatus(buffer.Mode, buffer.User) : null;
    }

    /// <summary>The user that this process acts as.</summary>
    [LibraryImport("libc", EntryPoint = "geteuid")]
    public static partial uint GetEffectiveUser();

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatX(int directory, string path, int flags, uint mask, StatusBuffer* buffer);

    /// <summary>struct statx of linux/stat.h, the same on every architecture.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct StatusBuffer
    {
        [FieldOffset(20)]
        public uint User;

        [FieldOffset(28)]
        public ushort Mode;
    }
}

/// <summary>The type, permissions and owner of a file.</summary>
/// <param name="Mode">Type and permissions, as st_mode.</param>
/// <param name="User">The owner's number.</param>
internal readonly record struct FileStatus(int Mode, uint User);
