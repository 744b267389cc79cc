using Uml.Core.Boot;
using Uml.Core.Boot.Protocols;

namespace Uml.Core.Tests.Boot;

public sealed class OtherProtocolTests
{
    private const int Megabyte = 1 << 20;

    [TestCase(false)]
    [TestCase(true)]
    public void The_PVH_entry_gets_its_start_information(bool bzImage)
    {
        FakeMemory memory = new(8 * Megabyte);
        byte[] kernel = bzImage ? TestImages.BzImage(TestImages.Vmlinux()) : TestImages.Vmlinux();

        BootEntry entry = BootImage.Load(WithModules(kernel, BootProtocol.Pvh), memory);

        ulong info = entry.Rbx;
        ulong modules = memory.U64(info + 16);
        ulong map = memory.U64(info + 40);
        Assert.Multiple(() =>
        {
            Assert.That(entry.Kind, Is.EqualTo(BootEntryKind.Pvh32));
            Assert.That(entry.EntryPoint, Is.EqualTo(TestImages.PvhEntry));
            Assert.That(entry.PageTableRoot, Is.Zero);
            Assert.That((memory.U32(info), memory.U32(info + 4), memory.U32(info + 8), memory.U32(info + 12)), Is.EqualTo((0x336ec578u, 1u, 0u, 2u)));
            Assert.That(memory.Text(memory.U64(info + 24)), Is.EqualTo("a=b"));
            Assert.That(memory.U64(info + 32), Is.EqualTo(0xf0000));
            Assert.That((memory.U64(modules), memory.U64(modules + 8)), Is.EqualTo((entry.InitrdAddress, 3ul)));
            Assert.That(memory.Text(memory.U64(modules + 32 + 16)), Is.EqualTo("second"));
            Assert.That(memory.Span(memory.U64(modules + 32), 2).ToArray(), Is.EqualTo("45"u8.ToArray()));
            Assert.That(memory.U32(info + 48), Is.EqualTo(4));
            Assert.That((memory.U64(map + 72), memory.U64(map + 80), memory.U32(map + 88)), Is.EqualTo((0x100000ul, 7ul << 20, 1u)));
            Assert.That(memory.U64(entry.GdtBase + entry.CodeSelector), Is.EqualTo(0x00cf9b000000ffff));
            Assert.That(memory.U64(entry.GdtBase + entry.TaskSelector), Is.EqualTo(0x00008b0006000067));
            Assert.That(memory.Span(entry.TaskSegmentBase, 0x68).ToArray(), Is.All.Zero);
        });
    }

    [Test]
    public void A_kernel_without_the_PVH_note_says_so() =>
        Assert.That(
            () => BootImage.Load(TestImages.Request(TestImages.Vmlinux(pvh: false), BootProtocol.Pvh), new FakeMemory(8 * Megabyte)),
            Throws.InstanceOf<KernelImageException>().With.Message.Contains("CONFIG_PVH"));

    /// <summary>Conventional memory is the kernel's, but for what the protocol hands over.</summary>
    [TestCase(true, 0x8000u)]
    [TestCase(false, 0x8000u)]
    [TestCase(true, 0x9000u)]
    public void A_multiboot_kernel_can_lie_in_low_memory(bool elf, uint address)
    {
        FakeMemory memory = new(8 * Megabyte);
        BootEntry entry = BootImage.Load(TestImages.Request(TestImages.Multiboot(elf, address)), memory);
        Assert.That(entry.EntryPoint, Is.EqualTo(address + 0x40));
        Assert.That(memory.U32(address), Is.EqualTo(0x1badb002));
        Assert.That(entry.StackPointer, Is.EqualTo(8 * Megabyte), "a page of the highest memory");
    }

    [TestCase(false)]
    [TestCase(true)]
    public void A_multiboot_kernel_gets_its_information(bool elf)
    {
        FakeMemory memory = new(8 * Megabyte);
        byte[] kernel = TestImages.Multiboot(elf);

        BootEntry entry = BootImage.Load(WithModules(kernel, BootProtocol.Auto), memory);

        ulong info = entry.Rbx;
        ulong map = memory.U32(info + 48);
        ulong modules = memory.U32(info + 24);
        Assert.Multiple(() =>
        {
            Assert.That(entry.Kind, Is.EqualTo(BootEntryKind.Multiboot32));
            Assert.That((entry.Rax, entry.EntryPoint), Is.EqualTo((0x2badb002ul, 0x100040ul)));
            Assert.That(memory.U32(info), Is.EqualTo(0b10_0100_1101));
            Assert.That((memory.U32(info + 4), memory.U32(info + 8)), Is.EqualTo((639u, 7u * 1024)));
            Assert.That(memory.Text(memory.U32(info + 16)), Is.EqualTo("a=b"));
            Assert.That(memory.U32(info + 20), Is.EqualTo(2));
            Assert.That(memory.U32(modules + 4) - memory.U32(modules), Is.EqualTo(3));
            Assert.That(memory.U32(modules) % 4096, Is.Zero);
            Assert.That(memory.Text(memory.U32(modules + 16 + 8)), Is.EqualTo("second"));
            Assert.That(memory.U32(info + 44), Is.EqualTo(4 * 24));
            Assert.That((memory.U32(map), memory.U64(map + 4), memory.U64(map + 12), memory.U32(map + 20)), Is.EqualTo((20u, 0ul, 0x9fc00ul, 1u)));
            Assert.That(memory.Text(memory.U32(info + 64)), Is.EqualTo("Uml"));
            Assert.That(memory.U32(0x100000), Is.EqualTo(0x1badb002));
            Assert.That(memory.Span(0x101000, 0x1000).ToArray(), Is.All.Zero, "bss");
        });
    }

