using Microsoft.Win32.SafeHandles;
using Uml.Storage.FileSystems.Trees;

namespace Uml.Storage.FileSystems.Sources;

/// <summary>Contents that come as a stream are kept in one temporary file until the image is written.</summary>
internal sealed class SpoolFile : IDisposable
{
    // Without a buffer, because parts are read through the handle.
    private readonly FileStream _file = new(
        Path.Combine(Path.GetTempPath(), $"uml-{Guid.NewGuid():n}"), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, bufferSize: 0, FileOptions.DeleteOnClose);

    /// <summary>Copies a stream to its end.</summary>
    /// <param name="stream">The contents.</param>
    public FileContent Add(Stream stream)
    {
        long start = _file.Position;
        stream.CopyTo(_file);
        return new Part(_file, start, _file.Position - start);
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private sealed class Part(FileStream file, long start, long length) : FileContent(length)
    {
        private readonly SafeFileHandle _handle = file.SafeFileHandle;

        public override void Read(long offset, Span<byte> buffer)
        {
            while (!buffer.IsEmpty)
            {
                int count = RandomAccess.Read(_handle, buffer, start + offset);
                if (count == 0)
                {
                    throw new EndOfStreamException("The temporary file with the contents of packages has become shorter.");
                }

                offset += count;
                buffer = buffer[count..];
            }
        }
    }
}
