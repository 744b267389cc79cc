namespace Uml.Storage.Images;

/// <summary>
/// Stands between a tar reader and its archive: between two entries the reader takes what extended headers state (pax, and GNU's long
/// names) into memory, up to 2 GiB of it, and more than once. Here they have a megabyte.
/// </summary>
/// <param name="inner">The archive; left open.</param>
/// <param name="name">What messages call it.</param>
internal sealed class TarHeaderGuard(Stream inner, string name) : ForwardStream
{
    // Attributes of real files have some hundred bytes, names up to 4095; a limit of ours.
    private const int MaximumHeaderBytes = 1 << 20;
    private const int BlockBytes = 512;

    // POSIX.1-2017, pax, "ustar Interchange Format".
    private const int SizeOffset = 124;
    private const int SizeBytes = 12;
    private const int TypeOffset = 156;

    private long _left = long.MaxValue;

    /// <summary>The contents of an entry were read to their end; headers follow.</summary>
    public void BeginHeaders() => _left = MaximumHeaderBytes;

    /// <summary>Headers were read; the contents of an entry follow.</summary>
    public void EndHeaders() => _left = long.MaxValue;

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        if (_left == long.MaxValue)
        {
            return inner.Read(buffer);
        }

        if (buffer.Length > _left)
        {
            throw TooLarge();
        }

        int read = inner.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
        _left -= read;
        if (read == BlockBytes && IsExtended(buffer[TypeOffset]) && StatedSize(buffer.Slice(SizeOffset, SizeBytes)) > MaximumHeaderBytes)
        {
            throw TooLarge();
        }

        return read;
    }

    private static bool IsExtended(byte type) => type is (byte)'x' or (byte)'g' or (byte)'L' or (byte)'K';

    // Octal digits; GNU's binary numbers start with a set bit and are for sizes from 8 GiB on.
    private static ulong StatedSize(ReadOnlySpan<byte> field)
    {
        if (field[0] >= 0x80)
        {
            return ulong.MaxValue;
        }

        ulong size = 0;
        foreach (byte digit in field)
        {
            size = digit is >= (byte)'0' and <= (byte)'7' ? (size * 8) + digit - '0' : size;
        }

        return size;
    }

    private ImageContentException TooLarge() => new(
        $"The archive '{name}' has extended headers of more than {MaximumHeaderBytes} bytes before one entry; it is hostile or damaged: do not use it.");
}
