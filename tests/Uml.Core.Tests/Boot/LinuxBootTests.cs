using Uml.Core.Boot;
using Uml.Core.Boot.Protocols;

namespace Uml.Core.Tests.Boot;

public sealed class LinuxBootTests
{
    private const int Megabyte = 1 << 20;

    [TestCase("Lz4")]
    [TestCase("Gzip")]
    public void A_bzImage_is_unpacked_and_entered_at_64_bits(string format)
    {
        FakeMemory memory = new(8 * Megabyte);

        BootEntry entry = BootImage.Load(TestImages.Request(TestImages.BzImage(TestImages.Vmlinux(), format: format)), memory);

        Assert.Multiple(() =>
        {
            Assert.That(entry.Kind, Is.EqualTo(BootEntryKind.Linux64));
            Assert.That(entry.EntryPoint, Is.EqualTo(TestImages.KernelAddress));
            Assert.That(entry.Rsi, Is.EqualTo(BootMemoryLayout.ZeroPageAddress));
            Assert.That((entry.CodeSelector, entry.DataSelector), Is.EqualTo(((ushort)0x10, (ushort)0x18)));
            Assert.That((entry.ImageStart, entry.ImageEnd), Is.EqualTo((0x200000ul, 0x203000ul)));
            Assert.That(memory.Span(0x200000, 0x2000).ToArray(), Is.EqualTo(TestImages.Code(0x2000)));
            Assert.That(memory.Span(0x202000, 0x1000).ToArray(), Is.All.Zero, "what a segment has beyond the file is cleared");
        });
    }

    [Test]
    public void The_zero_page_says_what_boot_rst_asks_for()
    {
        FakeMemory memory = new(8 * Megabyte);

        ulong page = BootImage.Load(TestImages.Request(TestImages.BzImage(TestImages.Vmlinux())), memory).Rsi;

        Assert.Multiple(() =>
        {
            Assert.That(memory.Span(page + 0x202, 4).ToArray(), Is.EqualTo("HdrS"u8.ToArray()), "the setup header is copied");
            Assert.That(memory.U32(page + 0x260), Is.EqualTo(0x400000), "to its end");
            Assert.That(memory.Span(page + 0x210, 1)[0], Is.EqualTo(0xff), "type_of_loader");
            Assert.That(memory.Text(memory.U32(page + 0x228)), Is.EqualTo("console=ttyS0"));
            Assert.That(memory.U64(page + 0x70), Is.EqualTo(0xe0000), "acpi_rsdp_addr");
            Assert.That(memory.Span(page, 0x70).ToArray(), Is.All.Zero, "screen_info");
            Assert.That(memory.Span(page + 0x1e8, 1)[0], Is.EqualTo(4), "E820 entries");
            Assert.That((memory.U64(page + 0x2d0), memory.U64(page + 0x2d8), memory.U32(page + 0x2e0)), Is.EqualTo((0ul, 0x9fc00ul, 1u)));
            Assert.That((memory.U64(page + 0x30c), memory.U64(page + 0x314), memory.U32(page + 0x31c)), Is.EqualTo((0x100000ul, 7ul << 20, 1u)));
            Assert.That((memory.U32(page + 0x218), memory.U32(page + 0x21c)), Is.EqualTo((0u, 0u)), "no initrd");
        });
    }

    [Test]
    public void The_identity_map_covers_four_gigabytes()
    {
        FakeMemory memory = new(8 * Megabyte);

        BootEntry entry = BootImage.Load(TestImages.Request(TestImages.Vmlinux()), memory);

        foreach (ulong address in (ulong[])[0, 0x200000, 0x3fffffff, 0x40000000, 0xfee00000, 0xffffffff])
        {
            ulong pml4 = memory.U64(entry.PageTableRoot + ((address >> 39 & 511) * 8));
            ulong pdpt = memory.U64((pml4 & ~0xffful) + ((address >> 30 & 511) * 8));
            ulong pd = memory.U64((pdpt & ~0xffful) + ((address >> 21 & 511) * 8));
            Assert.That((pml4 & 3, pdpt & 0x83, pd & 0x83), Is.EqualTo((3ul, 3ul, 0x83ul)));
            Assert.That(pd & ~0xffful, Is.EqualTo(address & ~0x1ffffful));
        }

        Assert.That(memory.U64(entry.PageTableRoot + 8), Is.Zero);
        Assert.That(memory.U64(entry.GdtBase + 0x10), Is.EqualTo(0x00af9b000000ffff));
        Assert.That(memory.U64(entry.GdtBase + 0x18), Is.EqualTo(0x00cf93000000ffff));
    }

    [Test]
    public void A_vmlinux_gets_a_setup_header_made_for_it()
    {
        FakeMemory memory = new(8 * Megabyte);

        BootEntry entry = BootImage.Load(TestImages.Request(TestImages.Vmlinux()), memory);

        Assert.That(entry.Kind, Is.EqualTo(BootEntryKind.Linux64));
        Assert.That(memory.Span(entry.Rsi + 0x202, 4).ToArray(), Is.EqualTo("HdrS"u8.ToArray()));
        Assert.That(memory.Text(memory.U32(entry.Rsi + 0x228)), Is.EqualTo("console=ttyS0"));
    }

