using Uml.Storage.Blocks;

namespace Uml.Storage.Nbd.Protocol;

/// <summary>"Error values".</summary>
internal static class NbdErrors
{
    public const uint None = 0, NotPermitted = 1, Io = 5, NoMemory = 12, Invalid = 22, NoSpace = 28, Overflow = 75, NotSupported = 95, Shutdown = 108;

    /// <summary>An error of the server as one of a device.</summary>
    public static BlockError ToBlockError(uint error) => error switch
    {
        NotPermitted => BlockError.ReadOnly,
        NoSpace => BlockError.NoSpace,
        Shutdown => BlockError.Gone,
        _ => BlockError.Io,
    };

    /// <summary>An error of a device as one of the server.</summary>
    public static uint FromException(Exception failure) => failure switch
    {
        BlockIOException { Error: BlockError.NoSpace } => NoSpace,
        BlockIOException { Error: BlockError.ReadOnly } => NotPermitted,
        BlockIOException { Error: BlockError.Gone } => Shutdown,
        ArgumentException => Invalid,
        NotSupportedException => NotSupported,
        OutOfMemoryException => NoMemory,
        _ => Io,
    };

    public static string Describe(uint error) => error switch
    {
        NotPermitted => "not permitted (EPERM)",
        Io => "an I/O error (EIO)",
        NoMemory => "it has no memory (ENOMEM)",
        Invalid => "it takes the request for invalid (EINVAL)",
        NoSpace => "it has no room (ENOSPC)",
        Overflow => "a value is too large (EOVERFLOW)",
        NotSupported => "it does not support that (ENOTSUP)",
        Shutdown => "it is shutting down (ESHUTDOWN)",
        _ => $"error {error}",
    };
}
