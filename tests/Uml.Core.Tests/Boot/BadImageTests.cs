using Uml.Core.Boot;
using Uml.Core.Boot.Protocols;

namespace Uml.Core.Tests.Boot;

public sealed class BadImageTests
{
    private static readonly FakeMemory _memory = new(8 << 20);

    public static IEnumerable<TestCaseData> ForeignFiles()
    {
        yield return new TestCaseData(Magic(56, 0x644d5241), "arm64").SetArgDisplayNames("arm64");
        yield return new TestCaseData(Magic(56, 0x05435352), "RISC-V").SetArgDisplayNames("RISC-V");
        yield return new TestCaseData(Magic(36, 0x016f2818), "ARM").SetArgDisplayNames("ARM");
        yield return new TestCaseData(TestPayloads.Gzip(Magic(56, 0x644d5241)), "arm64").SetArgDisplayNames("arm64_gz");
        yield return new TestCaseData(ElfFor(183), "AArch64").SetArgDisplayNames("ELF_arm64");
        yield return new TestCaseData(ElfFor(21), "PowerPC").SetArgDisplayNames("ELF_ppc64");
        yield return new TestCaseData("MZ\u0090 a program"u8.ToArray(), "PE").SetArgDisplayNames("PE");
        yield return new TestCaseData("070701000"u8.ToArray(), "initramfs").SetArgDisplayNames("cpio");
        yield return new TestCaseData("!<arch>\ndebian-binary"u8.ToArray(), "Debian").SetArgDisplayNames("deb");
        yield return new TestCaseData("#!/bin/sh\nexit"u8.ToArray(), "script").SetArgDisplayNames("script");
        yield return new TestCaseData(TestPayloads.Gzip(TestPayloads.Gzip(new byte[100])), "compressed data inside").SetArgDisplayNames("gz_gz");
        yield return new TestCaseData(TestImages.Code(10_000), "encrypted").SetArgDisplayNames("random");
        yield return new TestCaseData(Array.Empty<byte>(), "empty").SetArgDisplayNames("empty");
        yield return new TestCaseData(TestPayloads.Gzip([]), "empty").SetArgDisplayNames("empty_gz");
    }

    [TestCaseSource(nameof(ForeignFiles))]
    public void A_file_that_is_no_x86_kernel_is_called_by_its_name(byte[] file, string word) =>
        Assert.That(() => Load(file), Throws.InstanceOf<KernelImageException>().With.Message.Contains(word));

    [Test]
    public void A_missing_file_and_a_directory_are_named()
    {
        string directory = TestContext.CurrentContext.TestDirectory;
        Assert.That(() => LoadPath("/nonexistent/vmlinuz"), Throws.InstanceOf<KernelImageException>().With.Message.Contains("'/nonexistent/vmlinuz' does not exist"));
        Assert.That(() => LoadPath(directory), Throws.InstanceOf<KernelImageException>().With.Message.Contains("is a directory"));
    }

    [Test]
    public void A_bzImage_without_a_64_bit_entry_is_refused_where_one_is_asked_for()
    {
        byte[] no64 = TestImages.BzImage(TestImages.Vmlinux());
        TestImages.Put16(no64, 0x236, 0);
        Assert.That(
            () => BootImage.Load(TestImages.Request(no64, BootProtocol.BzImage64), new FakeMemory(8 << 20)),
            Throws.InstanceOf<KernelImageException>().With.Message.Contains("64-bit").And.Message.Contains("BzImage32"));
    }

    [Test]
    public void An_ancient_bzImage_and_a_zImage_are_refused()
    {
        byte[] old = TestImages.BzImage(TestImages.Vmlinux());
        TestImages.Put16(old, 0x206, 0x201);
        byte[] low = TestImages.BzImage(TestImages.Vmlinux());
        low[0x211] = 0;

        Assert.That(() => Load(old), Throws.InstanceOf<KernelImageException>().With.Message.Contains("2.01"));
        Assert.That(() => Load(low), Throws.InstanceOf<KernelImageException>().With.Message.Contains("zImage"));
    }

    [Test]
    public void Segments_that_overlap_or_wrap_around_are_refused()
    {
        byte[] data = new byte[16];
        Assert.That(
            () => Load(TestImages.Elf(true, 0x200000, null, new(0x200000, data, 0x1000), new(0x200800, data, 0x1000))),
            Throws.InstanceOf<KernelImageException>().With.Message.Contains("overwrite"));
        Assert.That(
            () => Load(TestImages.Elf(true, 0x200000, null, new TestSegment(0xffffffffffffff00, data, 0x1000))),
            Throws.InstanceOf<KernelImageException>().With.Message.Contains("contradicts"));
        Assert.That(
            () => Load(TestImages.Elf(true, 0x200000, null, new TestSegment(0x200000, data, 8))),
            Throws.InstanceOf<KernelImageException>().With.Message.Contains("contradicts"));
        Assert.That(
            () => Load(TestImages.Elf(true, 0x7000, null, new TestSegment(0x7000, data, 16))),
            Throws.InstanceOf<KernelImageException>().With.Message.Contains("boot_params"));
        Assert.That(
            () => Load(TestImages.Elf(true, 0x300000, null, new TestSegment(0x200000, data, 16))),
            Throws.InstanceOf<KernelImageException>().With.Message.Contains("0x300000"));
    }

