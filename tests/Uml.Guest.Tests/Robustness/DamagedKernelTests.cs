using System.Security.Cryptography;
using Uml.Core;
using Uml.Core.Boot;
using Uml.Core.Machine;
using Uml.Hosting;

namespace Uml.Guest.Tests.Robustness;

/// <summary>A stock kernel that is cut off, damaged or encrypted, or has too little to work with.</summary>
[TestFixture]
[Category("Guest")]
public sealed class DamagedKernelTests
{
    private const ulong MiB = 1UL << 20;

    private byte[] _kernel = null!;

    [OneTimeSetUp]
    public async Task ReadAsync() => _kernel = await File.ReadAllBytesAsync(GuestAssets.Kernel.ImagePath);

    [TestCase(0)]
    [TestCase(1)]
    [TestCase(0x1F0)]
    [TestCase(0x260)]
    [TestCase(4096)]
    [TestCase(1 << 20)]
    [TestCase(-1 << 20)]
    public Task A_kernel_that_is_cut_off_is_refused(int length) => AssertRefusedAsync(_kernel[..(length >= 0 ? length : _kernel.Length + length)]);

    [Test]
    public Task A_kernel_with_a_damaged_payload_is_refused([Range(1, 5)] int seed)
    {
        var random = new Random(seed);
        byte[] damaged = (byte[])_kernel.Clone();
        for (int i = 0; i < 100; i++)
        {
            damaged[random.Next(damaged.Length / 4, damaged.Length / 2)] ^= (byte)random.Next(1, 256);
        }

        return AssertRefusedAsync(damaged);
    }

    [Test]
    public Task An_encrypted_kernel_is_refused()
    {
        using var aes = Aes.Create();
        aes.Key = new byte[32];
        return AssertRefusedAsync(aes.EncryptCbc(_kernel, new byte[16]));
    }

    [TestCase(2UL)]
    [TestCase(16UL)]
    public Task Memory_that_does_not_hold_the_kernel_is_refused(ulong megabytes) => AssertRefusedAsync(_kernel, megabytes: megabytes);

    [Test]
    public Task An_initrd_larger_than_what_the_kernel_leaves_is_refused() =>
        AssertRefusedAsync(_kernel, megabytes: 64, initrd: BootFile.FromBytes(new byte[50 * MiB], "big.img"));

    [Test]
    public Task A_command_line_longer_than_the_kernels_limit_is_refused() => AssertRefusedAsync(_kernel, commandLine: new string('x', 2048));

    [Test]
    public async Task A_kernel_with_hardly_any_memory_ends_or_stops()
    {
        // What fits the kernel but not its start: it panics, resets or gets stuck, and its machine can be stopped.
        await using GuestMachine guest = await GuestMachine.CreateAsync(configure: builder => builder.Configure(options => options.MemorySize = 56 * MiB));
        await guest.Machine.StartAsync();
        Task<MachineExit> exit = guest.Machine.WaitForExitAsync();
        await Task.WhenAny(exit, Task.Delay(TimeSpan.FromSeconds(20)));
        await guest.Machine.StopAsync().WaitAsync(TimeSpan.FromSeconds(5));
        TestContext.Out.WriteLine((await exit).Message);
        Assert.That((await exit).Exception, Is.Null, (await exit).ToString());
    }

    private static async Task AssertRefusedAsync(byte[] kernel, ulong megabytes = 256, BootFile? initrd = null, string commandLine = "console=ttyS0")
    {
        await using IVirtualMachine machine = UmlMachine.CreateDefaultBuilder()
            .Configure(options => options.MemorySize = megabytes * MiB)
            .UseKernel(BootFile.FromBytes(kernel, "vmlinuz"), initrd, commandLine)
            .Build();
        Assert.That(() => machine.StartAsync(), Throws.InstanceOf<MachineConfigurationException>().With.Message.Length.GreaterThan(30));
        Assert.That(machine.State, Is.EqualTo(MachineState.Created));
    }
}
