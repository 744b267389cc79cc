namespace Uml.Core;

/// <summary>How guest code is executed.</summary>
public enum CpuEngine
{
    /// <summary>Decoded once, then interpreted: runs on every host.</summary>
    Interpreter,
}

/// <summary>What the virtual CPUs are.</summary>
public sealed class CpuOptions
{
    /// <summary>The smallest <see cref="CodeCacheSize"/>: 1 MiB.</summary>
    internal const ulong MinimumCodeCacheSize = 1UL << 20;

    /// <summary>The largest <see cref="CodeCacheSize"/>: 64 GiB. A limit of ours.</summary>
    internal const ulong MaximumCodeCacheSize = 64UL << 30;

    /// <summary>The engine. Default: <see cref="CpuEngine.Interpreter"/>.</summary>
    public CpuEngine Engine { get; set; } = CpuEngine.Interpreter;

    /// <summary>
    /// Host memory for decoded guest code, in bytes a virtual CPU: 1 MiB to 64 GiB. When it is full it is emptied and filled anew. Only
    /// what is used is taken from the host. Default: 64 MiB.
    /// </summary>
    public ulong CodeCacheSize { get; set; } = 64 << 20;

    /// <summary>Whether the processors have AVX, AVX2, FMA and F16C.</summary>
    internal bool OffersAvx { get; set; }

    /// <summary>The seed that <see cref="MachineOptions.RandomSeed"/> and the clock mode come to; null is the host's randomness.</summary>
    internal ulong? RandomSeed { get; set; }
}
