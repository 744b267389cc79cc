using Microsoft.Win32.SafeHandles;
using Uml.Net.Frames;
using Uml.Net.Interop;
using Uml.Net.Transports.Descriptors;
using Uml.Net.Transports.Fd;

namespace Uml.Net.Tests.Transports;

/// <summary>Two sockets that are connected, and transports on them.</summary>
internal sealed class DescriptorPair : IAsyncDisposable
{
    private readonly SafeFileHandle _first, _second;
    private readonly List<INetTransport> _transports = [];

    public DescriptorPair(int kind)
    {
        (_first, _second) = HostSocket.OpenPair(kind);
    }

    public SafeFileHandle FirstDescriptor => _first;

    public INetTransport OpenFirst(Func<FdOptions, FdOptions>? change = null) => Open(_first, change);

    public INetTransport OpenSecond(Func<FdOptions, FdOptions>? change = null) => Open(_second, change);

    /// <summary>Sends a record from the second, where there is no transport.</summary>
    public void Send(byte[] record) =>
        Assert.That((int)Socket.Send(_second, record, record.Length, Socket.DoNotWait), Is.EqualTo(record.Length), "the host has no room for a record");

    public void CloseSecond() => _second.Dispose();

    public async ValueTask DisposeAsync()
    {
        foreach (INetTransport transport in _transports)
        {
            await transport.DisposeAsync();
        }

        _first.Dispose();
        _second.Dispose();
    }

    private INetTransport Open(SafeFileHandle descriptor, Func<FdOptions, FdOptions>? change)
    {
        FdOptions options = new() { Descriptor = (int)descriptor.DangerousGetHandle() };
        INetTransport transport = (change?.Invoke(options) ?? options).Open();
        _transports.Add(transport);
        return transport;
    }
}
