using Uml.Storage.Blocks;
using Uml.Storage.Files;

namespace Uml.Storage.Tests.Files;

/// <summary>A file that counts what is written to it. Requests one by one.</summary>
internal sealed class CountingFile(IImageFile file) : IImageFile
{
    private const int PageSize = 4096;

    private readonly HashSet<long> _pages = [];

    /// <summary>Bytes that were given to writes.</summary>
    public long WrittenBytes { get; private set; }

    /// <summary>Bytes of the pages that a host writes for them: each page once between two flushes, and all of it.</summary>
    public long PageBytes { get; private set; }

    public string Path => file.Path;

    public bool IsReadOnly => file.IsReadOnly;

    public bool WritesNeverWait => file.WritesNeverWait;

    public long GetLength() => file.GetLength();

    public void SetLength(long length) => file.SetLength(length);

    public ValueTask ReadAsync(long offset, BlockBuffers buffers) => file.ReadAsync(offset, buffers);

    public ValueTask WriteAsync(long offset, BlockBuffers buffers)
    {
        Count(offset, buffers.Length);
        return file.WriteAsync(offset, buffers);
    }

    public ValueTask FlushAsync()
    {
        _pages.Clear();
        return file.FlushAsync();
    }

    public ValueTask ZeroAsync(long offset, long length, bool mayDiscard) => file.ZeroAsync(offset, length, mayDiscard);

    public void Run(HostFileOperation operation, long offset, BlockBuffers buffers, long length)
    {
        if (operation == HostFileOperation.Write)
        {
            Count(offset, buffers.Length);
        }

        file.Run(operation, offset, buffers, length);
    }

    public void Dispose() => file.Dispose();

    private void Count(long offset, int length)
    {
        WrittenBytes += length;
        for (long page = offset / PageSize; page * PageSize < offset + length; page++)
        {
            PageBytes += _pages.Add(page) ? PageSize : 0;
        }
    }
}
