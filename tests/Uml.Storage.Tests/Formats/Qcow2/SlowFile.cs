using Uml.Storage.Blocks;
using Uml.Storage.Files;

namespace Uml.Storage.Tests.Formats.Qcow2;

/// <summary>A file some of whose writes wait until the test lets them go.</summary>
internal sealed class SlowFile(string path) : IImageFile
{
    private readonly HostFile _file = HostFile.Open(path, new HostFileMode());

    /// <summary>What writes that begin now wait for.</summary>
    public Task? Gate { get; set; }

    public string Path => _file.Path;

    public bool IsReadOnly => false;

    public bool WritesNeverWait => false;

    public long GetLength() => _file.GetLength();

    public void SetLength(long length) => _file.SetLength(length);

    public ValueTask ReadAsync(long offset, BlockBuffers buffers) => _file.ReadAsync(offset, buffers);

    public async ValueTask WriteAsync(long offset, BlockBuffers buffers)
    {
        await (Gate ?? Task.CompletedTask);
        await _file.WriteAsync(offset, buffers);
    }

    public ValueTask FlushAsync() => _file.FlushAsync();

    public ValueTask ZeroAsync(long offset, long length, bool mayDiscard) => _file.ZeroAsync(offset, length, mayDiscard);

    public void Run(HostFileOperation operation, long offset, BlockBuffers buffers, long length) => _file.Run(operation, offset, buffers, length);

    public void Dispose() => _file.Dispose();
}
