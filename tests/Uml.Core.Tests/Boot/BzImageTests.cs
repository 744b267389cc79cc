using System.Buffers.Binary;
using Uml.Core.Boot;
using Uml.Core.Boot.Protocols;

namespace Uml.Core.Tests.Boot;

/// <summary>A bzImage by its own entries (Documentation/arch/x86/boot.rst).</summary>
[TestFixture]
public sealed class BzImageTests
{
    private const int CodeOffset = 1024, CodeBytes = 0x3000;
    private const ulong Preferred = 0x400000;

    private FakeMemory _memory = null!;

    [TestCase(BootProtocol.BzImage64, BootEntryKind.Linux64, 0x200ul)]
    [TestCase(BootProtocol.BzImage32, BootEntryKind.Linux32, 0ul)]
    public void The_code_is_placed_as_it_is_and_entered_with_boot_params(BootProtocol protocol, BootEntryKind kind, ulong offset)
    {
        byte[] image = Image();
        BootEntry entry = Load(image, protocol);
        Assert.That(entry.Kind, Is.EqualTo(kind));
        Assert.That(entry.EntryPoint, Is.EqualTo(Preferred + offset));
        Assert.That(_memory.Span(Preferred, CodeBytes).SequenceEqual(image.AsSpan(CodeOffset)), Is.True);
        Assert.That((entry.ImageStart, entry.ImageEnd), Is.EqualTo((Preferred, Preferred + 0x40_0000)), "with the memory to unpack itself");
        Assert.That(entry.Rsi, Is.EqualTo(BootMemoryLayout.ZeroPageAddress));
        Assert.That(ZeroPage32(0x214), Is.EqualTo(Preferred), "code32_start");
        Assert.That(ZeroPage32(0x202), Is.EqualTo(0x53726448), "the setup header");
        Assert.That(ZeroPage32(0x228), Is.EqualTo(BootMemoryLayout.CommandLineAddress), "cmd_line_ptr");
    }

    [Test]
    public void A_compressed_part_that_is_no_Linux_is_entered_as_it_is() =>
        Assert.That(Load(Image()), Has.Property(nameof(BootEntry.Kind)).EqualTo(BootEntryKind.Linux64).And.Property(nameof(BootEntry.EntryPoint)).EqualTo(Preferred + 0x200));

    [Test]
    public void A_32_bit_kernel_is_entered_at_32_bits()
    {
        byte[] image = TestImages.BzImage(TestImages.Vmlinux());
        TestImages.Put16(image, 0x236, 0);
        Assert.That(Load(image).Kind, Is.EqualTo(BootEntryKind.Linux32));
    }

    [TestCase(BootProtocol.Auto)]
    [TestCase(BootProtocol.Linux64)]
    public void A_Linux_that_can_be_read_is_unpacked_on_the_host(BootProtocol protocol) =>
        Assert.That(Load(TestImages.BzImage(TestImages.Vmlinux()), protocol).EntryPoint, Is.EqualTo(TestImages.KernelAddress));

    [Test]
    public void What_is_no_Linux_is_refused_where_its_vmlinux_is_asked_for() => Assert.That(
        () => Load(Image(), BootProtocol.Linux64), Throws.InstanceOf<KernelImageException>().With.Message.Contains("BzImage64"));

    [TestCase(0x202)]
    [TestCase(0x204)]
    [TestCase(0x20a)]
    public void A_kernel_that_cannot_be_moved_is_loaded_at_code32_start(int version)
    {
        byte[] image = Image();
        TestImages.Put16(image, 0x206, (ushort)version);
        image[0x234] = 0;
        TestImages.Put32(image, 0x214, 0x100000);
        BootEntry entry = Load(image);
        Assert.That((entry.Kind, entry.EntryPoint, entry.ImageStart), Is.EqualTo((BootEntryKind.Linux32, 0x100000ul, 0x100000ul)));
        Assert.That(entry.ImageEnd, Is.EqualTo(version < 0x20a ? 0x100000ul + CodeBytes : Preferred + 0x40_0000), "with where it moves itself, if that is known");
    }

    [Test]
    public void What_follows_the_code_is_left_out()
    {
        byte[] image = Image();
        TestImages.Put32(image, 0x1f4, 0x2000 / 16);
        Load(image);
        Assert.That(_memory.Span(Preferred, 0x2000).SequenceEqual(image.AsSpan(CodeOffset, 0x2000)), Is.True);
        Assert.That(_memory.Span(Preferred + 0x2000, 0x1000).ContainsAnyExcept((byte)0xcc), Is.False, "as it was");
    }

    [TestCase(0x1f4, 0x301u, "truncated", TestName = "Code_that_ends_behind_the_file_is_refused")]
    [TestCase(0x1f4, 0x20u, "ends before its entry", TestName = "Code_that_ends_before_the_entry_is_refused")]
    [TestCase(0x258, 0x1000u, "1 MiB to 4 GiB", TestName = "A_kernel_below_1_MiB_is_refused")]
    [TestCase(0x25c, 0x7u, "1 MiB to 4 GiB", TestName = "A_kernel_above_4_GiB_is_refused")]
    [TestCase(0x260, 0xffffffffu, "more memory", TestName = "A_kernel_that_needs_more_memory_is_told")]
    public void Impossible_headers_are_refused(int offset, uint value, string message)
    {
        byte[] image = Image();
        TestImages.Put32(image, offset, value);
        Assert.That(() => Load(image), Throws.InstanceOf<KernelImageException>().With.Message.Contains(message));
    }

    [Test]
    public void The_initrd_stays_out_of_the_memory_that_the_kernel_unpacks_itself_to()
    {
        _memory = new FakeMemory(8 << 20);
        BootRequest request = TestImages.Request(Image());
        BootEntry entry = BootImage.Load(
            new BootRequest
            {
                Kernel = request.Kernel,
                Initrd = BootFile.FromBytes(new byte[5000], "initrd"),
                MemoryMap = request.MemoryMap,
            },
            _memory);
        Assert.That(entry.InitrdAddress + entry.InitrdLength, Is.LessThanOrEqualTo(Preferred));
        Assert.That(ZeroPage32(0x218), Is.EqualTo(entry.InitrdAddress));
    }

    /// <summary>A bzImage with random code, as memtest86+ is one with its own.</summary>
    private static byte[] Image()
    {
        byte[] image = new byte[CodeOffset + CodeBytes];
        TestImages.BzImage(TestImages.Vmlinux(), Preferred).AsSpan(0, CodeOffset).CopyTo(image);
        TestImages.Code(CodeBytes).CopyTo(image, CodeOffset);
        TestImages.Put32(image, 0x248, 0);
        TestImages.Put32(image, 0x24c, 0);
        return image;
    }

    private BootEntry Load(byte[] image, BootProtocol protocol = BootProtocol.Auto)
    {
        _memory = new FakeMemory(8 << 20);
        return BootImage.Load(TestImages.Request(image, protocol), _memory);
    }

    private uint ZeroPage32(int offset) => BinaryPrimitives.ReadUInt32LittleEndian(_memory.Span(BootMemoryLayout.ZeroPageAddress + (ulong)offset, 4));
}
