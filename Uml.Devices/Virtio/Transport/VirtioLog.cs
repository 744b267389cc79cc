using Microsoft.Extensions.Logging;

namespace Uml.Devices.Virtio.Transport;

/// <summary>What virtio devices log.</summary>
internal static partial class VirtioLog
{
    [LoggerMessage(1001, LogLevel.Warning, "The guest's driver of {Device} has broken a rule of virtio, and the device needs a reset: {Problem}")]
    public static partial void NeedsReset(ILogger logger, string device, string problem);
}
