using System.Buffers;
using System.Buffers.Binary;
using SharpCompress.Compressors.BZip2;
using Uml.Core.Boot;
using Uml.Core.Boot.Protocols;

namespace Uml.Core.Tests.Boot;

/// <summary>Kernels that were made to hold the host up, to take its memory or to trip the loader.</summary>
[CancelAfter(60_000)]
public sealed class HostileImageTests
{
    private const int Megabyte = 1 << 20;

    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(20);

    private static readonly FakeMemory _memory = new(8 * Megabyte);

    [TestCase(ulong.MaxValue)]
    [TestCase(ulong.MaxValue - 0x1fffff)]
    [TestCase(1ul << 63)]
    [TestCase(1ul << 40)]
    public void A_kernel_that_fits_nowhere_is_refused_at_once_wherever_it_prefers_to_be(ulong preferred)
    {
        byte[] kernel = TestImages.BzImage(TestImages.Vmlinux(memory: 0x700_0000), preferred);

        AssertRefused(kernel, "more memory");
    }

    [TestCase(uint.MaxValue)]
    [TestCase(0u)]
    [TestCase(0x20_0001u)]
    public void An_odd_alignment_is_kept_or_the_kernel_refused(uint alignment)
    {
        byte[] kernel = TestImages.BzImage(TestImages.Vmlinux(0x100_0000, 0x40_0000), 0x100_0000);
        TestImages.Put32(kernel, 0x230, alignment);

        if (alignment == uint.MaxValue)
        {
            AssertRefused(kernel, "more memory");
        }
        else
        {
            BootEntry entry = BootImage.Load(TestImages.Request(kernel), _memory);
            Assert.That((0x100_0000 - entry.ImageStart) % Math.Max(alignment, 0x20_0000), Is.Zero);
        }
    }

    [Test]
    public void A_setup_header_that_ends_before_what_is_read_is_refused()
    {
        for (int length = 0; length < 256; length++)
        {
            foreach (ushort version in (ushort[])[0, 0x207, 0x208, 0x209, 0x20b, 0x20c, 0x20f, 0xffff])
            {
                byte[] kernel = TestImages.BzImage(TestImages.Vmlinux());
                kernel[0x201] = (byte)length;
                TestImages.Put16(kernel, 0x206, version);
                try
                {
                    BootImage.Load(TestImages.Request(kernel), _memory);
                }
                catch (KernelImageException)
                {
                    continue;
                }
            }
        }
    }

    [Test]
    public void A_payload_unpacks_to_no_more_than_its_build_recorded()
    {
        byte[] kernel = TestImages.BzImage(new byte[64 * Megabyte], format: "Lz4");
        int size = BinaryPrimitives.ReadInt32LittleEndian(kernel.AsSpan(0x24c));
        TestImages.Put32(kernel, 1024 + 64 + size - 4, 5000);

        AssertRefused(kernel, "more than the 5000 bytes");
    }

    [Test]
    public void A_payload_larger_than_the_kernel_has_room_for_is_refused()
    {
        byte[] kernel = TestImages.BzImage(TestImages.Vmlinux());
        TestImages.Put32(kernel, 0x260, 0x1000);

        AssertRefused(kernel, "contradicts");
    }

    [Test]
    public void An_lzo_block_larger_than_Linux_takes_is_refused()
    {
        byte[] lzo = Convert.FromBase64String(CompressedVectors.Lzo);
        int block = lzo.AsSpan().IndexOf((ReadOnlySpan<byte>)[0x00, 0x00, 0x0b, 0xb8]);
        BinaryPrimitives.WriteInt32BigEndian(lzo.AsSpan(block), 100 * Megabyte);

        AssertRefused(lzo, "262144");
    }

    [Test]
    public void A_segment_beyond_what_can_be_entered_is_refused_before_anything_is_written()
    {
        const ulong Memory = 64ul << 30;
        CountingMemory memory = new();
        byte[] kernel = TestImages.Elf(
            true, 0x200000, null, new TestSegment(0x200000, new byte[16], 16), new TestSegment(1ul << 32, new byte[16], 32ul << 30));
        BootRequest request = new() { Kernel = BootFile.FromBytes(kernel), MemoryMap = BootMemoryLayout.CreateMemoryMap(Memory) };

        Assert.That(() => BootImage.Load(request, memory), Throws.InstanceOf<KernelImageException>().With.Message.Contains("4 GiB"));
        Assert.That(memory.Cleared, Is.LessThan((ulong)Megabyte));
    }

    [Test]
    public void A_wrong_limit_is_named()
    {
        BootRequest request = new()
        {
            Kernel = BootFile.FromBytes(TestImages.Vmlinux()), MemoryMap = BootMemoryLayout.CreateMemoryMap(8 * Megabyte), MaximumUnpackedBytes = -1,
        };

        Assert.That(
            () => BootImage.Load(request, _memory), Throws.InstanceOf<MachineConfigurationException>().With.Message.Contains("MaximumUnpackedBytes"));
    }

