using Uml.Core;
using Uml.Core.Boot;
using Uml.Core.Machine;

namespace Uml.Hosting.Tests.Robustness;

[TestFixture]
[CancelAfter(60_000)]
public sealed class NoBoardTests
{
    [TestCase(BootProtocol.Linux64)]
    [TestCase(BootProtocol.Auto)]
    [TestCase(BootProtocol.BzImage32)]
    [TestCase(BootProtocol.BzImage64)]
    public async Task A_Linux_kernel_is_not_started_without_a_board(BootProtocol protocol, CancellationToken token)
    {
        await using IVirtualMachine machine = Machine(new VirtualMachineBuilder(), protocol);

        Assert.That(
            () => machine.StartAsync(token), Throws.InstanceOf<MachineConfigurationException>().With.Message.Contains("UmlMachine.CreateDefaultBuilder()"));
        Assert.That(machine.State, Is.EqualTo(MachineState.Created));
    }

    [TestCase(BootProtocol.Auto)]
    [TestCase(BootProtocol.BzImage32)]
    [TestCase(BootProtocol.BzImage64)]
    public async Task With_a_board_it_is_started(BootProtocol protocol, CancellationToken token)
    {
        await using IVirtualMachine machine = Machine(UmlMachine.CreateDefaultBuilder(), protocol);

        await machine.StartAsync(token);

        Assert.That((await machine.WaitForExitAsync(token)).Reason, Is.EqualTo(MachineExitReason.Halted));
    }

    private static IVirtualMachine Machine(VirtualMachineBuilder builder, BootProtocol protocol) => builder
        .Configure(options => options.MemorySize = 16 << 20)
        .UseKernel(BootFile.FromBytes(protocol is BootProtocol.BzImage32 or BootProtocol.BzImage64 ? TestKernel.BzImage() : TestKernel.Vmlinux()))
        .ConfigureBoot(boot => boot.Protocol = protocol)
        .Build();
}
