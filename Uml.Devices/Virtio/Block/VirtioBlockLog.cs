using Microsoft.Extensions.Logging;

namespace Uml.Devices.Virtio.Block;

/// <summary>What disks log.</summary>
internal static partial class VirtioBlockLog
{
    [LoggerMessage(1002, LogLevel.Error, "{Disk} could not carry out a request of type {Type} at byte {Offset}: the guest gets an I/O error")]
    public static partial void RequestFailed(ILogger logger, Exception exception, string disk, uint type, long offset);
}
