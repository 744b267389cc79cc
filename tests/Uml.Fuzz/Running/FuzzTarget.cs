namespace Uml.Fuzz.Running;

/// <summary>Something that is attacked.</summary>
/// <param name="Name">Its name on the command line.</param>
/// <param name="Description">A line about it.</param>
/// <param name="Body">Sets the target up and calls <see cref="FuzzRun.ForEachCase"/> once.</param>
/// <param name="TestCases">How many cases the test of the target runs: a few seconds' worth.</param>
internal sealed record FuzzTarget(string Name, string Description, Action<FuzzRun> Body, long TestCases);

/// <summary>What a case may use.</summary>
/// <param name="CpuTime">Processor time of the process: a busy host does not make it longer.</param>
/// <param name="AllocatedBytes">Bytes that the case's thread allocates on the managed heap.</param>
/// <param name="PeakBytes">By how much the process's resident memory may grow in passing; only looked at under Linux.</param>
internal sealed record FuzzLimits(TimeSpan CpuTime, long AllocatedBytes, long PeakBytes);
