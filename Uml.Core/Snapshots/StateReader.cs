using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;

namespace Uml.Core.Snapshots;

/// <summary>
/// Reads what a <see cref="StateWriter"/> wrote. The bytes may come from anyone: every member throws <see cref="StateFormatException"/>
/// where they end too early or say what cannot be.
/// </summary>
/// <param name="state">The bytes.</param>
/// <param name="owner">Whose state it is, for messages.</param>
public sealed class StateReader(ReadOnlyMemory<byte> state, string owner)
{
    private int _position;

    /// <summary>Bytes that were not read yet.</summary>
    public int Remaining => state.Length - _position;

    /// <summary>Reads the version that a state begins with.</summary>
    /// <param name="newest">The newest version that the caller knows; it knows all from 1 on.</param>
    public ushort ReadVersion(ushort newest)
    {
        ushort version = ReadUInt16();
        return version != StateWriter.NoState && version <= newest
            ? version
            : throw Invalid(sizeof(ushort), Text($"version {version} is not known; known are 1 to {newest}"));
    }

    /// <summary>Reads that there is no state.</summary>
    public void ReadNone()
    {
        ushort version = ReadUInt16();
        if (version != StateWriter.NoState)
        {
            throw Invalid(sizeof(ushort), Text($"there is a state of version {version} for a device that has none"));
        }
    }

    /// <summary>Reads a byte that is 0 or 1.</summary>
    public bool ReadBoolean() => ReadByte(0, 1) != 0;

    /// <summary>Reads a byte.</summary>
    /// <param name="minimum">The least value it may have.</param>
    /// <param name="maximum">The largest value it may have.</param>
    public byte ReadByte(byte minimum = 0, byte maximum = byte.MaxValue) => Check(Take(sizeof(byte))[0], minimum, maximum, sizeof(byte));

    /// <summary>Reads two bytes.</summary>
    /// <param name="minimum">The least value they may have.</param>
    /// <param name="maximum">The largest value they may have.</param>
    public ushort ReadUInt16(ushort minimum = 0, ushort maximum = ushort.MaxValue) =>
        Check(BinaryPrimitives.ReadUInt16LittleEndian(Take(sizeof(ushort))), minimum, maximum, sizeof(ushort));

    /// <summary>Reads four bytes.</summary>
    /// <param name="minimum">The least value they may have.</param>
    /// <param name="maximum">The largest value they may have.</param>
    public uint ReadUInt32(uint minimum = 0, uint maximum = uint.MaxValue) =>
        Check(BinaryPrimitives.ReadUInt32LittleEndian(Take(sizeof(uint))), minimum, maximum, sizeof(uint));

    /// <summary>Reads four bytes.</summary>
    /// <param name="minimum">The least value they may have.</param>
    /// <param name="maximum">The largest value they may have.</param>
    public int ReadInt32(int minimum = int.MinValue, int maximum = int.MaxValue) =>
        Check(BinaryPrimitives.ReadInt32LittleEndian(Take(sizeof(int))), minimum, maximum, sizeof(int));

    /// <summary>Reads eight bytes.</summary>
    /// <param name="minimum">The least value they may have.</param>
    /// <param name="maximum">The largest value they may have.</param>
    public ulong ReadUInt64(ulong minimum = 0, ulong maximum = ulong.MaxValue) =>
        Check(BinaryPrimitives.ReadUInt64LittleEndian(Take(sizeof(ulong))), minimum, maximum, sizeof(ulong));

    /// <summary>Reads eight bytes.</summary>
    /// <param name="minimum">The least value they may have.</param>
    /// <param name="maximum">The largest value they may have.</param>
    public long ReadInt64(long minimum = long.MinValue, long maximum = long.MaxValue) =>
        Check(BinaryPrimitives.ReadInt64LittleEndian(Take(sizeof(long))), minimum, maximum, sizeof(long));

    /// <summary>Reads as many bytes as there is room for.</summary>
    public void ReadBytes(Span<byte> destination) => Take(destination.Length).CopyTo(destination);

    /// <summary>Reads bytes that stand behind their number.</summary>
    /// <param name="maximumLength">The most there may be.</param>
    public ReadOnlySpan<byte> ReadBlob(int maximumLength) => Take(ReadInt32(0, maximumLength));

    /// <summary>Says that everything must have been read.</summary>
    public void End()
    {
        if (Remaining != 0)
        {
            throw Invalid(0, Text($"{Remaining} bytes are left over"));
        }
    }

    /// <summary>An error at the last value, for what only its reader can check.</summary>
    /// <param name="problem">What is wrong, with the numbers.</param>
    public StateFormatException Invalid(string problem) => Invalid(0, problem);

    private ReadOnlySpan<byte> Take(int count)
    {
        if (Remaining < count)
        {
            throw Invalid(0, Text($"of {count} bytes, {Remaining} are there"));
        }

        ReadOnlySpan<byte> taken = state.Span.Slice(_position, count);
        _position += count;
        return taken;
    }

    private TValue Check<TValue>(TValue value, TValue minimum, TValue maximum, int size)
        where TValue : struct, IBinaryInteger<TValue> => value >= minimum && value <= maximum
        ? value
        : throw Invalid(size, Text($"{value} is not one of {minimum} to {maximum}"));

    private StateFormatException Invalid(int before, string problem) =>
        new(Text($"The saved state of '{owner}' is not valid at byte {_position - before} of {state.Length}: {problem}."));

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
