using System.Net.Sockets;
using Uml.Storage.Blocks;

namespace DiskImages;

/// <summary>The socket of a server that was killed, which would keep the next one from listening.</summary>
internal static class StaleSocket
{
    /// <summary>Removes a socket that nobody listens on. What is no socket is left alone: the server refuses to listen there.</summary>
    /// <param name="path">The socket.</param>
    /// <exception cref="DiskImageException">A server listens on it.</exception>
    public static void Remove(string path)
    {
        if (!File.Exists(path))
        {
            return;
        }

        using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused && IsSocket(path))
        {
            File.Delete(path);
            return;
        }
        catch (SocketException e)
        {
            throw new DiskImageException($"'{path}' is there and is no socket of a server that has ended: {e.Message}. Name another socket, or delete it.", e);
        }

        throw new DiskImageException($"A server listens on '{path}' already. Name another socket, or end that server.");
    }

    /// <summary>A connection to a file of another kind is refused as well; of them only a socket cannot be opened.</summary>
    private static bool IsSocket(string path)
    {
        try
        {
            // Both ways, since a pipe would wait for its other end.
            File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite).Dispose();
            return false;
        }
        catch (UnauthorizedAccessException)
        {
            return false;
        }
        catch (IOException)
        {
            // ENXIO: no such device or address.
            return true;
        }
    }
}