    [Test]
    public void A_virtual_entry_point_of_a_multiboot_kernel_is_translated()
    {
        byte[] code = TestImages.Multiboot(elf: false)[..0x1000];
        TestImages.Put32(code, 4, 3);
        TestImages.Put32(code, 8, unchecked(0u - 0x1badb002u - 3u));
        byte[] kernel = TestImages.Elf(false, 0xc0100040, null, new TestSegment(0x100000, code, 0x1000, 0xc0100000));

        Assert.That(BootImage.Load(TestImages.Request(kernel), new FakeMemory(8 * Megabyte)).EntryPoint, Is.EqualTo(0x100040));
    }

    [Test]
    public void A_multiboot_kernel_that_demands_what_does_not_exist_is_refused() =>
        Assert.That(
            () => BootImage.Load(TestImages.Request(TestImages.Multiboot(true, flags: 0x13)), new FakeMemory(8 * Megabyte)),
            Throws.InstanceOf<KernelImageException>().With.Message.Contains("0x10"));

    [TestCase(BootProtocol.Flat16, 0x7c00u, 0x7c00u, 0)]
    [TestCase(BootProtocol.Flat32, 0x100000u, 0x100000u, 0x10)]
    [TestCase(BootProtocol.Flat64, 0x100000u, 0x100000u, 0x10)]
    public void A_flat_binary_is_entered_at_its_first_byte(BootProtocol protocol, uint address, uint entryPoint, int codeSelector)
    {
        FakeMemory memory = new(8 * Megabyte);

        BootEntry entry = BootImage.Load(Flat(protocol, null), memory);

        Assert.Multiple(() =>
        {
            Assert.That(entry.Kind.ToString(), Is.EqualTo(protocol.ToString()));
            Assert.That((entry.EntryPoint, (int)entry.CodeSelector), Is.EqualTo(((ulong)entryPoint, codeSelector)));
            Assert.That(memory.Span(address, 3).ToArray(), Is.EqualTo(new byte[] { 0x90, 0x90, 0xf4 }));
            Assert.That(entry.PageTableRoot != 0, Is.EqualTo(protocol == BootProtocol.Flat64));
        });
    }

    [Test]
    public void A_real_mode_binary_above_64_KiB_gets_its_own_segment()
    {
        BootEntry entry = BootImage.Load(Flat(BootProtocol.Flat16, 0x12345), new FakeMemory(8 * Megabyte));

        Assert.That(((ulong)entry.CodeSelector << 4) + entry.EntryPoint, Is.EqualTo(0x12345));
    }

    [TestCase(BootProtocol.Flat16, 0x100000u)]
    [TestCase(BootProtocol.Flat32, 0xffffffffu)]
    [TestCase(BootProtocol.Flat64, 0x9000u)]
    [TestCase(BootProtocol.Flat32, 0x8f00u)]
    [TestCase(BootProtocol.Flat32, 0x800000u)]
    [TestCase(BootProtocol.Flat32, 0xa0000u)]
    public void A_flat_binary_where_it_cannot_be_is_refused(BootProtocol protocol, uint address) =>
        Assert.That(() => BootImage.Load(Flat(protocol, address), new FakeMemory(8 * Megabyte)), Throws.InstanceOf<KernelImageException>());

    [TestCase(BootProtocol.Multiboot)]
    [TestCase((BootProtocol)99)]
    public void A_protocol_that_the_file_is_not_made_for_is_refused(BootProtocol protocol)
    {
        foreach (byte[] kernel in (byte[][])[TestImages.BzImage(TestImages.Vmlinux()), TestImages.Vmlinux()])
        {
            Assert.That(() => BootImage.Load(TestImages.Request(kernel, protocol), new FakeMemory(8 * Megabyte)), Throws.InstanceOf<KernelImageException>());
        }
    }

    [Test]
    public void A_32_bit_ELF_file_has_no_64_bit_entry() =>
        Assert.That(
            () => BootImage.Load(TestImages.Request(TestImages.Multiboot(true), BootProtocol.Linux64), new FakeMemory(8 * Megabyte)),
            Throws.InstanceOf<KernelImageException>().With.Message.Contains("32-bit"));

    private static BootRequest Flat(BootProtocol protocol, ulong? address) => new()
    {
        Kernel = BootFile.FromBytes(new byte[] { 0x90, 0x90, 0xf4 }, "flat"),
        Protocol = protocol,
        FlatAddress = address,
        MemoryMap = BootMemoryLayout.CreateMemoryMap(8 * Megabyte),
    };

    private static BootRequest WithModules(byte[] kernel, BootProtocol protocol) => new()
    {
        Kernel = BootFile.FromBytes(kernel),
        Protocol = protocol,
        CommandLine = "a=b",
        Initrd = BootFile.FromBytes("123"u8.ToArray(), "one"),
        Modules = [new BootModule(BootFile.FromBytes("45"u8.ToArray(), "two"), "second")],
        MemoryMap = BootMemoryLayout.CreateMemoryMap(8 * Megabyte),
        AcpiRsdpAddress = 0xf0000,
    };
}
