using Microsoft.Extensions.Logging;

namespace Uml.Devices.Virtio.Net;

/// <summary>What network cards log.</summary>
internal static partial class VirtioNetLog
{
    [LoggerMessage(1003, LogLevel.Error, "{Card} has lost its network for good: {Problem} The guest sees the link go down")]
    public static partial void Failed(ILogger logger, string card, string problem);
}
