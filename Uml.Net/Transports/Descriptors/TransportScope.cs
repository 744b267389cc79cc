using System.Runtime.InteropServices;
using Uml.Net.Polling;

namespace Uml.Net.Transports.Descriptors;

/// <summary>What a transport has of the host, and gives back at its end, the last first.</summary>
internal sealed class TransportScope : IDisposable
{
    private readonly Stack<IDisposable> _owned = new();

    public TransportScope(NetPoller? poller)
    {
        Poller = poller ?? Own(new NetPoller("Uml network"));
    }

    public NetPoller Poller { get; }

    public T Own<T>(T resource)
        where T : IDisposable
    {
        _owned.Push(resource);
        return resource;
    }

    /// <summary>Begins to wait for a descriptor, which must not block and is owned already.</summary>
    public PolledDescriptor Poll(SafeHandle descriptor) => Own(Poller.Add(descriptor));

    public void Dispose()
    {
        lock (_owned)
        {
            while (_owned.TryPop(out IDisposable? resource))
            {
                resource.Dispose();
            }
        }
    }
}
