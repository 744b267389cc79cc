using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Uml.PowerCuts.Tests;

/// <summary>
/// What is written, by whom and where: a record for each number, whose place and contents follow from the number and the seed, so that whoever
/// reads the disk later knows what it may have. Each sector of a record tells of itself, since a power cut tears records.
/// </summary>
internal sealed class RecordPlan(ulong seed)
{
    public const int RecordLength = 4096, SectorLength = 512, Slots = 1024;
    public const long DiskLength = (long)Slots * RecordLength;

    private const ulong Magic = 0x6472_6F63_6572_6C6D;
    private const int NumberAt = 8, PlaceAt = 16, BodyAt = 24, HashAt = SectorLength - sizeof(ulong);

    /// <summary>Where a record goes.</summary>
    public long GetOffset(long number) => GetSlot(number) * RecordLength;

    public long GetSlot(long number) => (long)(Mix(number, 1) % Slots);

    /// <summary>Whether a record is zeroes, written as such.</summary>
    public bool IsZeroes(long number) => Mix(number, 2) % 10 == 0;

    /// <summary>The bytes of a record.</summary>
    public void Fill(long number, Span<byte> record)
    {
        record.Clear();
        if (IsZeroes(number))
        {
            return;
        }

        for (int at = 0; at < record.Length; at += SectorLength)
        {
            Span<byte> sector = record.Slice(at, SectorLength);
            BinaryPrimitives.WriteUInt64LittleEndian(sector, Magic);
            BinaryPrimitives.WriteInt64LittleEndian(sector[NumberAt..], number);
            BinaryPrimitives.WriteInt64LittleEndian(sector[PlaceAt..], GetOffset(number) + at);
            for (int word = BodyAt; word < HashAt; word += sizeof(ulong))
            {
                BinaryPrimitives.WriteUInt64LittleEndian(sector[word..], Mix(number, word + at));
            }

            BinaryPrimitives.WriteUInt64LittleEndian(sector[HashAt..], Hash(sector[..HashAt]));
        }
    }

    /// <summary>Reads a sector.</summary>
    /// <param name="sector">The bytes.</param>
    /// <param name="offset">Where on the disk.</param>
    /// <returns>The number of its record; 0 for zeroes; -1 for what no record has there.</returns>
    public static long Read(ReadOnlySpan<byte> sector, long offset)
    {
        if (!sector.ContainsAnyExcept((byte)0))
        {
            return 0;
        }

        bool isRecord = BinaryPrimitives.ReadUInt64LittleEndian(sector) == Magic && BinaryPrimitives.ReadInt64LittleEndian(sector[PlaceAt..]) == offset
            && BinaryPrimitives.ReadUInt64LittleEndian(sector[HashAt..]) == Hash(sector[..HashAt]);
        return isRecord ? BinaryPrimitives.ReadInt64LittleEndian(sector[NumberAt..]) : -1;
    }

    private static ulong Hash(ReadOnlySpan<byte> bytes)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(bytes, hash);
        return BinaryPrimitives.ReadUInt64LittleEndian(hash);
    }

    /// <summary>SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014).</summary>
    private ulong Mix(long number, int salt)
    {
        ulong z = unchecked(seed + ((((ulong)number << 13) + (ulong)salt + 1) * 0x9e3779b97f4a7c15));
        z = unchecked((z ^ (z >> 30)) * 0xbf58476d1ce4e5b9);
        z = unchecked((z ^ (z >> 27)) * 0x94d049bb133111eb);
        return z ^ (z >> 31);
    }
}