    [TestCase("Gzip")]
    [TestCase("Bzip2")]
    [TestCase("Zstd")]
    [TestCase("Lz4")]
    public void Unpacking_ends_when_it_is_cancelled(string format)
    {
        byte[] zeros = new byte[(format == "Bzip2" ? 2 : 32) * Megabyte];
        AssertCancelled(format switch
        {
            "Gzip" => TestPayloads.Gzip(zeros),
            "Bzip2" => TestPayloads.Repeat(TestPayloads.Bzip2(zeros), 16),
            "Zstd" => TestPayloads.Zstd(zeros),
            _ => TestPayloads.Lz4(zeros),
        });
    }

    [TestCase(CompressedVectors.Lzma)]
    [TestCase(CompressedVectors.Lzo)]
    [TestCase(CompressedVectors.XzWithSha256)]
    public void A_load_that_was_cancelled_does_not_begin(string vector)
    {
        Assert.That(
            () => BootImage.Load(TestImages.Request(Convert.FromBase64String(vector)), _memory, new CancellationToken(canceled: true)),
            Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public void Empty_streams_without_end_are_cancelled()
    {
        using MemoryStream one = new();
        using (BZip2Stream bzip2 = BZip2Stream.Create(one, SharpCompress.Compressors.CompressionMode.Compress, false))
        {
        }

        AssertCancelled(TestPayloads.Repeat(one.ToArray(), 500));
    }

    [Test]
    [Platform("Linux")]
    public async Task A_pipe_that_nobody_writes_to_is_given_up([Values] bool isInitrd, CancellationToken token)
    {
        using TemporaryPipe pipe = await TemporaryPipe.CreateAsync(token);
        using CancellationTokenSource cancel = new(100);
        BootFile file = BootFile.FromPath(pipe.Path);
        BootRequest request = new()
        {
            Kernel = isInitrd ? BootFile.FromBytes(TestImages.Vmlinux()) : file,
            Initrd = isInitrd ? file : null,
            MemoryMap = BootMemoryLayout.CreateMemoryMap(8 * Megabyte),
        };
        Task load = Task.Run(() => BootImage.Load(request, _memory, cancel.Token));
        Assert.That(() => load.WaitAsync(_patience), Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    [Platform("Linux")]
    public async Task A_kernel_comes_through_a_pipe(CancellationToken token)
    {
        using TemporaryPipe pipe = await TemporaryPipe.CreateAsync(token);
        BootRequest request = new() { Kernel = BootFile.FromPath(pipe.Path), MemoryMap = BootMemoryLayout.CreateMemoryMap(8 * Megabyte) };
        Task<BootEntry> load = Task.Run(() => BootImage.Load(request, _memory));
        await Task.Delay(50, token);
        byte[] kernel = TestImages.Vmlinux();
        await using (FileStream writer = new(pipe.Path, FileMode.Open, FileAccess.Write))
        {
            await writer.WriteAsync(kernel.AsMemory(0, 1000), token);
            await writer.FlushAsync(token);
            await Task.Delay(50, token);
            await writer.WriteAsync(kernel.AsMemory(1000), token);
        }

        Assert.That((await load.WaitAsync(_patience, token)).EntryPoint, Is.EqualTo(TestImages.KernelAddress));
    }

    /// <summary>Cancels a load while it reads what is packed: when three quarters of what it looks for there are found.</summary>
    private static void AssertCancelled(byte[] packed)
    {
        using WatchedMemory whole = new(packed);
        Assert.That(() => Load(whole, CancellationToken.None), Throws.InstanceOf<KernelImageException>(), "zeros are no kernel");

        using CancellationTokenSource cancel = new();
        using WatchedMemory watched = new(packed, whole.Looks - (whole.Looks / 4), cancel.Cancel);
        Assert.That(() => Load(watched, cancel.Token), Throws.InstanceOf<OperationCanceledException>());
    }

    private static void Load(WatchedMemory packed, CancellationToken token)
    {
        BootRequest request = new()
        {
            Kernel = BootFile.FromBytes(packed.Memory), MemoryMap = BootMemoryLayout.CreateMemoryMap(8 * Megabyte), MaximumUnpackedBytes = int.MaxValue,
        };
        BootImage.Load(request, _memory, token);
    }

    private static void AssertRefused(byte[] kernel, string words)
    {
        Task<BootEntry> load = Task.Run(() => BootImage.Load(TestImages.Request(kernel), _memory));
        Assert.That(() => load.WaitAsync(_patience), Throws.InstanceOf<KernelImageException>().With.Message.Contains(words));
    }

    private sealed class CountingMemory : IBootMemory
    {
        public ulong Cleared { get; private set; }

        public void Write(ulong physicalAddress, ReadOnlySpan<byte> data)
        {
        }

        public void Clear(ulong physicalAddress, ulong length) => Cleared += length;
    }

    /// <summary>Memory that knows how often it was looked at, and does something at one of these times.</summary>
    private sealed class WatchedMemory(byte[] bytes, int actsAt = 0, Action? action = null) : MemoryManager<byte>
    {
        public int Looks { get; private set; }

        public override Memory<byte> Memory => CreateMemory(bytes.Length);

        public override Span<byte> GetSpan()
        {
            if (++Looks == actsAt)
            {
                action!();
            }

            return bytes;
        }

        public override MemoryHandle Pin(int elementIndex = 0) => throw new NotSupportedException();

        public override void Unpin()
        {
        }

        protected override void Dispose(bool disposing)
        {
        }
    }
}
