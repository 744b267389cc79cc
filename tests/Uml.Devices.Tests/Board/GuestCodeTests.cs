using Uml.Core.Boot;
using Uml.Core.Machine;
using Uml.Devices.Board;

namespace Uml.Devices.Tests.Board;

/// <summary>A few instructions of guest code drive the board through a real machine: bus, processor and devices together.</summary>
internal sealed class GuestCodeTests
{
    private const int TimeoutMilliseconds = 30_000;

    [Test]
    [CancelAfter(TimeoutMilliseconds)]
    public async Task The_debug_exit_port_ends_the_machine_with_the_guests_status(CancellationToken cancellationToken)
    {
        // mov eax, 0x12345678; out 0xF4, eax; hlt
        var exit = await RunAsync([0xB8, 0x78, 0x56, 0x34, 0x12, 0xE7, 0xF4, 0xF4], cancellationToken);
        Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.DebugExit), exit.Message);
        Assert.That(exit.Status, Is.EqualTo(0x1234_5678));
    }

    [Test]
    [CancelAfter(TimeoutMilliseconds)]
    public async Task The_real_time_clock_answers_at_its_ports(CancellationToken cancellationToken)
    {
        // xor eax, eax; mov al, 13; out 0x70, al; in al, 0x71; out 0xF4, eax; hlt
        var exit = await RunAsync([0x31, 0xC0, 0xB0, 0x0D, 0xE6, 0x70, 0xE4, 0x71, 0xE7, 0xF4, 0xF4], cancellationToken);
        Assert.That(exit.Status, Is.EqualTo(0x80), exit.Message);
    }

    [Test]
    [CancelAfter(TimeoutMilliseconds)]
    public async Task Jumping_to_the_reset_vector_in_real_mode_reboots(CancellationToken cancellationToken)
    {
        // ljmp 0xF000:0xFFF0
        var exit = await RunAsync([0xEA, 0xF0, 0xFF, 0x00, 0xF0], cancellationToken, BootProtocol.Flat16);
        Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.Reboot), exit.Message);
    }

    private static async Task<MachineExit> RunAsync(
        byte[] code, CancellationToken cancellationToken, BootProtocol protocol = BootProtocol.Flat64)
    {
        await using var machine = new VirtualMachineBuilder()
            .AddStandardBoard()
            .Configure(options => options.MemorySize = 4 << 20)
            .ConfigureBoot(boot =>
            {
                boot.Kernel = BootFile.FromBytes(code);
                boot.Protocol = protocol;
                boot.FlatAddress = 0x4_0000;
            })
            .Build();
        await machine.StartAsync(cancellationToken);
        return await machine.WaitForExitAsync(cancellationToken);
    }
}
