using System.Buffers.Binary;
using System.Net.Sockets;
using Uml.Storage.Blocks;
using Uml.Storage.Nbd.Client;

namespace Uml.Storage.Tests.Nbd;

/// <summary>Clients that do what ours does not. Each test ends with one that is served as ever.</summary>
public sealed class NbdHostileClientTests
{
    private NbdRig _rig = null!;
    private readonly List<IDisposable> _sockets = [];

    [SetUp]
    public void MakeRig() => _rig = new NbdRig();

    [TearDown]
    public async Task DisposeRig()
    {
        _sockets.ForEach(socket => socket.Dispose());
        await _rig.DisposeAsync();
    }

    private static IEnumerable<TestCaseData> BadNegotiations()
    {
        yield return Case("unknown_flags", wire => wire.SendAsync(Wire.U32(0x80)));
        yield return Case("a_wrong_magic", wire => wire.SendAsync(Wire.U32(3), new byte[16]));
        yield return Case("a_huge_option", wire => wire.SendAsync(Wire.U32(3), Wire.Bytes("IHAVEOPT"), Wire.U32(3), Wire.U32(uint.MaxValue)));
        yield return Case("an_export_that_is_not_there", wire => wire.SendAsync(Wire.U32(3), Wire.Bytes("IHAVEOPT"), Wire.U32(1), Wire.U32(1), Wire.Bytes("x")));
        yield return Case("options_without_end", async wire =>
        {
            await wire.SendAsync(Wire.U32(3));
            for (int i = 0; i < 300; i++)
            {
                await wire.OptionAsync(99);
            }
        });
        yield return Case("leave", wire => wire.SendAsync(Wire.U32(3), Wire.Bytes("IHAVEOPT"), Wire.U32(2), Wire.U32(0)));

        static TestCaseData Case(string name, Func<Wire, Task> act) => new TestCaseData(act).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(BadNegotiations)), CancelAfter(60_000)]
    public async Task A_client_that_breaks_the_negotiation_is_disconnected(Func<Wire, Task> act)
    {
        _rig.Start(new MemoryBlockDevice(1 << 20));
        Wire wire = await ConnectAsync();
        await wire.TakeAsync(18);
        await ToEndAsync(wire, act);
        await AssertServesAsync();
    }

    [Test, CancelAfter(60_000)]
    public void A_defect_of_a_device_is_not_taken_for_an_error_of_the_client()
    {
        _rig.Start(new DefectiveDevice());
        Assert.That(async () => await _rig.ConnectAsync(), Throws.InstanceOf<IOException>());
        Assert.That(_rig.StopAsync, Throws.InvalidOperationException.With.Message.EqualTo("a defect"));
    }

    [Test, CancelAfter(60_000)]
    public async Task A_device_that_fails_in_its_own_way_fails_requests_alone()
    {
        DefectiveDevice device = new() { IsDefective = false };
        _rig.Start(device);
        await using NbdBlockDevice client = await _rig.ConnectAsync();
        device.IsDefective = true;
        Assert.That(async () => await client.ReadAsync(0, new byte[512]), Throws.InstanceOf<BlockIOException>());
        device.IsDefective = false;
        await client.ReadAsync(0, new byte[512]);
    }

    [Test, CancelAfter(60_000)]
    public async Task Options_that_are_wrong_are_answered_so()
    {
        _rig.Start(new MemoryBlockDevice(1 << 20));
        Wire wire = await ConnectAsync();
        await wire.TakeAsync(18);
        await wire.SendAsync(Wire.U32(3));
        Assert.That(await AskAsync(wire, 77), Is.EqualTo(0x8000_0001));
        Assert.That(await AskAsync(wire, 3, [0]), Is.EqualTo(0x8000_0003));
        Assert.That(await AskAsync(wire, 5), Is.EqualTo(0x8000_0002));
        Assert.That(await AskAsync(wire, 6), Is.EqualTo(0x8000_0003));
        Assert.That(await AskAsync(wire, 7, Wire.U32(uint.MaxValue), Wire.U16(0)), Is.EqualTo(0x8000_0003));
        Assert.That(await AskAsync(wire, 7, Wire.U32(4), Wire.Bytes("disk"), Wire.U16(9)), Is.EqualTo(0x8000_0003));
        Assert.That(await AskAsync(wire, 7, Wire.U32(1), Wire.Bytes("x"), Wire.U16(0)), Is.EqualTo(0x8000_0006));
        Assert.That(await AskAsync(wire, 6, Wire.U32(2), [0xFF, 0xFE], Wire.U16(0)), Is.EqualTo(0x8000_0006));
    }

    [Test, CancelAfter(60_000)]
    public async Task A_client_that_is_slow_to_negotiate_is_disconnected_and_holds_up_nobody()
    {
        _rig.Start(new MemoryBlockDevice(1 << 20), options => options with { HandshakeTimeout = TimeSpan.FromMilliseconds(300) });
        Wire wire = await ConnectAsync();
        await AssertServesAsync();
        Assert.That(await wire.TakeAllAsync(), Has.Length.EqualTo(18));
    }

    [Test, CancelAfter(60_000)]
    public async Task Connections_are_bounded()
    {
        _rig.Start(new MemoryBlockDevice(1 << 20), options => options with { MaximumConnections = 2 });
        Wire first = await ConnectAsync(), second = await ConnectAsync();
        await first.TakeAsync(18);
        await second.TakeAsync(18);
        Assert.That(await (await ConnectAsync()).TakeAllAsync(), Is.Empty);
        Assert.That(_rig.Server!.ConnectionCount, Is.EqualTo(2));
    }

    /// <summary>Requests, with type, offset, length and flags, and the error that they get on a device of 1 MiB.</summary>
    [TestCase(0, 1UL << 20, 512U, 0, 22U)]
    [TestCase(0, ulong.MaxValue - 511, 512U, 0, 22U)]
    [TestCase(0, 100UL, 512U, 0, 22U)]
    [TestCase(0, 0UL, 100U, 0, 22U)]
    [TestCase(0, 0UL, uint.MaxValue, 0, 22U)]
    [TestCase(0, 0UL, 512U, 2, 22U)]
    [TestCase(0, 0UL, 512U, 0x8000, 22U)]
    [TestCase(3, 512UL, 0U, 0, 22U)]
    [TestCase(4, 0UL, 2U << 20, 0, 28U)]
    [TestCase(6, 1UL << 20, 512U, 2, 28U)]
    [TestCase(6, 1UL, 512U, 0, 22U)]
    [TestCase(7, 0UL, 512U, 0, 22U)]
    [TestCase(99, 0UL, 0U, 0, 22U)]
    public async Task A_request_that_is_wrong_is_answered_so(int type, ulong offset, uint length, int flags, uint error)
    {
        _rig.Start(new MemoryBlockDevice(1 << 20));
        Wire wire = await BeginAsync();
        await wire.RequestAsync(type, 5, offset, length, flags);
        Assert.That(await TakeErrorAsync(wire, 5), Is.EqualTo(error));
        await wire.RequestAsync(0, 6, 0, 512);
        Assert.That(await TakeErrorAsync(wire, 6), Is.Zero);
    }

    [Test, CancelAfter(60_000)]
    public async Task A_write_to_what_is_read_only_is_refused()
    {
        _rig.Start(new MemoryBlockDevice(1 << 20, isReadOnly: true));
        Wire wire = await BeginAsync();
        await wire.RequestAsync(1, 5, 0, 512, 0, new byte[512]);
        Assert.That(await TakeErrorAsync(wire, 5), Is.EqualTo(1));
    }

    [Test, CancelAfter(60_000)]
    public async Task A_client_that_breaks_the_protocol_is_disconnected([Values("a wrong magic", "a write that is too large", "half a write")] string what)
    {
        _rig.Start(new MemoryBlockDevice(1 << 20), options => options with { MaximumRequestSize = 1 << 16 });
        Wire wire = await BeginAsync();
        switch (what)
        {
            case "a wrong magic": await wire.SendAsync(new byte[28]); break;
            case "a write that is too large": await wire.RequestAsync(1, 5, 0, (1 << 16) + 512); break;
            default:
                await wire.RequestAsync(1, 5, 0, 4096, 0, new byte[4095]);
                ((NetworkStream)wire.Stream).Socket.Shutdown(SocketShutdown.Send);
                break;
        }

        Assert.That(await wire.TakeAllAsync(), Is.Empty);
        await AssertServesAsync();
    }

    [Test, CancelAfter(60_000)]
    public async Task A_client_that_takes_no_replies_holds_up_nobody_and_not_the_servers_end()
    {
        _rig.Start(new MemoryBlockDevice(1 << 20), options => options with { MaximumRequestSize = 1 << 16, MaximumRequests = 4 });
        Wire wire = await BeginAsync();
        for (int i = 0; i < 200; i++)
        {
            await wire.RequestAsync(0, (ulong)i, 0, 1 << 16);
        }

        await AssertServesAsync();
        await _rig.StopAsync();
    }

    [Test, CancelAfter(60_000)]
    public async Task A_client_that_goes_while_the_device_works_leaves_it_to_end()
    {
        TaskCompletionSource gate = new();
        VolatileDevice disk = new(1 << 20) { Gate = gate.Task };
        _rig.Start(disk);
        Wire wire = await BeginAsync();
        await wire.RequestAsync(1, 5, 0, 512, 0, new byte[512]);
        await wire.RequestAsync(0, 6, 0, 512);
        await Task.Delay(100);
        await wire.Stream.DisposeAsync();
        Task stop = _rig.StopAsync();
        Assert.That(stop.IsCompleted, Is.False);
        gate.SetResult();
        await stop;
        Assert.That(disk.Writes, Is.EqualTo(1));
    }

    [Test, CancelAfter(60_000)]
    public async Task A_disconnect_is_answered_when_all_is_done()
    {
        VolatileDevice disk = new(1 << 20);
        _rig.Start(disk);
        Wire wire = await BeginAsync();
        for (ulong i = 0; i < 20; i++)
        {
            await wire.RequestAsync(1, i, i * 512, 512, 1, new byte[512]);
        }

        await wire.RequestAsync(2, 0, 0, 0);
        Assert.That(await wire.TakeAllAsync(), Has.Length.EqualTo(20 * 16));
        Assert.That(disk.Flushes, Is.EqualTo(20));
    }

    private async Task<Wire> ConnectAsync()
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        _sockets.Add(socket);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(_rig.Socket));
        return new Wire(new NetworkStream(socket, ownsSocket: true));
    }

    /// <returns>A connection in the transmission phase, with simple replies.</returns>
    private async Task<Wire> BeginAsync()
    {
        Wire wire = await ConnectAsync();
        await wire.TakeAsync(18);
        await wire.SendAsync(Wire.U32(3));
        await wire.OptionAsync(1, Wire.Bytes("disk"));
        byte[] answer = await wire.TakeAsync(10);
        Assert.That(BinaryPrimitives.ReadInt64BigEndian(answer), Is.EqualTo(1 << 20));
        return wire;
    }

    private static async Task<uint> AskAsync(Wire wire, uint option, params byte[][] data)
    {
        await wire.OptionAsync(option, data);
        byte[] reply = await wire.TakeAsync(20);
        Assert.That(BinaryPrimitives.ReadUInt32BigEndian(reply.AsSpan(8)), Is.EqualTo(option));
        await wire.TakeAsync((int)BinaryPrimitives.ReadUInt32BigEndian(reply.AsSpan(16)));
        return BinaryPrimitives.ReadUInt32BigEndian(reply.AsSpan(12));
    }

    /// <summary>Takes a reply, and the 512 bytes behind it when it is to a read.</summary>
    private static async Task<uint> TakeErrorAsync(Wire wire, ulong cookie)
    {
        byte[] reply = await wire.TakeAsync(16);
        Assert.That((BinaryPrimitives.ReadUInt32BigEndian(reply), BinaryPrimitives.ReadUInt64BigEndian(reply.AsSpan(8))), Is.EqualTo((0x6744_6698U, cookie)));
        uint error = BinaryPrimitives.ReadUInt32BigEndian(reply.AsSpan(4));
        await wire.TakeAsync(error == 0 ? 512 : 0);
        return error;
    }

    private static async Task ToEndAsync(Wire wire, Func<Wire, Task> act)
    {
        try
        {
            await act(wire);
            await wire.TakeAllAsync();
        }
        catch (IOException)
        {
            // Disconnected while it was still talking.
        }
    }

    private async Task AssertServesAsync()
    {
        await using NbdBlockDevice device = await _rig.ConnectAsync();
        await device.WriteAsync(0, new byte[512]);
        await device.ReadAsync(0, new byte[512]);
    }

    private sealed class DefectiveDevice : IBlockDevice
    {
        public bool IsDefective { get; set; } = true;

        public long Length => IsDefective ? throw new InvalidOperationException("a defect") : 1 << 20;

        public bool IsReadOnly => false;

        public BlockLimits Limits => BlockLimits.Default;

        public ValueTask ReadAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default) => default;

        public ValueTask WriteAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default) => default;

        public ValueTask DisposeAsync() => default;
    }
}
