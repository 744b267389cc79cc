using System.Net.Sockets;
using Uml.Storage.Blocks;
using Uml.Storage.Nbd.Client;
using Uml.Storage.Nbd.Server;

namespace Uml.Storage.Tests.Nbd;

/// <summary>A server on a socket in a folder of the test's own, and clients of it.</summary>
internal sealed class NbdRig : IAsyncDisposable
{
    private readonly TemporaryFolder _folder = new();

    public NbdServer? Server { get; private set; }

    public string Socket => _folder["nbd.sock"];

    public Uri Uri => new($"nbd+unix:///disk?socket={Socket}");

    public TemporaryFolder Folder => _folder;

    public NbdServer Start(IBlockDevice device, Func<NbdServerOptions, NbdServerOptions>? change = null)
    {
        NbdServerOptions options = new() { EndPoint = new UnixDomainSocketEndPoint(Socket), Exports = [new NbdExport(device, "disk")] };
        return Server = NbdServer.Start(change?.Invoke(options) ?? options);
    }

    public async Task StopAsync()
    {
        await Server!.DisposeAsync();
        Server = null;
    }

    public Task<NbdBlockDevice> ConnectAsync(NbdClientOptions? options = null) => NbdBlockDevice.ConnectAsync(Uri, options);

    public async ValueTask DisposeAsync()
    {
        if (Server is not null)
        {
            await Server.DisposeAsync();
        }

        _folder.Dispose();
    }
}
