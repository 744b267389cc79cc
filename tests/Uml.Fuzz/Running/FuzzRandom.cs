using System.Buffers.Binary;

namespace Uml.Fuzz.Running;

/// <summary>Random numbers as attackers like them. The same on every host and runtime for the same seed.</summary>
internal sealed class FuzzRandom(ulong seed)
{
    private static readonly ulong[] _nasty =
    [
        0, 1, 2, 3, 4, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0xfff, 0x1000, 0x7fff, 0x8000, 0xffff, 0x10000, 0xfffff, 0x100000, 0x7fff_ffff,
        0x8000_0000, 0xffff_f000, 0xffff_ffff, 0x1_0000_0000, 0x7fff_ffff_ffff, 0x8000_0000_0000, 0x7fff_ffff_ffff_ffff,
        0x8000_0000_0000_0000, 0xffff_8000_0000_0000, 0xffff_ffff_8000_0000, 0xffff_ffff_ffff_f000, 0xffff_ffff_ffff_ffff,
    ];

    private ulong _index;

    public ulong UInt64() => Seeds.Derive(seed, _index++);

    /// <summary>A number below the limit, which is at least 1.</summary>
    public int Below(int limit) => (int)(UInt64() % (uint)limit);

    /// <summary>True once in so many times.</summary>
    public bool OneIn(int times) => Below(times) == 0;

    public T Pick<T>(IReadOnlyList<T> choices) => choices[Below(choices.Count)];

    /// <summary>A number that parsers trip over: an edge of a type, near one, small, or any.</summary>
    public ulong Nasty() => Below(4) switch
    {
        0 => _nasty[Below(_nasty.Length)],
        1 => unchecked(_nasty[Below(_nasty.Length)] + (ulong)(long)(Below(9) - 4)),
        2 => (ulong)Below(4096),
        _ => UInt64() >> Below(64),
    };

    public void Fill(Span<byte> bytes)
    {
        Span<byte> word = stackalloc byte[sizeof(ulong)];
        while (!bytes.IsEmpty)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(word, UInt64());
            int count = Math.Min(word.Length, bytes.Length);
            word[..count].CopyTo(bytes);
            bytes = bytes[count..];
        }
    }

    public byte[] Bytes(int count)
    {
        byte[] bytes = new byte[count];
        Fill(bytes);
        return bytes;
    }
}
