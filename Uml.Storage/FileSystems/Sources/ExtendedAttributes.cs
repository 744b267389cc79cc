using System.Runtime.InteropServices;
using System.Text;
using Uml.Storage.Interop;

namespace Uml.Storage.FileSystems.Sources;

/// <summary>Extended attributes of files of the host.</summary>
internal static class ExtendedAttributes
{
    /// <summary>XATTR_SIZE_MAX and XATTR_LIST_MAX (linux/limits.h).</summary>
    private const int MaximumBytes = 65536;

    /// <exception cref="IOException">The host does not say.</exception>
    public static IReadOnlyList<string> List(byte[] path)
    {
        Span<byte> buffer = stackalloc byte[512];
        nint length = Xattr.List([.. path, 0], buffer, (nuint)buffer.Length);
        if (length < 0 && Marshal.GetLastPInvokeError() == Errno.Range)
        {
            buffer = new byte[MaximumBytes];
            length = Xattr.List([.. path, 0], buffer, (nuint)buffer.Length);
        }

        if (length < 0)
        {
            return Errno.IsUnsupported(Marshal.GetLastPInvokeError()) ? [] : throw HostPath.Failure("Its extended attributes could not be read", path);
        }

        return length == 0 ? [] : Encoding.UTF8.GetString(buffer[..(int)length]).Split('\0', StringSplitOptions.RemoveEmptyEntries);
    }

    /// <exception cref="IOException">The host does not say.</exception>
    public static byte[] Get(byte[] path, string name)
    {
        byte[] value = new byte[MaximumBytes];
        nint length = Xattr.Get([.. path, 0], name, value, (nuint)value.Length);
        return length >= 0 ? value[..(int)length] : throw HostPath.Failure($"Its extended attribute '{name}' could not be read", path);
    }
}
