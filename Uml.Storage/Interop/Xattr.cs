using System.Runtime.InteropServices;

namespace Uml.Storage.Interop;

/// <summary>sys/xattr.h of Linux.</summary>
// SAFETY: paths end with a zero byte, and callers pass the length of the buffer, which is pinned until the call returns.
internal static partial class Xattr
{
    [LibraryImport("libc", EntryPoint = "llistxattr", SetLastError = true)]
    public static partial nint List(ReadOnlySpan<byte> path, Span<byte> names, nuint length);

    [LibraryImport("libc", EntryPoint = "lgetxattr", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint Get(ReadOnlySpan<byte> path, string name, Span<byte> value, nuint length);
}
