using Uml.Differential.Tests.Native;

namespace Uml.Differential.Tests.Engines;

/// <summary>
/// Memory of the host at addresses that test programs have in their registers, filled with a pattern: what a program that gets out of its
/// guest would overwrite, or bring back. At the guest's own addresses lie windows of the host's, at others pages of which the guest has
/// none; pages that nobody may access are around them.
/// </summary>
internal sealed unsafe class HostCanary : IDisposable
{
    /// <summary>Addresses that are the host's alone, within reach of 32-bit addresses and beyond, below where the library puts its own memory.</summary>
    public const ulong Low = 0x7100_0000, High = 0x0A5A_5000_0000;

    /// <summary>Bytes at <see cref="Low"/> and at <see cref="High"/>.</summary>
    public const int Size = 2 * Layout.PageSize;

    /// <summary>What repeats in the pattern. Two bytes of it one behind the other may be an accident, four are not.</summary>
    private static readonly byte[] s_word = [0x9B, 0x35, 0xE7, 0x5C];

    private static readonly byte[] s_pattern = [.. Enumerable.Range(0, Layout.MemorySize).Select(i => s_word[i % s_word.Length])];

    private readonly List<(ulong Start, ulong Length)> _reservations = [];
    private readonly List<(ulong Start, int Length)> _regions = [];

    /// <exception cref="IOException">The process uses the address ranges.</exception>
    public HostCanary()
    {
        Reserve(Layout.ReservedStart, Low + Size + Layout.PageSize);
        Reserve(Layout.HighReservedStart, Layout.HighReservedEnd);
        Reserve(High - Layout.PageSize, High + Size + Layout.PageSize);
        Add(Low, Size);
        Add(High, Size);
        foreach (Window window in Layout.Windows)
        {
            Add(window.Start, window.Size);
        }
    }

    /// <summary>Tells what was written to since the last call, and fills it anew.</summary>
    /// <returns>Null when nothing was.</returns>
    public string? Check()
    {
        string? found = null;
        foreach ((ulong start, int length) in _regions)
        {
            Span<byte> region = new((byte*)start, length);
            int same = CountUntouched(region);
            if (same != length)
            {
                found ??= $"memory of the host was written to: at 0x{start + (ulong)same:x}";
                Fill(region);
            }
        }

        return found;
    }

    /// <summary>Fills memory with the pattern; <see cref="Layout.MemorySize"/> bytes at most.</summary>
    public static void Fill(Span<byte> memory) => s_pattern.AsSpan(0, memory.Length).CopyTo(memory);

    /// <summary>Bytes before the first that is not the pattern's any more.</summary>
    public static int CountUntouched(ReadOnlySpan<byte> memory) => memory.CommonPrefixLength(s_pattern);

    /// <summary>Looks for content of the host's memory in what a program leaves.</summary>
    /// <returns>Null when there is none.</returns>
    public static string? FindLeak(ref MachineSnapshot state, ReadOnlySpan<byte> memory)
    {
        fixed (MachineSnapshot* all = &state)
        {
            // SAFETY: the snapshot is a struct without references, and stays where it is.
            ReadOnlySpan<byte> registers = new(all, sizeof(MachineSnapshot));
            for (int i = 0; i < s_word.Length; i++)
            {
                ReadOnlySpan<byte> leak = s_pattern.AsSpan(i, s_word.Length);
                if (registers.IndexOf(leak) >= 0)
                {
                    return "a register holds memory of the host";
                }

                int at = memory.IndexOf(leak);
                if (at >= 0)
                {
                    return $"memory of the guest holds memory of the host: at 0x{Layout.AddressOf(at):x}";
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

    private void Add(ulong start, int length)
    {
        const int flags = Libc.MAP_FIXED | Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS;
        Libc.Map(start, length, Libc.PROT_READ | Libc.PROT_WRITE, flags);
        Fill(new Span<byte>((byte*)start, length));
        _regions.Add((start, length));
    }
}
