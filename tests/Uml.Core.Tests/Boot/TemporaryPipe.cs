using System.Diagnostics;

namespace Uml.Core.Tests.Boot;

/// <summary>A FIFO in the host's directory for temporary files.</summary>
internal sealed class TemporaryPipe : IDisposable
{
    private TemporaryPipe(string path) => Path = path;

    public string Path { get; }

    public static async Task<TemporaryPipe> CreateAsync(CancellationToken token)
    {
        string path = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"uml-{Guid.NewGuid():n}");
        using Process make = Process.Start("mkfifo", path);
        await make.WaitForExitAsync(token);
        return new TemporaryPipe(path);
    }

    public void Dispose() => File.Delete(Path);
}
