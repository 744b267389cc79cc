using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Uml.Storage.FileSystems.Trees;
using Uml.Storage.Images;
using Uml.Storage.Interop;

namespace Uml.Storage.FileSystems.Sources;

/// <summary>The contents of a file of the host, which is opened whenever it is read: a tree may have more files than a process can have open.</summary>
internal sealed class HostFileContent : FileContent
{
    private readonly byte[] _path;
    private readonly HostStatus _status;

    private HostFileContent(byte[] path, in HostStatus status)
        : base(status.Length) => (_path, _status) = (path, status);

    private HostFileContent(byte[] path, in HostStatus status, List<FileRange> data)
        : base(status.Length, data) => (_path, _status) = (path, status);

    /// <summary>Looks where a file has holes.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static HostFileContent Of(byte[] path, in HostStatus status)
    {
        if (!status.HasHoles)
        {
            return new HostFileContent(path, status);
        }

        using SafeFileHandle file = Open(path);
        List<FileRange> data = [];
        for (long end = 0; end < status.Length;)
        {
            long start = Unistd.Seek((int)file.DangerousGetHandle(), end, Unistd.SeekData);
            if (start < 0 && Marshal.GetLastPInvokeError() == Errno.NoDevice)
            {
                break; // nothing but a hole from here on
            }

            end = start < 0 ? start : Unistd.Seek((int)file.DangerousGetHandle(), start, Unistd.SeekHole);
            if (end < 0)
            {
                throw HostPath.Failure("Its holes could not be found", path);
            }

            end = Math.Min(end, status.Length);
            if (end > start)
            {
                data.Add(new FileRange(start, end - start));
            }
        }

        return new HostFileContent(path, status, data);
    }

    public override void Read(long offset, Span<byte> buffer)
    {
        using SafeFileHandle file = Open(_path);
        while (!buffer.IsEmpty)
        {
            // SAFETY: the descriptor is open until the end of this method, and the span is pinned by the marshaller.
            nint read = Unistd.ReadAt((int)file.DangerousGetHandle(), buffer, (nuint)buffer.Length, offset);
            if (read < 0 && Marshal.GetLastPInvokeError() != Errno.Interrupted)
            {
                throw HostPath.Failure("It could not be read", _path);
            }

            if (read == 0)
            {
                throw new ImageContentException(
                    $"'{HostPath.Show(_path)}' had {_status.Length} bytes when it was found and ends at {offset} now: leave the files alone until the image is made.");
            }

            int count = (int)Math.Max(read, 0);
            offset += count;
            buffer = buffer[count..];
        }
    }

    private static SafeFileHandle Open(byte[] path)
    {
        // What has become a pipe since it was found is not waited for. Files do not care.
        int descriptor = Fcntl.Open([.. path, 0], Fcntl.ReadOnly | Fcntl.CloseOnExec | Fcntl.NoFollow | Fcntl.NonBlocking, 0);
        return descriptor >= 0 ? new SafeFileHandle(descriptor, ownsHandle: true) : throw HostPath.Failure("It could not be opened", path);
    }
}
