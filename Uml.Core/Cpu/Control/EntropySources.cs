using System.Numerics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Uml.Core.Cpu.Control;

/// <summary>A source of the numbers that RDRAND and RDSEED return.</summary>
internal interface IEntropySource
{
    /// <summary>The next 64 bits.</summary>
    ulong Next();
}

/// <summary>The host's random number generator, read a page at a time: a read for each instruction would be a system call each.</summary>
internal sealed class HostEntropySource : IEntropySource
{
    private readonly ulong[] _buffer = new ulong[512];
    private int _next = 512;

    /// <inheritdoc/>
    public ulong Next()
    {
        if (_next == _buffer.Length)
        {
            RandomNumberGenerator.Fill(MemoryMarshal.AsBytes(_buffer.AsSpan()));
            _next = 0;
        }

        ulong value = _buffer[_next];
        _buffer[_next++] = 0;
        return value;
    }
}

/// <summary>A reproducible sequence (xoshiro256**, seeded through SplitMix64) for machines whose runs must be identical.</summary>
internal sealed class SeededEntropySource : IEntropySource
{
    private ulong _s0, _s1, _s2, _s3;

    /// <summary>Starts the sequence of a seed.</summary>
    public SeededEntropySource(ulong seed)
    {
        _s0 = SplitMix(ref seed);
        _s1 = SplitMix(ref seed);
        _s2 = SplitMix(ref seed);
        _s3 = SplitMix(ref seed);
    }

    /// <inheritdoc/>
    public ulong Next()
    {
        ulong result = BitOperations.RotateLeft(_s1 * 5, 7) * 9;
        ulong t = _s1 << 17;
        _s2 ^= _s0;
        _s3 ^= _s1;
        _s1 ^= _s2;
        _s0 ^= _s3;
        _s2 ^= t;
        _s3 = BitOperations.RotateLeft(_s3, 45);
        return result;
    }

    private static ulong SplitMix(ref ulong state)
    {
        ulong z = state += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
