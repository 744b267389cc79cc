using SharpCompress.Compressors.BZip2;

namespace Uml.Storage.Images;

/// <summary>Unpacks a bzip2 file. The decoder is a library's, which indexes its tables with what it reads: that is an error of the data here.</summary>
/// <param name="input">The file; disposed with the reader.</param>
internal sealed class Bzip2Reader(Stream input) : ForwardStream
{
    private BZip2Stream? _decoder;

    public override int Read(byte[] buffer, int offset, int count)
    {
        try
        {
            _decoder ??= BZip2Stream.Create(input, SharpCompress.Compressors.CompressionMode.Decompress, decompressConcatenated: true);
            return _decoder.Read(buffer, offset, count);
        }
        catch (IndexOutOfRangeException e)
        {
            throw new InvalidDataException("the bzip2 data leads outside of the decoder's tables.", e);
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _decoder?.Dispose();
            input.Dispose();
        }

        base.Dispose(disposing);
    }
}
