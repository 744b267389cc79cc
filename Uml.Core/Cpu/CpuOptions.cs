
namespace Uml.Core.Cpu;

/// <summary>How guest code is executed.</summary>
public enum CpuEngine
{
    /// <summary>Decoded once, then interpreted: runs on every host.</summary>
    Interpreter,

    /// <summary>Code that runs often is translated to host code; needs Linux on x86-64.</summary>
    Jit,
}

/// <summary>Which processor the guest sees: what CPUID and XCR0 announce, and which instructions there are.</summary>
/// <remarks>
/// The levels are those of the System V ABI (AMD64 supplement, table 3.1) that Linux distributions build for. Both also have AES,
/// PCLMULQDQ, RDRAND, RDSEED, FSGSBASE and what else Linux likes to use; <see cref="X64V3"/> has ADX too.
/// </remarks>
public enum CpuModel
{
    /// <summary>
    /// <see cref="X64V3"/> where the host's processor has all of it (AVX2, BMI1, BMI2, F16C, FMA, LZCNT, MOVBE), else
    /// <see cref="X64V2"/>: no guest instruction is slow for want of a host instruction, and runs on unlike hosts may differ.
    /// </summary>
    Host,

    /// <summary>x86-64-v2: up to SSE4.2 and POPCNT. The same on every host.</summary>
    X64V2,

    /// <summary>
    /// x86-64-v3: AVX, AVX2, BMI1, BMI2, F16C, FMA, LZCNT and MOVBE besides. The same on every host: where the host lacks an instruction, it is interpreted.
    /// </summary>
    X64V3,
}

/// <summary>
/// Whether translated code is checked before it may run. The checker decodes it and accepts it only when it can access nothing but guest
/// memory and the virtual CPU's own state (SECURITY.md says what that proves).
/// </summary>
public enum TranslationCheck
{
    /// <summary>It is not checked.</summary>
    None,

    /// <summary>It is checked. A block that is refused is interpreted and counted (<see cref="CpuStatistics.TranslationsRefused"/>), and the machine runs on.</summary>
    Interpret,

    /// <summary>It is checked. A block that is refused ends the machine with <c>MachineExitReason.InternalError</c>, and what is wrong with it.</summary>
    Stop,
}

/// <summary>What the virtual CPUs are.</summary>
public sealed class CpuOptions
{
    /// <summary>The smallest <see cref="CodeCacheSize"/>: 1 MiB.</summary>
    internal const ulong MinimumCodeCacheSize = 1UL << 20;

    /// <summary>The largest <see cref="CodeCacheSize"/>: 64 GiB. A limit of ours.</summary>
    internal const ulong MaximumCodeCacheSize = 64UL << 30;

    private const string CheckSetting = "Uml.Core.TranslationCheck";

    /// <summary>The runtime setting was not understood. Validation refuses it; the engine would take it for <see cref="TranslationCheck.Stop"/>.</summary>
    private const TranslationCheck UnknownCheck = (TranslationCheck)(-1);

#if DEBUG
    private const TranslationCheck UnsetCheck = TranslationCheck.Stop;
#else
    private const TranslationCheck UnsetCheck = TranslationCheck.None;
#endif

    /// <summary>The engine. Default: <see cref="CpuEngine.Jit"/> where the host can run it, else <see cref="CpuEngine.Interpreter"/>.</summary>
    public CpuEngine Engine { get; set; } = JitEngine.IsSupported ? CpuEngine.Jit : CpuEngine.Interpreter;

    /// <summary>
    /// Host memory for decoded guest code, in bytes a virtual CPU: 1 MiB to 64 GiB; <see cref="CpuEngine.Jit"/> uses as much again for
    /// translated code, up to 1 GiB, and half of that for notes about it. When one of them is full all are emptied and filled anew. Only
    /// what is used is taken from the host, and goes back to it when the machine is disposed. Default: 256 MiB, which a Java virtual machine fits
    /// into; a guest that fills it takes some 670 MiB. <see cref="CpuStatistics.CodeCacheFlushes"/> counts, and a warning in the log tells of
    /// flushes that follow each other.
    /// </summary>
    public ulong CodeCacheSize { get; set; } = 256 << 20;

    /// <summary>
    /// Whether translated code is checked before it runs; only <see cref="CpuEngine.Jit"/> translates. Default: what the runtime setting
    /// <c>Uml.Core.TranslationCheck</c> says (<see cref="AppContext"/>, runtimeconfig.json), else <see cref="TranslationCheck.Stop"/> in debug
    /// builds of this library and <see cref="TranslationCheck.None"/> in release builds. Costs some time for each translated block, none
    /// when it runs (docs/performance.md).
    /// </summary>
    /// <remarks>The setting is one of the three names, of either case. Any other value is refused when a machine or a sandbox is built.</remarks>
    public TranslationCheck TranslationCheck { get; set; } = DefaultCheck;

    private static TranslationCheck DefaultCheck => AppContext.GetData(CheckSetting)?.ToString()?.ToUpperInvariant() switch
    {
        null => UnsetCheck,
        "NONE" => TranslationCheck.None,
        "INTERPRET" => TranslationCheck.Interpret,
        "STOP" => TranslationCheck.Stop,
        _ => UnknownCheck,
    };

    /// <summary>
    /// A message for an invalid value of <see cref="TranslationCheck"/>, which says what to use instead; null for a valid one.
    /// </summary>
    internal static string? FindProblem(TranslationCheck check, string property) => check switch
    {
        UnknownCheck when DefaultCheck == UnknownCheck => $"The runtime setting {CheckSetting} is '{AppContext.GetData(CheckSetting)}'; write None, Interpret or Stop, or set {property}.",
        _ when !Enum.IsDefined(check) => $"{property} is {(int)check}; use TranslationCheck.None, Interpret or Stop.",
        _ => null,
    };

    /// <summary>The number of virtual CPUs of a machine. Only the boot processor can be started yet.</summary>
    internal int Count { get; set; } = 1;

    /// <summary>Runs of a block in the interpreter before it is translated. Tests translate at once.</summary>
    internal int TranslationThreshold { get; set; } = 16;

    /// <summary>
    /// The processor that the guest sees. Any model but <see cref="CpuModel.Host"/> pins what CPUID and XCR0 say, so that runs can be
    /// repeated on other hosts; every model works on every host. Default: <see cref="CpuModel.Host"/>.
    /// </summary>
    public CpuModel Model { get; set; }

    /// <summary>
    /// The effective seed, from <c>MachineOptions.RandomSeed</c> and the clock mode; null: the host's random numbers.
    /// </summary>
    internal ulong? RandomSeed { get; set; }
}
