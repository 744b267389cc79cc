using Uml.Storage.Blocks;

namespace Uml.Storage.Tests.Formats;

/// <summary>An open image, and what it has to have.</summary>
/// <param name="image">The image, which is made.</param>
/// <param name="folder">Where.</param>
/// <param name="contents">What the disk has.</param>
internal sealed class ModelledDisk(ModelledImage image, TemporaryFolder folder, byte[] contents) : IAsyncDisposable
{
    private IBlockDevice _device = image.Open(folder);

    public ModelContents Contents { get; } = new(contents);

    /// <summary>Carries out a request, if the device has such.</summary>
    public async Task RunAsync(ModelRequest request)
    {
        if (ModelRequest.IsPossible(request.Kind, _device))
        {
            await request.RunAsync(_device);
            Contents.Apply(request);
        }
    }

    public async Task ResizeAsync(int sectors)
    {
        if (_device.GetCapability<IResizable>() is { } resizable)
        {
            await Contents.ResizeAsync(resizable, sectors);
        }
    }

    /// <summary>Closes the image, looks at it, and opens it again; it has the same before and after.</summary>
    public async Task ReopenAsync()
    {
        await Contents.CheckAsync(_device, "before it was closed");
        await _device.DisposeAsync();
        image.Check(folder, Contents);
        _device = image.Open(folder);
        await Contents.CheckAsync(_device, "when it was opened again");
    }

    public ValueTask DisposeAsync() => _device.DisposeAsync();
}
