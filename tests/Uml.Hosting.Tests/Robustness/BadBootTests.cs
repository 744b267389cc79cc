using System.Security.Cryptography;
using Uml.Core;
using Uml.Core.Boot;
using Uml.Core.Machine;

namespace Uml.Hosting.Tests.Robustness;

/// <summary>What the builder's user gets wrong comes back as an exception that says what to do.</summary>
[CancelAfter(60_000)]
public sealed class BadBootTests
{
    private const ulong MiB = 1UL << 20;

    [Test]
    public Task A_missing_kernel_is_named(CancellationToken token) =>
        AssertRefused(builder => builder.UseKernel("/nonexistent/vmlinuz"), "'/nonexistent/vmlinuz' does not exist; check the path", token);

    [Test]
    public Task A_directory_is_no_kernel(CancellationToken token) =>
        AssertRefused(builder => builder.UseKernel(Path.GetTempPath()), "is a directory", token);

    [Test]
    public Task An_empty_kernel_is_refused(CancellationToken token) => AssertRefused(builder => builder.UseKernel(Bytes([])), "is empty", token);

    [Test]
    public Task A_random_kernel_is_refused(CancellationToken token)
    {
        byte[] kernel = new byte[1 << 20];
        new Random(1).NextBytes(kernel);
        return AssertRefused(builder => builder.UseKernel(Bytes(kernel)), "encrypted", token);
    }

    [Test]
    public Task An_encrypted_kernel_is_refused(CancellationToken token)
    {
        using var aes = Aes.Create();
        aes.Key = new byte[32];
        byte[] kernel = aes.EncryptCbc(CreateElf(0x3E), new byte[16]);
        return AssertRefused(builder => builder.UseKernel(Bytes(kernel)), "encrypted", token);
    }

    [Test]
    public Task A_kernel_of_another_architecture_is_named(CancellationToken token) =>
        AssertRefused(builder => builder.UseKernel(Bytes(CreateElf(183))), "AArch64", token);

    [Test]
    public Task A_truncated_kernel_is_refused(CancellationToken token) =>
        AssertRefused(builder => builder.UseKernel(Bytes(CreateElf(0x3E)[..100])), "'(bytes)'", token);

    [Test]
    public Task A_device_that_never_ends_is_no_kernel(CancellationToken token)
    {
        if (!OperatingSystem.IsLinux())
        {
            Assert.Ignore("/dev/zero is Linux's.");
        }

        return AssertRefused(
            builder => builder.UseKernel(Bytes(CreateElf(0x3E))).ConfigureBoot(boot => boot.Initrd = BootFile.FromPath("/dev/zero")), "initrd", token);
    }

    [Test]
    public Task An_initrd_larger_than_memory_is_refused(CancellationToken token) => AssertRefused(
        builder => builder.UseKernel(Bytes(CreateElf(0x3E)), BootFile.FromBytes(new byte[9 << 20], "big.img")),
        "The initrd 'big.img' is 9",
        token);

    [Test]
    public Task A_missing_initrd_is_named(CancellationToken token) => AssertRefused(
        builder => builder.UseKernel(Bytes(CreateElf(0x3E)), BootFile.FromPath("/nonexistent/initrd")), "The initrd '/nonexistent/initrd' does not exist", token);

    [Test]
    public Task A_command_line_that_is_too_long_is_refused(CancellationToken token) => AssertRefused(
        builder => builder.UseKernel(Bytes(CreateElf(0x3E)), commandLine: new string('x', 2048)), "2048 bytes long; the kernel takes at most 2047", token);

    [Test]
    public Task A_command_line_with_a_zero_is_refused(CancellationToken token) => AssertRefused(
        builder => builder.UseKernel(Bytes(CreateElf(0x3E)), commandLine: "a\0b"), "zero character at position 1", token);

    [Test]
    public Task A_kernel_that_does_not_fit_says_how_much_there_is(CancellationToken token) => AssertRefused(
        builder => builder.Configure(options => options.MemorySize = 2 * MiB).UseKernel(Bytes(CreateElf(0x3E, address: 0x200_0000))),
        "Give the machine more memory",
        token);

    [TestCase(0UL, "minimum of 1 MiB")]
    [TestCase(256UL, "256UL << 20")]
    [TestCase(MiB - 4096, "minimum of 1 MiB")]
    [TestCase((64 * MiB) + 1, "not a multiple of 4096")]
    [TestCase((512UL << 30) + 4096, "maximum of 512 GiB")]
    [TestCase(ulong.MaxValue, "maximum of 512 GiB")]
    [TestCase(ulong.MaxValue - 4095, "maximum of 512 GiB")]
    public void Memory_of_an_impossible_size_is_refused(ulong size, string words)
    {
        VirtualMachineBuilder builder = UmlMachine.CreateDefaultBuilder().Configure(options => options.MemorySize = size);
        Assert.That(builder.Build, Throws.InstanceOf<MachineConfigurationException>().With.Message.Contains(words));
    }

