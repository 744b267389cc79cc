namespace Uml.Storage.Interop;

/// <summary>errno.h of Linux.</summary>
internal static class Errno
{
    public const int NotPermitted = 1, NoEntry = 2, Interrupted = 4, NoDevice = 6, TryAgain = 11, AccessDenied = 13, Busy = 16, Exists = 17, IsDirectory = 21,
        Invalid = 22, FileTooLarge = 27, NoSpace = 28, ReadOnlyFileSystem = 30, Range = 34, NotImplemented = 38, NotSupported = 95, QuotaExceeded = 122;

    /// <summary>Whether an error says that there is no room.</summary>
    public static bool IsNoSpace(int error) => error is NoSpace or QuotaExceeded or FileTooLarge;

    /// <summary>Whether an error says that the host cannot do such a thing here at all.</summary>
    public static bool IsUnsupported(int error) => error is NotSupported or NotImplemented or Invalid;
}
