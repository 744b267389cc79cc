using System.Runtime.InteropServices;
using System.Text;
using Uml.Storage.FileSystems.Trees;
using Uml.Storage.Interop;

namespace Uml.Storage.FileSystems.Sources;

/// <summary>Files of the host by paths of bytes, which need not be text.</summary>
internal static class HostPath
{
    public static string Show(ReadOnlySpan<byte> path) => Encoding.UTF8.GetString(path);

    public static byte[] Join(byte[] directory, byte[] name) => directory is [.., (byte)'/'] ? [.. directory, .. name] : [.. directory, (byte)'/', .. name];

    /// <exception cref="IOException">The host does not say.</exception>
    public static HostStatus Status(byte[] path, bool follow) =>
        Statx.TryGet(path, follow, out Statx status) ? HostStatus.Of(status) : throw Failure("What it is could not be read", path);

    /// <summary>The names in a directory, in order.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static List<byte[]> List(byte[] path)
    {
        List<byte[]> names = [];
        if (!Dirent.TryList(path, names))
        {
            throw Failure("The directory could not be read", path);
        }

        names.Sort((left, right) => left.AsSpan().SequenceCompareTo(right));
        return names;
    }

    /// <exception cref="IOException">It cannot be read.</exception>
    public static byte[] ReadLink(byte[] path) => Unistd.ReadLink(path) ?? throw Failure("The link could not be read", path);

    public static IOException Failure(string what, byte[] path)
    {
        int error = Marshal.GetLastPInvokeError();
        return new IOException($"{what}: '{Show(path)}': {Marshal.GetPInvokeErrorMessage(error)} (errno {error}).");
    }
}

/// <summary>A file of the host, whatever names it has.</summary>
internal readonly record struct HostFileId(uint Major, uint Minor, ulong Inode);

/// <summary>What the host knows of a file.</summary>
internal readonly record struct HostStatus(
    FileKind Kind, int Mode, uint UserId, uint GroupId, FileTime ModificationTime, long Length, bool HasHoles, uint Links, HostFileId Id, uint Major, uint Minor)
{
    private const int TypeMask = 0xF000, SectorBytes = 512;

    public static HostStatus Of(in Statx status) => new(
        (status.Mode & TypeMask) switch
        {
            0x1000 => FileKind.Fifo,
            0x2000 => FileKind.CharacterDevice,
            0x4000 => FileKind.Directory,
            0x6000 => FileKind.BlockDevice,
            0x8000 => FileKind.Regular,
            0xA000 => FileKind.SymbolicLink,
            _ => FileKind.Socket,
        },
        status.Mode & FileMetadata.ModeMask,
        status.UserId,
        status.GroupId,
        new FileTime(status.ModifiedSeconds, (int)status.ModifiedNanoseconds),
        (long)status.Size,
        status.Blocks < (status.Size + SectorBytes - 1) / SectorBytes,
        status.Links,
        new HostFileId(status.DeviceMajor, status.DeviceMinor, status.Inode),
        status.NodeMajor,
        status.NodeMinor);
}