    [Test]
    public void A_vmlinux_that_is_compressed_as_a_file_is_unpacked()
    {
        BootEntry entry = BootImage.Load(TestImages.Request(TestPayloads.Gzip(TestImages.Vmlinux())), new FakeMemory(8 * Megabyte));

        Assert.That(entry.EntryPoint, Is.EqualTo(TestImages.KernelAddress));
    }

    [Test]
    public void The_initrd_lies_page_aligned_at_the_top_of_memory()
    {
        FakeMemory memory = new(8 * Megabyte);
        byte[] initrd = TestImages.Code(5000);

        BootEntry entry = BootImage.Load(WithInitrd(TestImages.BzImage(TestImages.Vmlinux()), initrd), memory);

        Assert.Multiple(() =>
        {
            Assert.That(entry.InitrdAddress, Is.EqualTo((8ul << 20) - 8192));
            Assert.That(memory.U32(entry.Rsi + 0x218), Is.EqualTo(entry.InitrdAddress));
            Assert.That(memory.U32(entry.Rsi + 0x21c), Is.EqualTo(5000));
            Assert.That(memory.Span(entry.InitrdAddress, 5000).ToArray(), Is.EqualTo(initrd));
        });
    }

    [Test]
    public void The_initrd_stays_below_what_the_kernel_can_reach()
    {
        byte[] kernel = TestImages.BzImage(TestImages.Vmlinux(), initrdMaximum: 0x4fffff);

        BootEntry entry = BootImage.Load(WithInitrd(kernel, new byte[8192]), new FakeMemory(8 * Megabyte));

        Assert.That(entry.InitrdAddress, Is.EqualTo(0x4fe000));
    }

    [Test]
    public void The_initrd_goes_below_a_kernel_that_fills_the_top_of_memory()
    {
        byte[] kernel = TestImages.BzImage(TestImages.Vmlinux(0x200000, 0x600000 - 4096));

        BootEntry entry = BootImage.Load(WithInitrd(kernel, new byte[0x80000]), new FakeMemory(8 * Megabyte));

        Assert.That(entry.InitrdAddress, Is.EqualTo(0x180000));
    }

    [Test]
    public void A_relocatable_kernel_moves_down_when_memory_ends_too_early()
    {
        const ulong Linked = 0x1000000;
        FakeMemory memory = new(16 * Megabyte);
        byte[] kernel = TestImages.BzImage(TestImages.Vmlinux(Linked, 0x500000), Linked);

        BootEntry entry = BootImage.Load(TestImages.Request(kernel, megabytes: 16), memory);

        Assert.That((entry.EntryPoint, entry.ImageStart, entry.ImageEnd), Is.EqualTo((0xa00000ul, 0xa00000ul, 0xf00000ul)));
        Assert.That(memory.Span(0xa00000, 0x2000).ToArray(), Is.EqualTo(TestImages.Code(0x2000)));
    }

    [Test]
    public void Memory_too_small_for_the_kernel_is_said_with_numbers()
    {
        byte[] kernel = TestImages.BzImage(TestImages.Vmlinux(0x200000, 0x700000));

        Assert.That(
            () => BootImage.Load(TestImages.Request(kernel), new FakeMemory(8 * Megabyte)),
            Throws.InstanceOf<KernelImageException>().With.Message.Contains("7 MiB").And.Message.Contains("0x200000").And.Message.Contains("more memory"));
    }

    [Test]
    public void An_initrd_larger_than_memory_is_said_with_numbers()
    {
        BootRequest request = WithInitrd(TestImages.BzImage(TestImages.Vmlinux()), new byte[7 * Megabyte]);

        Assert.That(
            () => BootImage.Load(request, new FakeMemory(8 * Megabyte)),
            Throws.InstanceOf<KernelImageException>().With.Message.Contains("7340032").And.Message.Contains("7.6 MiB"));
    }

    [TestCase(255, true)]
    [TestCase(256, false)]
    public void The_command_line_may_be_as_long_as_the_kernel_says(int length, bool fits)
    {
        BootRequest request = WithCommandLine(new string('x', length));

        if (fits)
        {
            Assert.That(() => BootImage.Load(request, new FakeMemory(8 * Megabyte)), Throws.Nothing);
        }
        else
        {
            Assert.That(
                () => BootImage.Load(request, new FakeMemory(8 * Megabyte)),
                Throws.InstanceOf<KernelImageException>().With.Message.Contains("256").And.Message.Contains("255"));
        }
    }

    [Test]
    public void A_zero_character_in_the_command_line_is_refused() =>
        Assert.That(
            () => BootImage.Load(WithCommandLine("a\0b"), new FakeMemory(8 * Megabyte)),
            Throws.InstanceOf<KernelImageException>().With.Message.Contains("position 1"));

    private static BootRequest WithInitrd(byte[] kernel, byte[] initrd) => new()
    {
        Kernel = BootFile.FromBytes(kernel),
        Initrd = BootFile.FromBytes(initrd, "initrd"),
        MemoryMap = BootMemoryLayout.CreateMemoryMap(8 << 20),
    };

    private static BootRequest WithCommandLine(string commandLine) => new()
    {
        Kernel = BootFile.FromBytes(TestImages.BzImage(TestImages.Vmlinux())),
        CommandLine = commandLine,
        MemoryMap = BootMemoryLayout.CreateMemoryMap(8 << 20),
    };
}
