using System.Runtime.InteropServices;

namespace Uml.Net.Interop;

/// <summary>net/if.h.</summary>
internal static partial class NetIf
{
    /// <summary>IFNAMSIZ, its zero byte included.</summary>
    public const int NameSize = 16;

    /// <returns>Zero when there is none.</returns>
    [LibraryImport("libc", EntryPoint = "if_nametoindex", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial uint GetIndex(string name);
}
