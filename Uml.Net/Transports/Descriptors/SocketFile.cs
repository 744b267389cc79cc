using System.Runtime.InteropServices;

namespace Uml.Net.Transports.Descriptors;

/// <summary>The file that a Unix socket is bound to, which is deleted with it.</summary>
internal sealed class SocketFile : IDisposable
{
    private readonly string _path;

    private SocketFile(string path)
    {
        _path = path;
    }

    /// <summary>Binds a socket to a path, or to an abstract name, which leaves no file.</summary>
    public static void Bind(TransportScope scope, SafeHandle socket, string path)
    {
        HostSocket.Bind(socket, HostAddress.Unix(path), $"'{path}'");
        if (path[0] != '@')
        {
            scope.Own(new SocketFile(path));
        }
    }

    public void Dispose() => File.Delete(_path);
}
