using System.Security.Cryptography;

namespace Uml.Net.InProcess;

/// <summary>
/// Where the stations of a network are, by VLAN and address (IEEE 802.1Q, 8.8). Of bounded size: each address has few places it may stand at, and
/// takes the one that was longest not heard of. Which places is secret, so that a station cannot choose addresses to push another out.
/// </summary>
internal sealed class MacTable
{
    private const int Ways = 4;

    private readonly Entry[] _entries;
    private readonly ulong _secret;
    private readonly int _shift;

    /// <param name="size">Addresses that it holds at most: a power of two.</param>
    public MacTable(int size)
    {
        _entries = new Entry[size];
        Span<byte> secret = stackalloc byte[sizeof(ulong)];
        RandomNumberGenerator.Fill(secret);
        _secret = BitConverter.ToUInt64(secret) | 1;
        _shift = 64 - System.Numerics.BitOperations.Log2((uint)(size / Ways));
    }

    /// <summary>Addresses that it knows.</summary>
    public int Count { get; private set; }

    /// <summary>Makes a key of a VLAN's number and an address of six bytes, read as a big-endian number.</summary>
    public static ulong KeyOf(int vlan, ulong address) => (address << 12) | (uint)vlan;

    /// <summary>Notes where an address was heard from.</summary>
    public void Learn(ulong key, int port, long now)
    {
        Span<Entry> set = SetOf(key);
        int oldest = 0;
        for (int i = 0; i < set.Length; i++)
        {
            if (set[i].Key == key && set[i].IsUsed)
            {
                (set[i].Port, set[i].Seen) = (port, now);
                return;
            }

            // A free place counts as the oldest of all.
            if (set[oldest].IsUsed && (!set[i].IsUsed || set[i].Seen < set[oldest].Seen))
            {
                oldest = i;
            }
        }

        Count += set[oldest].IsUsed ? 0 : 1;
        set[oldest] = new Entry { Key = key, Port = port, Seen = now, IsUsed = true };
    }

    /// <summary>The port that an address is behind.</summary>
    /// <param name="key">The address.</param>
    /// <param name="since">What was heard before counts no more.</param>
    /// <returns>-1 when it is not known.</returns>
    public int Find(ulong key, long since)
    {
        foreach (ref Entry entry in SetOf(key))
        {
            if (entry.Key == key && entry.IsUsed)
            {
                return entry.Seen >= since ? entry.Port : -1;
            }
        }

        return -1;
    }

    /// <summary>Forgets what is behind a port.</summary>
    public void Forget(int port)
    {
        foreach (ref Entry entry in _entries.AsSpan())
        {
            if (entry.IsUsed && entry.Port == port)
            {
                entry = default;
                Count--;
            }
        }
    }

    private Span<Entry> SetOf(ulong key) => _entries.AsSpan(Ways * (int)(Mix(key) >> _shift), Ways);

    private ulong Mix(ulong key)
    {
        key = (key ^ (key >> 29) ^ _secret) * 0x9E37_79B9_7F4A_7C15;
        return (key ^ (key >> 32)) * _secret;
    }

    private struct Entry
    {
        public ulong Key;
        public long Seen;
        public int Port;
        public bool IsUsed;
    }
}
