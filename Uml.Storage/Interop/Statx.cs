using System.Runtime.InteropServices;

namespace Uml.Storage.Interop;

/// <summary>What Linux tells of an open file (linux/stat.h): the same layout on all architectures.</summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal unsafe partial struct Statx
{
    [FieldOffset(16)]
    public uint Links;

    [FieldOffset(20)]
    public uint UserId;

    [FieldOffset(24)]
    public uint GroupId;

    [FieldOffset(28)]
    public ushort Mode;

    [FieldOffset(32)]
    public ulong Inode;

    [FieldOffset(40)]
    public ulong Size;

    /// <summary>Of 512 bytes, that the file takes on its file system.</summary>
    [FieldOffset(48)]
    public ulong Blocks;

    /// <summary>Seconds since 1970, of the last change of the contents.</summary>
    [FieldOffset(112)]
    public long ModifiedSeconds;

    [FieldOffset(120)]
    public uint ModifiedNanoseconds;

    /// <summary>Of a node of a device, the device.</summary>
    [FieldOffset(128)]
    public uint NodeMajor;

    [FieldOffset(132)]
    public uint NodeMinor;

    /// <summary>What the file is on.</summary>
    [FieldOffset(136)]
    public uint DeviceMajor;

    [FieldOffset(140)]
    public uint DeviceMinor;

    /// <summary>AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW and AT_FDCWD.</summary>
    private const int EmptyPath = 0x1000, NoFollow = 0x100, WorkingDirectory = -100;
    private const uint BasicStats = 0x7FF;
    private const ushort TypeMask = 0xF000, Regular = 0x8000, BlockSpecial = 0x6000;

    public readonly bool IsRegular => (Mode & TypeMask) == Regular;

    public readonly bool IsBlockDevice => (Mode & TypeMask) == BlockSpecial;

    /// <summary>Asks of an open file.</summary>
    /// <returns>False when the host refuses; the last P/Invoke error says why.</returns>
    public static bool TryGet(int descriptor, out Statx status)
    {
        // SAFETY: the path is a terminated empty string, and the structure has the size of the kernel's.
        fixed (Statx* buffer = &status)
        {
            byte end = 0;
            return Get(descriptor, &end, EmptyPath, BasicStats, buffer) == 0;
        }
    }

    /// <summary>Asks of a file.</summary>
    /// <param name="path">Its path, without a zero byte behind it.</param>
    /// <param name="follow">Whether the target of a symbolic link is meant.</param>
    /// <param name="status">What the host tells.</param>
    /// <returns>False when the host refuses; the last P/Invoke error says why.</returns>
    public static bool TryGet(byte[] path, bool follow, out Statx status)
    {
        // SAFETY: the path is a terminated copy, and the structure has the size of the kernel's.
        fixed (byte* terminated = (byte[])[.. path, 0])
        {
            fixed (Statx* buffer = &status)
            {
                return Get(WorkingDirectory, terminated, follow ? 0 : NoFollow, BasicStats, buffer) == 0;
            }
        }
    }

    /// <summary>Whether two files are one.</summary>
    public readonly bool IsSameFile(in Statx other) =>
        Inode == other.Inode && DeviceMajor == other.DeviceMajor && DeviceMinor == other.DeviceMinor;

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true)]
    private static partial int Get(int descriptor, byte* path, int flags, uint mask, Statx* buffer);
}
