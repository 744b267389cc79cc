using SharpCompress.Compressors.LZMA;
using Uml.Core.Boot.Payload;

namespace Uml.Storage.Images;

/// <summary>
/// Unpacks an xz file as packages and modules are packed: LZMA2 and no other filter. The decoder is a library's; the container is read
/// here, because the library would trust the dictionary size in it, up to 4 GiB.
/// </summary>
/// <param name="input">The file; disposed with the reader.</param>
internal sealed class XzReader(Stream input) : ForwardStream
{
    // The largest that a preset of xz asks for (xz(1), -9).
    private const long MaximumDictionaryBytes = 64L << 20;

    private readonly BoundedStream _input = new(input, long.MaxValue, onExceeded: null, leaveOpen: false);
    private LzmaStream? _block;
    private int? _checkBytes;
    private bool _hasEnded;

    public override int Read(byte[] buffer, int offset, int count)
    {
        while (count > 0 && !_hasEnded)
        {
            if (_block is null && !TryOpenBlock())
            {
                break;
            }

            int read = _block!.Read(buffer, offset, count);
            if (read > 0)
            {
                return read;
            }

            CloseBlock();
        }

        return 0;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _block?.Dispose();
            _input.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <summary>Begins the next block.</summary>
    /// <returns>False at the index, which ends the blocks; what follows it is not looked at.</returns>
    private bool TryOpenBlock()
    {
        _checkBytes ??= ReadStreamHeader();
        int first = _input.ReadByte();
        if (first <= 0)
        {
            _hasEnded = true;
            return first == 0 ? false : throw new EndOfStreamException("The xz data ends in the middle.");
        }

        byte[] header = new byte[XzFormat.BlockHeaderBytes((byte)first)];
        header[0] = (byte)first;
        _input.ReadExactly(header.AsSpan(1));
        XzBlockHeader block = XzFormat.ReadBlockHeader(header);
        if (block.X86Start is not null)
        {
            throw new InvalidDataException("it is packed with the x86 filter, which neither packages nor modules use.");
        }

        if (XzFormat.DictionaryBytes(block.DictionaryCode) > MaximumDictionaryBytes)
        {
            throw new InvalidDataException(
                $"it wants a dictionary of {XzFormat.DictionaryBytes(block.DictionaryCode)} bytes; the largest here is that of xz -9, {MaximumDictionaryBytes}.");
        }

        _block = LzmaStream.Create([block.DictionaryCode], _input, -1, -1, presetDictionary: null, isLzma2: true, leaveOpen: true);
        return true;
    }

    private void CloseBlock()
    {
        _block!.Dispose();
        _block = null;

        // Padding to a multiple of four bytes from the stream's start, then the checksum, which apt's signatures make needless.
        Span<byte> rest = stackalloc byte[(int)(-_input.Position & 3) + _checkBytes!.Value];
        _input.ReadExactly(rest);
    }

    private int ReadStreamHeader()
    {
        Span<byte> header = stackalloc byte[XzFormat.StreamHeaderBytes];
        _input.ReadExactly(header);
        return header is [0xfd, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0, ..]
            ? XzFormat.ReadStreamHeader(header).CheckBytes
            : throw new InvalidDataException("it does not start as xz data does.");
    }
}
