using Uml.Core;
using Uml.Core.Boot;
using Uml.Devices.Platform;

namespace Uml.Devices.Tests.Platform;

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

    private static async Task<MachineExit> RunAsync(byte[] code, CancellationToken cancellationToken)
    {
        await using var machine = new VirtualMachineBuilder()
            .AddStandardBoard()
            .Configure(options => options.MemorySize = 4 << 20)
            .UseKernel(BootFile.FromBytes(WrapInElf(code)))
            .Build();
        await machine.StartAsync(cancellationToken);
        return await machine.WaitForExitAsync(cancellationToken);
    }

    // The least that the 64-bit Linux entry takes: one loadable segment at 1 MiB, entered at its start.
    private static byte[] WrapInElf(byte[] code)
    {
        const int HeaderLength = 64;
        const int SegmentOffset = 120;
        const ulong LoadAddress = 0x10_0000;
        byte[] elf = new byte[SegmentOffset + code.Length];
        using var writer = new BinaryWriter(new MemoryStream(elf));
        writer.Write([0x7F, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 62, 0, 1, 0, 0, 0]);
        writer.Write(LoadAddress);
        writer.Write((ulong)HeaderLength);
        writer.Write(new byte[12]);
        writer.Write([HeaderLength, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
        writer.Write([1, 0, 0, 0, 7, 0, 0, 0]);
        writer.Write((ulong)SegmentOffset);
        writer.Write(LoadAddress);
        writer.Write(LoadAddress);
        writer.Write((ulong)code.Length);
        writer.Write((ulong)code.Length);
        writer.Write(0x1000UL);
        writer.Write(code);
        return elf;
    }
}
