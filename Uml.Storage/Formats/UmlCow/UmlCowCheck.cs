using System.Numerics;
using Uml.Storage.Blocks;
using Uml.Storage.Files;

namespace Uml.Storage.Formats.UmlCow;

/// <summary>Looks a copy-on-write file over: its bitmap, and whether the file has the data that the bitmap promises.</summary>
internal sealed class UmlCowCheck
{
    private const int PieceSize = 64 << 10;

    private readonly HostFile _file;

    private UmlCowCheck(HostFile file, UmlCowHeader header) => (_file, Header) = (file, header);

    public UmlCowHeader Header { get; }

    /// <summary>Sectors that the file has.</summary>
    public long PresentSectors { get; private set; }

    /// <summary>The last of them; -1 when there is none.</summary>
    public long LastSector { get; private set; } = -1;

    /// <summary>Bits of the last byte of the bitmap that stand for no sector and are set.</summary>
    public int StrayBits { get; private set; }

    /// <summary>Bytes of data that the bitmap promises and that lie beyond the end of the file.</summary>
    public long MissingBytes => Math.Max(0, Header.DataOffset + ((LastSector + 1) * Header.SectorSize) - _file.GetLength());

    /// <summary>Reads all of the bitmap.</summary>
    /// <exception cref="DiskImageException">The header is damaged.</exception>
    /// <exception cref="BlockIOException">The file could not be read.</exception>
    public static UmlCowCheck Run(HostFile file, CancellationToken cancellationToken)
    {
        UmlCowCheck check = new(file, UmlCowImage.ReadHeader(file));
        byte[] piece = new byte[PieceSize];
        for (long start = 0; start < check.Header.BitmapLength; start += PieceSize)
        {
            cancellationToken.ThrowIfCancellationRequested();
            int length = (int)Math.Min(PieceSize, check.Header.BitmapLength - start);
            file.Run(HostFileOperation.Read, check.Header.BitmapOffset + start, piece.AsMemory(0, length), 0);
            check.Count(start, piece.AsSpan(0, length));
        }

        return check;
    }

    /// <summary>Clears bits that stand for nothing, and has the file end where its data would. What was missing reads as zeroes.</summary>
    /// <exception cref="BlockIOException">The file could not be written.</exception>
    public void Repair()
    {
        if (StrayBits != 0)
        {
            long last = Header.BitmapOffset + Header.BitmapLength - 1;
            byte[] bits = new byte[1];
            _file.Run(HostFileOperation.Read, last, bits, 0);
            bits[0] &= (byte)((1 << (int)(Header.SectorCount % 8)) - 1);
            _file.Run(HostFileOperation.Write, last, bits, 0);
        }

        if (MissingBytes != 0)
        {
            _file.SetLength(Header.DataOffset + (Header.SectorCount * Header.SectorSize));
        }

        _file.Run(HostFileOperation.Flush, 0, default, 0);
    }

    private void Count(long start, Span<byte> bytes)
    {
        if (start + bytes.Length == Header.BitmapLength && Header.MappedSectors < Header.BitmapLength * 8)
        {
            int valid = (1 << (int)(Header.SectorCount % 8)) - 1;
            StrayBits = BitOperations.PopCount((uint)(bytes[^1] & ~valid));
            bytes[^1] &= (byte)valid;
        }

        int last = bytes.LastIndexOfAnyExcept((byte)0);
        if (last < 0)
        {
            return;
        }

        LastSector = ((start + last) * 8) + BitOperations.Log2(bytes[last]);
        foreach (byte value in bytes)
        {
            PresentSectors += BitOperations.PopCount(value);
        }
    }
}
