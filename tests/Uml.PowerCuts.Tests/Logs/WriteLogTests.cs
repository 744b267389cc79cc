using System.Buffers.Binary;
using System.Text;
using Uml.Storage.Blocks;

namespace Uml.PowerCuts.Tests.Logs;

public sealed class WriteLogTests
{
    private const int Sector = 512, Piece = 64 << 10;

    private TemporaryFolder _folder = null!;
    private MemoryBlockDevice _device = null!;
    private long _position, _count;

    [SetUp]
    public void MakeLog()
    {
        _folder = new TemporaryFolder();
        _device = new MemoryBlockDevice(16 << 20);
        (_position, _count) = (Sector, 0);
    }

    [TearDown]
    public async Task Dispose()
    {
        await _device.DisposeAsync();
        _folder.Dispose();
    }

    [Test]
    public async Task A_sound_file_system_is_sound_wherever_it_is_cut()
    {
        await AddFileSystemAsync("kept\nkept\nke");
        await AddAsync(WriteLogFlags.Flush);
        await AddAsync(WriteLogFlags.Mark, text: "file:kept:12");
        await AddAsync(WriteLogFlags.ForceUnitAccess, sector: 4000, data: new byte[Sector]);

        WriteLogReplay replay = await ReplayAsync();
        Assert.That((replay.Cuts, replay.Marks), Is.EqualTo((2, 1)));
    }

    [Test]
    public async Task A_file_system_that_needs_more_than_its_journal_is_told()
    {
        await AddFileSystemAsync("kept\n");
        byte[] noise = new byte[Piece];
        new Random(1).NextBytes(noise);
        await AddAsync(WriteLogFlags.None, sector: 8, data: noise);
        await AddAsync(WriteLogFlags.Flush);

        Assert.That(ReplayAsync, Throws.InstanceOf<InvalidDataException>().With.Message.Contains("damaged"));
    }

    [TestCase("file:kept:11", "damaged")]
    [TestCase("file:missing:5", "There are the files kept")]
    [TestCase("gone:kept", "and there have to be")]
    public async Task Files_that_are_not_as_a_mark_tells_are_told(string mark, string message)
    {
        await AddFileSystemAsync("kept\nkept\nke");
        await AddAsync(WriteLogFlags.Flush);
        await AddAsync(WriteLogFlags.Mark, text: mark);

        Assert.That(ReplayAsync, Throws.InstanceOf<InvalidDataException>().With.Message.Contains(message));
    }

    [Test]
    public async Task What_is_discarded_has_no_data_in_the_log()
    {
        await AddAsync(WriteLogFlags.None, sector: 1, data: [.. Enumerable.Repeat((byte)7, Sector)]);
        await AddAsync(WriteLogFlags.Discard, sector: 1, length: 1L << 30);
        await AddAsync(WriteLogFlags.Mark, text: "end");

        WriteLog log = await OpenAsync();
        List<WriteLogEntry> entries = [];
        await foreach (WriteLogEntry entry in log.ReadAsync())
        {
            entries.Add(entry);
        }

        Assert.That(entries.Select(entry => (entry.Offset, entry.Length, entry.Flags, entry.Mark)), Is.EqualTo(new[]
        {
            (512L, 512L, WriteLogFlags.None, null),
            (512L, 1L << 30, WriteLogFlags.Discard, null),
            (0L, 0L, WriteLogFlags.Mark, "end"),
        }));
        Assert.That(await log.ReadDataAsync(entries[0]), Is.All.EqualTo(7));
    }

    [Test]
    public async Task A_log_that_cannot_be_is_refused()
    {
        Assert.That(() => WriteLog.OpenAsync(_device), Throws.InstanceOf<InvalidDataException>().With.Message.Contains("no log"));

        await AddAsync(WriteLogFlags.None, sector: 1, length: 1L << 40);
        WriteLog log = await OpenAsync();
        Assert.That(async () => await log.ReadAsync().GetAsyncEnumerator().MoveNextAsync(), Throws.InstanceOf<InvalidDataException>());
    }

    [Test]
    public async Task A_log_without_anything_durable_is_no_proof()
    {
        await AddFileSystemAsync("kept\n");
        Assert.That(ReplayAsync, Throws.InstanceOf<InvalidDataException>().With.Message.Contains("none behind the mark"));
    }

    /// <summary>Has a file system with a file in the log, and the mark that it is there.</summary>
    private async Task AddFileSystemAsync(string contents)
    {
        Directory.CreateDirectory(_folder["tree/marked"]);
        File.WriteAllText(_folder["tree/marked/kept"], contents);
        PeerTool.Run("e2fsprogs", "mke2fs", "-q", "-t", "ext4", "-d", _folder["tree"], _folder["made"], "4M");
        byte[] image = File.ReadAllBytes(_folder["made"]);
        for (int at = 0; at < image.Length; at += Piece)
        {
            await AddAsync(WriteLogFlags.None, sector: at / Sector, data: image[at..(at + Piece)]);
        }

        await AddAsync(WriteLogFlags.Mark, text: WriteLogReplay.MadeMark);
    }

    private async Task AddAsync(WriteLogFlags flags, long sector = 0, long length = 0, byte[]? data = null, string text = "")
    {
        byte[] entry = new byte[Sector + (data?.Length ?? 0)];
        BinaryPrimitives.WriteInt64LittleEndian(entry, sector);
        BinaryPrimitives.WriteInt64LittleEndian(entry.AsSpan(8), (data?.Length ?? length) / Sector);
        BinaryPrimitives.WriteUInt64LittleEndian(entry.AsSpan(16), (ulong)flags);
        BinaryPrimitives.WriteInt64LittleEndian(entry.AsSpan(24), text.Length);
        Encoding.UTF8.GetBytes(text, entry.AsSpan(32));
        data?.CopyTo(entry, Sector);
        await _device.WriteAsync(_position, entry);
        _position += entry.Length;
        _count++;
    }

    private async Task<WriteLog> OpenAsync()
    {
        byte[] super = new byte[Sector];
        BinaryPrimitives.WriteUInt64LittleEndian(super, 0x6A_7366_7773_6872);
        BinaryPrimitives.WriteInt64LittleEndian(super.AsSpan(8), 1);
        BinaryPrimitives.WriteInt64LittleEndian(super.AsSpan(16), _count);
        BinaryPrimitives.WriteInt32LittleEndian(super.AsSpan(24), Sector);
        await _device.WriteAsync(0, super);
        return await WriteLog.OpenAsync(_device);
    }

    private async Task<WriteLogReplay> ReplayAsync()
    {
        Directory.CreateDirectory(_folder["replay"]);
        WriteLogReplay replay = new(await OpenAsync(), _folder["replay"]);
        await replay.RunAsync(100);
        return replay;
    }
}