    [TestCase(0ul)]
    [TestCase(4096ul)]
    [TestCase((64ul << 20) + 1)]
    [TestCase(ulong.MaxValue - 4095)]
    public void Memory_of_an_impossible_size_is_refused(ulong bytes) =>
        Assert.That(() => BootMemoryLayout.CreateMemoryMap(bytes), Throws.InstanceOf<MachineConfigurationException>().With.Message.Contains($"{bytes}"));

    [Test]
    public void Memory_beyond_3_GiB_continues_at_4_GiB()
    {
        IReadOnlyList<MemoryMapEntry> map = BootMemoryLayout.CreateMemoryMap(4ul << 30);

        Assert.That(map[^1], Is.EqualTo(new MemoryMapEntry(4ul << 30, 1ul << 30, MemoryMapEntryType.Usable)));
        Assert.That(map[^2].End, Is.EqualTo(0xc0000000));
    }

    [Test]
    public void A_memory_map_that_overlaps_or_has_no_RAM_is_refused()
    {
        MemoryMapEntry ram = new(0, 8 << 20, MemoryMapEntryType.Usable);
        foreach (MemoryMapEntry[] map in (MemoryMapEntry[][])[[], [ram, ram], [ram with { Type = MemoryMapEntryType.Reserved }], [ram with { Length = 0 }]])
        {
            BootRequest request = new() { Kernel = BootFile.FromBytes(TestImages.Vmlinux()), MemoryMap = map };
            Assert.That(() => BootImage.Load(request, _memory), Throws.InstanceOf<MachineConfigurationException>());
        }
    }

    public static IEnumerable<TestCaseData> Kernels()
    {
        yield return new TestCaseData(TestImages.BzImage(TestImages.Vmlinux())).SetArgDisplayNames("bzImage");
        yield return new TestCaseData(TestImages.Vmlinux()).SetArgDisplayNames("vmlinux");
        yield return new TestCaseData(TestImages.Multiboot(true)).SetArgDisplayNames("multiboot_elf");
        yield return new TestCaseData(TestImages.Multiboot(false)).SetArgDisplayNames("multiboot_flat");
    }

    [TestCaseSource(nameof(Kernels))]
    [CancelAfter(60_000)]
    public void A_kernel_cut_off_anywhere_gives_the_typed_error_or_loads(byte[] kernel)
    {
        int loaded = 0;
        for (int length = 0; length < kernel.Length; length += length < 1500 ? 1 : 197)
        {
            loaded += LoadsOrComplains(kernel.AsSpan(0, length).ToArray(), BootProtocol.Auto) ? 1 : 0;
        }

        // Only what follows the last needed byte can be missing.
        Assert.That(loaded, Is.LessThan(100));
    }

    [TestCaseSource(nameof(Kernels))]
    [CancelAfter(60_000)]
    public void A_kernel_with_damaged_headers_gives_the_typed_error_or_loads(byte[] kernel)
    {
        Random random = new(99);
        BootProtocol[] protocols = [BootProtocol.Auto, BootProtocol.Linux64, BootProtocol.Pvh, BootProtocol.Multiboot];
        ReadOnlySpan<byte> nasty = [0, 1, 0x7f, 0x80, 0xff];
        for (int round = 0; round < 600; round++)
        {
            byte[] bad = (byte[])kernel.Clone();
            for (int i = random.Next(1, 6); i > 0; i--)
            {
                int limit = random.Next(2) == 0 ? Math.Min(700, bad.Length) : bad.Length;
                bad[random.Next(limit)] = random.Next(2) == 0 ? nasty[random.Next(nasty.Length)] : (byte)random.Next(256);
            }

            LoadsOrComplains(bad, protocols[round % protocols.Length]);
        }
    }

    private static bool LoadsOrComplains(byte[] kernel, BootProtocol protocol)
    {
        try
        {
            BootEntry entry = BootImage.Load(TestImages.Request(kernel, protocol), _memory);
            Assert.That(entry.ImageEnd, Is.LessThanOrEqualTo(8ul << 20));
            return true;
        }
        catch (KernelImageException)
        {
            return false;
        }
    }

    private static BootEntry Load(byte[] file) => BootImage.Load(TestImages.Request(file), _memory);

    private static BootEntry LoadPath(string path) => BootImage.Load(
        new BootRequest { Kernel = BootFile.FromPath(path), MemoryMap = BootMemoryLayout.CreateMemoryMap(8 << 20) }, _memory);

    private static byte[] Magic(int offset, uint magic)
    {
        byte[] file = new byte[100];
        TestImages.Put16(file, 0, 0x5a4d);
        TestImages.Put32(file, offset, magic);
        return file;
    }

    private static byte[] ElfFor(ushort machine)
    {
        byte[] elf = TestImages.Vmlinux();
        TestImages.Put16(elf, 18, machine);
        return elf;
    }
}
