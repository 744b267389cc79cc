using Uml.Differential.Tests.Native;

namespace Uml.Differential.Tests.Engines;

/// <summary>
/// Memory of the host at addresses that test programs have in their registers, filled with patterns: what a program that gets out of its
/// guest would overwrite, or bring back. At the guest's own addresses lie windows of the host's, at others pages of which the guest has
/// none; pages that nobody may access are around them.
/// </summary>
internal sealed unsafe class HostCanary : IDisposable
{
    /// <summary>What fills the host's memory at the addresses of the guest's windows.</summary>
    public const byte WindowPattern = 0x9B;

    /// <summary>Addresses that are the host's alone, within reach of 32-bit addresses and beyond.</summary>
    public const ulong Low = 0x7100_0000, High = 0x2A5A_5000_0000;

    /// <summary>Bytes at <see cref="Low"/> and at <see cref="High"/>.</summary>
    public const int Size = 2 * Layout.PageSize;

    private const byte LowPattern = 0xB5, HighPattern = 0xD3;

    /// <summary>That many bytes of a pattern one behind another are no accident.</summary>
    private const int LeakSize = 4;

    private readonly List<(ulong Start, ulong Length)> _reservations = [];
    private readonly List<(ulong Start, int Length, byte Pattern)> _regions = [];

    /// <exception cref="IOException">The process uses the address ranges.</exception>
    public HostCanary()
    {
        Reserve(Layout.ReservedStart, Low + Size + Layout.PageSize);
        Reserve(Layout.HighReservedStart, Layout.HighReservedEnd);
        Reserve(High - Layout.PageSize, High + Size + Layout.PageSize);
        Add(Low, Size, LowPattern);
        Add(High, Size, HighPattern);
        foreach (Window window in Layout.Windows)
        {
            Add(window.Start, window.Size, WindowPattern);
        }
    }

    /// <summary>Tells what was written to since the last call, and fills it anew.</summary>
    /// <returns>Null when nothing was.</returns>
    public string? Check()
    {
        string? found = null;
        foreach ((ulong start, int length, byte pattern) in _regions)
        {
            Span<byte> region = new((byte*)start, length);
            int at = region.IndexOfAnyExcept(pattern);
            if (at >= 0)
            {
                found ??= $"memory of the host was written to: at 0x{start + (ulong)at:x}";
                region.Fill(pattern);
            }
        }

        return found;
    }

    /// <summary>Looks for content of the host's memory in what a program leaves.</summary>
    /// <returns>Null when there is none.</returns>
    public static string? FindLeak(ref MachineSnapshot state, ReadOnlySpan<byte> memory)
    {
        ReadOnlySpan<byte> patterns = [LowPattern, HighPattern, WindowPattern];
        Span<byte> leak = stackalloc byte[LeakSize];
        fixed (MachineSnapshot* all = &state)
        {
            // SAFETY: the snapshot is a struct without references, and stays where it is.
            ReadOnlySpan<byte> registers = new(all, sizeof(MachineSnapshot));
            foreach (byte pattern in patterns)
            {
                leak.Fill(pattern);
                if (registers.IndexOf(leak) >= 0)
                {
                    return $"a register holds memory of the host: {pattern:x} {pattern:x} ...";
                }

                int at = memory.IndexOf(leak);
                if (at >= 0)
                {
                    return $"memory of the guest holds memory of the host: {pattern:x} {pattern:x} ... at 0x{Layout.AddressOf(at):x}";
                }
            }
        }

        return null;
    }

    public void Dispose()
    {
        foreach ((ulong start, ulong length) in _reservations)
        {
            Libc.Unmap(start, length);
        }
    }

    private void Reserve(ulong start, ulong end)
    {
        const int flags = Libc.MAP_FIXED_NOREPLACE | Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS | Libc.MAP_NORESERVE;
        Libc.Map(start, (int)(end - start), Libc.PROT_NONE, flags);
        _reservations.Add((start, end - start));
    }

    private void Add(ulong start, int length, byte pattern)
    {
        const int flags = Libc.MAP_FIXED | Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS;
        Libc.Map(start, length, Libc.PROT_READ | Libc.PROT_WRITE, flags);
        new Span<byte>((byte*)start, length).Fill(pattern);
        _regions.Add((start, length, pattern));
    }
}
