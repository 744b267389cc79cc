using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;

namespace Uml.Storage.Tests.Nbd;

/// <summary>A server that says what a test wants, in the bytes of doc/proto.md, to each client that comes.</summary>
internal sealed class ScriptedServer : IAsyncDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly Task _run;

    public ScriptedServer(Func<Wire, Task> script)
    {
        _listener.Bind(new UnixDomainSocketEndPoint(Path));
        _listener.Listen();
        _run = RunAsync(script);
    }

    public string Path => _folder["nbd.sock"];

    public int Connections { get; private set; }

    public async ValueTask DisposeAsync()
    {
        _listener.Dispose();
        await _run;
        _folder.Dispose();
    }

    /// <summary>The negotiation of a server that has all, up to the transmission phase.</summary>
    public static async Task AgreeAsync(Wire wire, long length = 1 << 20, ushort flags = 0x6D, bool isStructured = true)
    {
        await wire.SendAsync(Wire.Bytes("NBDMAGICIHAVEOPT"), Wire.U16(3));
        await wire.TakeAsync(4);
        (uint option, _) = await wire.TakeOptionAsync();
        Assert.That(option, Is.EqualTo(8));
        await wire.ReplyAsync(8, isStructured ? 1 : 0x8000_0001);
        (option, _) = await wire.TakeOptionAsync();
        Assert.That(option, Is.EqualTo(7));
        await wire.ReplyAsync(7, 3, Wire.U16(0), Wire.U64((ulong)length), Wire.U16(flags));
        await wire.ReplyAsync(7, 1);
    }

    private async Task RunAsync(Func<Wire, Task> script)
    {
        while (true)
        {
            try
            {
                using Socket client = await _listener.AcceptAsync();
                Connections++;
                using NetworkStream stream = new(client);
                await script(new Wire(stream));
            }
            catch (IOException)
            {
                // The client has had enough, which is what most scripts are for.
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }
}

/// <summary>Numbers and messages on a connection.</summary>
public sealed class Wire(Stream stream)
{
    public Stream Stream => stream;

    public static byte[] Bytes(string text) => Encoding.ASCII.GetBytes(text);

    public static byte[] U16(int value) => [(byte)(value >> 8), (byte)value];

    public static byte[] U32(uint value)
    {
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        return bytes;
    }

    public static byte[] U64(ulong value)
    {
        byte[] bytes = new byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, value);
        return bytes;
    }

    public async Task SendAsync(params byte[][] parts) => await stream.WriteAsync(parts.SelectMany(part => part).ToArray());

    public async Task<byte[]> TakeAsync(int count)
    {
        byte[] bytes = new byte[count];
        await stream.ReadExactlyAsync(bytes);
        return bytes;
    }

    /// <returns>The bytes until the other side closes the connection.</returns>
    public async Task<byte[]> TakeAllAsync()
    {
        using MemoryStream all = new();
        await stream.CopyToAsync(all);
        return all.ToArray();
    }

    public async Task<(uint Option, byte[] Data)> TakeOptionAsync()
    {
        byte[] header = await TakeAsync(16);
        return (BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(8)), await TakeAsync((int)BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(12))));
    }

    public Task ReplyAsync(uint option, uint reply, params byte[][] data) => SendAsync(
        [U64(0x0003_E889_0455_65A9), U32(option), U32(reply), U32((uint)data.Sum(part => part.Length)), .. data]);

    public Task OptionAsync(uint option, params byte[][] data) => SendAsync([Bytes("IHAVEOPT"), U32(option), U32((uint)data.Sum(part => part.Length)), .. data]);

    /// <returns>The cookie of a request without data.</returns>
    public async Task<(ushort Type, byte[] Cookie)> TakeRequestAsync()
    {
        byte[] header = await TakeAsync(28);
        return (BinaryPrimitives.ReadUInt16BigEndian(header.AsSpan(6)), header[8..16]);
    }

    public Task RequestAsync(int type, ulong cookie, ulong offset, uint length, int flags = 0, params byte[][] data) =>
        SendAsync([U32(0x2560_9513), U16(flags), U16(type), U64(cookie), U64(offset), U32(length), .. data]);

    public Task SimpleAsync(uint error, byte[] cookie, params byte[][] data) => SendAsync([U32(0x6744_6698), U32(error), cookie, .. data]);

    public Task ChunkAsync(bool isLast, int type, byte[] cookie, params byte[][] data) => SendAsync(
        [U32(0x668E_33EF), U16(isLast ? 1 : 0), U16(type), cookie, U32((uint)data.Sum(part => part.Length)), .. data]);
}
