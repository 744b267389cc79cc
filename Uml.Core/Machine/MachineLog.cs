using Microsoft.Extensions.Logging;

namespace Uml.Core.Machine;

/// <summary>The events of a machine's life.</summary>
internal static partial class MachineLog
{
    [LoggerMessage(1, LogLevel.Debug, "Machine {Name} built with {MemorySize} bytes of memory and {Devices} devices")]
    public static partial void Built(ILogger logger, string name, ulong memorySize, int devices);

    [LoggerMessage(2, LogLevel.Information, "Machine {Name} started, {Kind} entry at 0x{EntryPoint:x}")]
    public static partial void Started(ILogger logger, string name, string kind, ulong entryPoint);

    [LoggerMessage(3, LogLevel.Debug, "Machine {Name} paused")]
    public static partial void Paused(ILogger logger, string name);

    [LoggerMessage(4, LogLevel.Debug, "Machine {Name} resumed")]
    public static partial void Resumed(ILogger logger, string name);

    [LoggerMessage(5, LogLevel.Information, "Machine {Name} ended after {Instructions} instructions: {Reason} (status {Status}). {Message}")]
    public static partial void Ended(ILogger logger, string name, ulong instructions, MachineExitReason reason, uint status, string message);

    [LoggerMessage(6, LogLevel.Error, "Machine {Name} was ended by a defect in the virtual machine or one of its devices")]
    public static partial void Defect(ILogger logger, Exception exception, string name);

    [LoggerMessage(7, LogLevel.Error, "A service that the program gave machine {Name} failed")]
    public static partial void ServiceFailed(ILogger logger, Exception exception, string name);

    [LoggerMessage(8, LogLevel.Warning, "The code cache of machine {Name} is too small for its guest: {Flushes} flushes in {Instructions} instructions, after each of which all code is translated again. Make CpuOptions.CodeCacheSize larger than {Size} bytes")]
    public static partial void CodeCacheTooSmall(ILogger logger, string name, ulong flushes, ulong instructions, ulong size);

    [LoggerMessage(9, LogLevel.Information, "Machine {Name} is reset after {Instructions} instructions. {Message}")]
    public static partial void Resetting(ILogger logger, string name, ulong instructions, string message);

    [LoggerMessage(10, LogLevel.Information, "The memory of machine {Name} cannot be shared with other processes: {Reason}")]
    public static partial void MemoryNotShareable(ILogger logger, string name, string reason);
}
