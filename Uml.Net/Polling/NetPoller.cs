using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Uml.Net.Frames;
using Uml.Net.Interop;

namespace Uml.Net.Polling;

/// <summary>
/// Waits for descriptors of the host with one thread (epoll(7)), for any number of transports. Whoever waits for one continues on that thread, and
/// gives it back soon.
/// </summary>
// SAFETY: the events are on the poller's stack for the call.
public sealed unsafe class NetPoller : IDisposable
{
    private const int MaximumEvents = 64;

    private readonly SafeFileHandle _poller;
    private readonly SafeFileHandle _stop;
    private readonly Thread _thread;
    private readonly Lock _lock = new();
    private readonly Dictionary<ulong, PolledDescriptor> _descriptors = [];
    private ulong _lastKey;
    private bool _isDisposed;

    /// <summary>Starts the thread.</summary>
    /// <param name="name">The name of the thread.</param>
    /// <exception cref="NetTransportException">The host has no descriptors left, or is none of Linux.</exception>
    public NetPoller(string name)
    {
        if (!OperatingSystem.IsLinux())
        {
            throw new NetTransportException("This network transport needs a host with Linux: use one that runs within the process.");
        }

        _poller = new SafeFileHandle(Epoll.Create(Epoll.CloseOnExec), ownsHandle: true);
        _stop = new SafeFileHandle(_poller.IsInvalid ? -1 : Epoll.EventDescriptor(0, Epoll.CloseOnExec | Epoll.EventNonBlocking), ownsHandle: true);
        if (_stop.IsInvalid || !TryAdd(_stop, Epoll.In, key: 0))
        {
            string reason = new Win32Exception(Marshal.GetLastPInvokeError()).Message;
            _poller.Dispose();
            _stop.Dispose();
            throw new NetTransportException($"The host gives no descriptors to wait for a network with ({reason}): raise the limit (ulimit -n).");
        }

        _thread = new Thread(Run, 256 << 10) { IsBackground = true, Name = name };
        _thread.Start();
    }

    /// <summary>Begins to wait for a descriptor.</summary>
    /// <param name="descriptor">The descriptor, which must not block.</param>
    /// <exception cref="NetTransportException">The host cannot wait for it.</exception>
    internal PolledDescriptor Add(SafeHandle descriptor)
    {
        PolledDescriptor polled;
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            polled = new PolledDescriptor(this, descriptor, ++_lastKey);
            _descriptors.Add(polled.Key, polled);
        }

        if (TryAdd(descriptor, Epoll.In | Epoll.Out | Epoll.ReadHangUp | Epoll.EdgeTriggered, polled.Key))
        {
            return polled;
        }

        int error = Marshal.GetLastPInvokeError();
        lock (_lock)
        {
            _descriptors.Remove(polled.Key);
        }

        throw new NetTransportException($"The host cannot wait for this descriptor ({new Win32Exception(error).Message}): use a socket, a pipe or a tap device.");
    }

    /// <summary>Ends the wait for a descriptor, before that is closed.</summary>
    internal void Remove(PolledDescriptor polled)
    {
        lock (_lock)
        {
            if (!_descriptors.Remove(polled.Key) || _isDisposed)
            {
                return;
            }

            EpollEvent unused = default;
            _ = Epoll.Control((int)_poller.DangerousGetHandle(), Epoll.Delete, (int)polled.Descriptor.DangerousGetHandle(), &unused);
        }
    }

    /// <summary>Ends all waits, with false, and the thread. Transports that use it are disposed of before.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_isDisposed)
            {
                return;
            }

            _isDisposed = true;
        }

        _ = Epoll.WriteEvent((int)_stop.DangerousGetHandle(), 1);
        if (Thread.CurrentThread != _thread)
        {
            _thread.Join();
        }
    }

    private bool TryAdd(SafeHandle descriptor, uint events, ulong key)
    {
        EpollEvent change = new() { Events = events, Data = key };
        return Epoll.Control((int)_poller.DangerousGetHandle(), Epoll.Add, (int)descriptor.DangerousGetHandle(), &change) == 0;
    }

    private void Run()
    {
        EpollEvent* events = stackalloc EpollEvent[MaximumEvents];
        while (true)
        {
            int count = Epoll.Wait((int)_poller.DangerousGetHandle(), events, MaximumEvents, timeout: -1);
            for (int i = 0; i < count; i++)
            {
                if (events[i].Data == 0)
                {
                    Finish();
                    return;
                }

                Find(events[i].Data)?.OnEvents(events[i].Events);
            }
        }
    }

    private PolledDescriptor? Find(ulong key)
    {
        lock (_lock)
        {
            return _descriptors.GetValueOrDefault(key);
        }
    }

    private void Finish()
    {
        PolledDescriptor[] left;
        lock (_lock)
        {
            left = [.. _descriptors.Values];
            _descriptors.Clear();
        }

        foreach (PolledDescriptor descriptor in left)
        {
            descriptor.Close();
        }

        _stop.Dispose();
        _poller.Dispose();
    }
}

/// <summary>A descriptor that a poller waits for, in both directions.</summary>
internal sealed class PolledDescriptor(NetPoller poller, SafeHandle descriptor, ulong key) : IDisposable
{
    public SafeHandle Descriptor => descriptor;

    public ulong Key => key;

    /// <summary>Set when there is something to be received, or the other end is gone.</summary>
    public NetSignal Readable { get; } = new(continueInline: true);

    /// <summary>Set when there is room to send.</summary>
    public NetSignal Writable { get; } = new(continueInline: true);

    public void OnEvents(uint events)
    {
        if ((events & (Epoll.In | Epoll.Error | Epoll.HangUp | Epoll.ReadHangUp)) != 0)
        {
            Readable.Set();
        }

        if ((events & (Epoll.Out | Epoll.Error | Epoll.HangUp)) != 0)
        {
            Writable.Set();
        }
    }

    /// <summary>Ends all waits.</summary>
    public void Close()
    {
        Readable.Close();
        Writable.Close();
    }

    /// <summary>Ends all waits; the descriptor can be closed behind it.</summary>
    public void Dispose()
    {
        poller.Remove(this);
        Close();
    }
}