    [TestCase(0UL)]
    [TestCase(4096UL)]
    [TestCase(ulong.MaxValue)]
    public void A_code_cache_of_an_impossible_size_is_refused(ulong size)
    {
        VirtualMachineBuilder builder = UmlMachine.CreateDefaultBuilder().Configure(options => options.Cpu.CodeCacheSize = size);
        Assert.That(builder.Build, Throws.InstanceOf<MachineConfigurationException>().With.Message.Contains("CodeCacheSize is"));
    }

    [TestCase(1969)]
    [TestCase(9999)]
    public void A_start_that_no_clock_shows_is_refused(int year)
    {
        VirtualMachineBuilder builder = UmlMachine.CreateDefaultBuilder()
            .Configure(options => options.StartTime = new DateTimeOffset(year, 12, 31, 0, 0, 0, TimeSpan.Zero));
        Assert.That(builder.Build, Throws.InstanceOf<MachineConfigurationException>().With.Message.Contains("1970"));
    }

    [Test]
    public async Task The_least_memory_builds_and_says_what_a_kernel_needs(CancellationToken token)
    {
        await using IVirtualMachine machine = UmlMachine.CreateDefaultBuilder()
            .Configure(options => options.MemorySize = MachineOptions.MinimumMemorySize).UseKernel(Bytes(CreateElf(0x3E))).Build();
        Assert.That(() => machine.StartAsync(token), Throws.InstanceOf<MachineConfigurationException>().With.Message.Contains("2 MiB"));
    }

    [Test]
    public async Task The_most_memory_builds(CancellationToken token)
    {
        IVirtualMachine machine;
        try
        {
            machine = FlatGuest.CreateBuilder(a => FlatGuest.Exit(a, 3))
                .Configure(options => options.MemorySize = MachineOptions.MaximumMemorySize).Build();
        }
        catch (MachineConfigurationException e)
        {
            Assert.That(e.Message, Does.Contain("less memory"), "a host with a limit says so");
            return;
        }

        await using (machine)
        {
            await machine.StartAsync(token);
            Assert.That((await machine.WaitForExitAsync(token)).Status, Is.EqualTo(3));
        }
    }

    [Test]
    public async Task A_machine_that_could_not_start_can_be_given_up(CancellationToken token)
    {
        await using IVirtualMachine machine = UmlMachine.CreateDefaultBuilder().UseKernel("/nonexistent").Build();
        Assert.That(() => machine.StartAsync(token), Throws.InstanceOf<MachineConfigurationException>());
        Assert.That(machine.State, Is.EqualTo(MachineState.Created));
        await FlatGuest.AssertPrompt(machine.StopAsync(token), "Stopping", token);
        Assert.That((await machine.WaitForExitAsync(token)).Reason, Is.EqualTo(MachineExitReason.HostStop));
    }

    private static async Task AssertRefused(Action<VirtualMachineBuilder> configure, string words, CancellationToken token)
    {
        VirtualMachineBuilder builder = UmlMachine.CreateDefaultBuilder().Configure(options => options.MemorySize = 8 * MiB);
        configure(builder);
        await using IVirtualMachine machine = builder.Build();
        Assert.That(() => machine.StartAsync(token), Throws.InstanceOf<MachineConfigurationException>().With.Message.Contains(words));
        Assert.That(machine.State, Is.EqualTo(MachineState.Created));
    }

    private static BootFile Bytes(byte[] bytes) => BootFile.FromBytes(bytes);

    /// <summary>An ELF64 executable with one segment of 4 KiB (System V ABI, Object Files).</summary>
    private static byte[] CreateElf(ushort machine, uint address = 0x20_0000)
    {
        byte[] elf = new byte[0x2000];
        "\x7F"u8.CopyTo(elf);
        "ELF\x02\x01\x01"u8.CopyTo(elf.AsSpan(1));
        Put(16, 2, 2);
        Put(18, machine, 2);
        Put(20, 1, 4);
        Put(24, address, 8);
        Put(32, 64, 8);
        Put(52, 64, 2);
        Put(54, 56, 2);
        Put(56, 1, 2);
        Put(64, 1, 4);
        Put(68, 7, 4);
        Put(72, 0x1000, 8);
        Put(80, address, 8);
        Put(88, address, 8);
        Put(96, 0x1000, 8);
        Put(104, 0x1000, 8);
        Put(112, 0x1000, 8);
        return elf;

        void Put(int offset, ulong value, int size) => BitConverter.GetBytes(value).AsSpan(0, size).CopyTo(elf.AsSpan(offset));
    }
}
