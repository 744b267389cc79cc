using Uml.Net.Packets;
using Uml.Net.UserNet.Tcp;

namespace Uml.Net.Tests.UserNet;

/// <summary>A connection of the guest.</summary>
internal sealed class GuestTcp : ITcpOwner
{
    private readonly TestGuest _guest;
    private readonly TaskCompletionSource _connected = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _finished = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<TcpEnd> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private byte[] _toSend = [];
    private int _sent;
    private bool _finishes;

    public GuestTcp(TestGuest guest, InternetEndPoint local, InternetEndPoint remote)
    {
        (_guest, Local, Remote) = (guest, local, remote);
        Tcp = new TcpConnection(guest.Settings, this, (uint)Random.Shared.Next());
    }

    public InternetEndPoint Local { get; }

    public InternetEndPoint Remote { get; }

    public TcpConnection Tcp { get; }

    public bool IsGone { get; private set; }

    public MemoryStream Data { get; } = new();

    public Task Connected => _connected.Task.WaitAsync(TimeSpan.FromSeconds(20));

    public Task Finished => _finished.Task.WaitAsync(TimeSpan.FromSeconds(60));

    public Task<TcpEnd> Ended => _ended.Task.WaitAsync(TimeSpan.FromSeconds(60));

    public void Write(byte[] bytes, bool finish = false) => _guest.Do(() =>
    {
        (_toSend, _sent, _finishes) = (bytes, 0, finish);
        OnSendRoom();
    });

    public void Abort() => _guest.Do(() => Tcp.Abort(_guest.Now));

    public async Task<byte[]> ReadAsync(int count)
    {
        for (int i = 0; i < 2000; i++)
        {
            byte[] data = [];
            _guest.Do(() => data = Data.ToArray());
            if (data.Length >= count)
            {
                return data;
            }

            await Task.Delay(5);
        }

        throw new TimeoutException($"Got {Data.Length} of {count} bytes, {Tcp.State}");
    }

    public void OnConnected() => _connected.TrySetResult();

    public int OnData(FrameData data)
    {
        foreach (ReadOnlySpan<byte> span in data)
        {
            Data.Write(span);
        }

        return data.Length;
    }

    public void OnReceived()
    {
        while (Tcp.Received.Length != 0)
        {
            Memory<byte> piece = Tcp.Received.Read(0, int.MaxValue);
            Data.Write(piece.Span);
            Tcp.Consume(piece.Length, _guest.Now);
        }
    }

    public void OnPeerFinished() => _finished.TrySetResult();

    public void OnSendRoom()
    {
        while (_sent != _toSend.Length && Tcp.SendRoom != 0 && Tcp.Unacknowledged.GetTail() is { IsEmpty: false } tail)
        {
            int part = Math.Min(tail.Length, _toSend.Length - _sent);
            _toSend.AsMemory(_sent, part).CopyTo(tail);
            Tcp.Unacknowledged.Extend(part);
            _sent += part;
        }

        if (_finishes && _sent == _toSend.Length)
        {
            Tcp.Finish(_guest.Now);
        }

        Tcp.OnWritten(_guest.Now);
    }

    public void OnEnded(TcpEnd end)
    {
        _ended.TrySetResult(end);
        _connected.TrySetException(new IOException(end.ToString()));
        _ = _connected.Task.Exception;
        _finished.TrySetResult();
    }

    public void OnGone() => IsGone = true;

    public void OnOutput()
    {
    }

    public void OnDeadline()
    {
    }
}
