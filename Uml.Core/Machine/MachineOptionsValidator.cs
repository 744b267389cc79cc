using System.Globalization;
using Microsoft.Extensions.Options;
using Uml.Core.Cpu;

namespace Uml.Core.Machine;

/// <summary>Validates machine options; messages say what to use instead.</summary>
internal sealed class MachineOptionsValidator : IValidateOptions<MachineOptions>
{
    /// <summary>The real-time clock has four digits for the year; this leaves a guest a century to run.</summary>
    private const int LatestYear = 9899;

    public ValidateOptionsResult Validate(string? name, MachineOptions options)
    {
        var problems = new List<string>();
        if (string.IsNullOrWhiteSpace(options.Name))
        {
            problems.Add("MachineOptions.Name is empty; give the machine a name, it appears in logs and metrics.");
        }

        ValidateMemory(options.MemorySize, problems);
        if (!Enum.IsDefined(options.ClockMode))
        {
            problems.Add($"MachineOptions.ClockMode is {(int)options.ClockMode}; use ClockMode.Real or ClockMode.Virtual.");
        }

        if (!Enum.IsDefined(options.OnReboot))
        {
            problems.Add($"MachineOptions.OnReboot is {(int)options.OnReboot}; use RebootAction.Stop or RebootAction.Reset.");
        }

        if (options.StartTime is { } start && (start < DateTimeOffset.UnixEpoch || start.Year > LatestYear))
        {
            problems.Add(string.Create(
                CultureInfo.InvariantCulture,
                $"MachineOptions.StartTime is {start:u}; Linux counts time from 1970-01-01, use that up to the year {LatestYear}."));
        }

        ValidateCpu(options.Cpu, problems);
        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);
    }

    private static void ValidateCpu(CpuOptions? cpu, List<string> problems)
    {
        if (cpu is null)
        {
            problems.Add("MachineOptions.Cpu is null; leave it at its default or assign a CpuOptions.");
            return;
        }

        if (!Enum.IsDefined(cpu.Engine))
        {
            problems.Add($"MachineOptions.Cpu.Engine is {(int)cpu.Engine}; use CpuEngine.Interpreter or CpuEngine.Jit.");
        }

        if (cpu.Engine == CpuEngine.Jit && !Cpu.JitEngine.IsSupported)
        {
            problems.Add("MachineOptions.Cpu.Engine is Jit, which needs Linux on x86-64; use CpuEngine.Interpreter here, or leave it at its default.");
        }

        if (!Enum.IsDefined(cpu.Model))
        {
            problems.Add($"MachineOptions.Cpu.Model is {(int)cpu.Model}; use CpuModel.Host, X64V2 or X64V3.");
        }

        if (CpuOptions.FindProblem(cpu.TranslationCheck, "MachineOptions.Cpu.TranslationCheck") is { } problem)
        {
            problems.Add(problem);
        }

        if (cpu.CodeCacheSize is < CpuOptions.MinimumCodeCacheSize or > CpuOptions.MaximumCodeCacheSize)
        {
            problems.Add(
                $"MachineOptions.Cpu.CodeCacheSize is {cpu.CodeCacheSize} bytes; use 1 MiB to 64 GiB, it counts bytes: 64 MiB is 64UL << 20.");
        }
    }

    private static void ValidateMemory(ulong size, List<string> problems)
    {
        if (size < MachineOptions.MinimumMemorySize)
        {
            problems.Add(
                $"MachineOptions.MemorySize is {size} bytes, less than the minimum of 1 MiB; it counts bytes: 256 MiB is 256UL << 20.");
        }
        else if (size > MachineOptions.MaximumMemorySize)
        {
            problems.Add($"MachineOptions.MemorySize is {size} bytes, more than the maximum of 512 GiB; it counts bytes, not MiB.");
        }
        else if (size % MachineOptions.MemorySizeGranularity != 0)
        {
            ulong rounded = (size / MachineOptions.MemorySizeGranularity + 1) * MachineOptions.MemorySizeGranularity;
            problems.Add($"MachineOptions.MemorySize is {size} bytes, not a multiple of {MachineOptions.MemorySizeGranularity}; use {rounded}.");
        }
    }
}
