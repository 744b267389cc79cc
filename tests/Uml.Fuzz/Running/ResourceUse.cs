using System.Globalization;

namespace Uml.Fuzz.Running;

/// <summary>What a case uses, from a moment on.</summary>
internal readonly struct ResourceUse
{
    private readonly TimeSpan _cpuTime;
    private readonly long _allocated;
    private readonly long _resident;

    private ResourceUse(TimeSpan cpuTime, long allocated, long resident)
    {
        _cpuTime = cpuTime;
        _allocated = allocated;
        _resident = resident;
    }

    public static ResourceUse Begin()
    {
        if (OperatingSystem.IsLinux())
        {
            // proc_pid_clear_refs(5): 5 sets the peak of the resident set size back to its present value.
            File.WriteAllText("/proc/self/clear_refs", "5");
        }

        return new ResourceUse(CpuTime(), GC.GetAllocatedBytesForCurrentThread(), ReadStatus("VmRSS:"));
    }

    /// <summary>Says which limit was exceeded, by its name up to the colon; null when none was.</summary>
    public string? Exceeded(FuzzLimits limits)
    {
        TimeSpan time = CpuTime() - _cpuTime;
        long allocated = GC.GetAllocatedBytesForCurrentThread() - _allocated;
        long grown = ReadStatus("VmHWM:") - _resident;
        return time > limits.CpuTime ? string.Create(CultureInfo.InvariantCulture, $"time: {time.TotalSeconds:F1} s of processor time, at most {limits.CpuTime.TotalSeconds:F1}")
            : allocated > limits.AllocatedBytes ? $"allocation: {allocated} bytes, at most {limits.AllocatedBytes}"
            : grown > limits.PeakBytes ? $"memory: grew by {grown} bytes, at most {limits.PeakBytes}"
            : null;
    }

    /// <summary>Processor time of this process. Other platforms do not tell it this way; allocations are counted there all the same.</summary>
    public static TimeSpan CpuTime() => OperatingSystem.IsLinux() || OperatingSystem.IsWindows() || OperatingSystem.IsMacOS()
        ? Environment.CpuUsage.TotalTime
        : TimeSpan.Zero;

    private static long ReadStatus(string field)
    {
        if (!OperatingSystem.IsLinux())
        {
            return 0;
        }

        foreach (string line in File.ReadLines("/proc/self/status"))
        {
            if (line.StartsWith(field, StringComparison.Ordinal))
            {
                return long.Parse(line[field.Length..^"kB".Length], NumberStyles.AllowLeadingWhite | NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture) << 10;
            }
        }

        return 0;
    }
}
