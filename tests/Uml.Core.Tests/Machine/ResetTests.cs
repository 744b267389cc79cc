using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Uml.Core.Boot;
using Uml.Core.Bus;
using Uml.Core.Machine;

namespace Uml.Core.Tests.Machine;

/// <summary>A guest's reboot, which ends the machine or lets it begin anew.</summary>
[TestFixture]
[CancelAfter(60_000)]
public sealed class ResetTests
{
    // mov rax, [0x8000]; inc rax; mov [0x8000], rax; out 0x10, al; cmp al, 3; je end; mov al, 1; out 0x11, al; spin: jmp spin; end: out 0x12, al
    private static readonly byte[] RebootsTwice =
    [
        0x48, 0x8B, 0x04, 0x25, 0x00, 0x80, 0x00, 0x00, 0x48, 0xFF, 0xC0, 0x48, 0x89, 0x04, 0x25, 0x00, 0x80, 0x00, 0x00, 0xE6, 0x10,
        0x3C, 0x03, 0x74, 0x06, 0xB0, 0x01, 0xE6, 0x11, 0xEB, 0xFE, 0xE6, 0x12, 0xEB, 0xFE,
    ];

    [Test]
    public async Task A_reboot_ends_the_machine_unless_told_otherwise(CancellationToken token)
    {
        Board board = new();
        await using IVirtualMachine machine = Create(board, RebootAction.Stop).Build();
        await machine.StartAsync(token);
        MachineExit exit = await machine.WaitForExitAsync(token);
        Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.Reboot));
        Assert.That((board.Boots, board.Resets), Is.EqualTo((1, 1)));
    }

    [Test]
    public async Task A_machine_that_resets_begins_with_its_kernel_again(CancellationToken token)
    {
        Board board = new();
        RecordingLoggerFactory loggers = new();
        VirtualMachineBuilder builder = Create(board, RebootAction.Reset);
        builder.Services.AddSingleton<ILoggerFactory>(loggers);
        await using IVirtualMachine machine = builder.Build();
        await machine.StartAsync(token);
        MachineExit exit = await machine.WaitForExitAsync(token);
        Assert.That((exit.Reason, exit.Message), Is.EqualTo((MachineExitReason.PowerOff, "off")));
        Assert.That((board.Boots, board.Resets), Is.EqualTo((3, 3)), "and what the guest kept in RAM is still there");
    }

    [Test]
    public async Task A_machine_without_a_kernel_has_nothing_to_begin_with(CancellationToken token)
    {
        Board board = new();
        VirtualMachineBuilder builder = new VirtualMachineBuilder().Configure(options => (options.MemorySize, options.OnReboot) = (4 << 20, RebootAction.Reset));
        builder.Services.AddSingleton<IMachineDevice>(board);
        await using IVirtualMachine machine = builder.Build();
        machine.Processors[0].Rip = 0x1000;
        await machine.StartAsync(token);
        board.Machine!.RequestExit(new MachineExit(MachineExitReason.Reboot, 0, "now"));
        Assert.That((await machine.WaitForExitAsync(token)).Reason, Is.EqualTo(MachineExitReason.Reboot));
    }

    [Test]
    public async Task A_kernel_that_is_gone_by_then_is_told_of(CancellationToken token)
    {
        string path = Path.GetTempFileName();
        await File.WriteAllBytesAsync(path, RebootsTwice, token);
        Board board = new() { OnBoot = () => File.Delete(path) };
        await using IVirtualMachine machine = Create(board, RebootAction.Reset).ConfigureBoot(boot => boot.Kernel = BootFile.FromPath(path)).Build();
        await machine.StartAsync(token);
        MachineExit exit = await machine.WaitForExitAsync(token);
        Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.ServiceFailure));
        Assert.That(exit.Message, Does.Contain("rebooted").And.Contain(path));
    }

    [Test]
    public async Task A_device_may_end_the_machine_instead(CancellationToken token)
    {
        Board board = new() { ExitAtReset = new MachineExit(MachineExitReason.Panic, 0, "panicked") };
        await using IVirtualMachine machine = Create(board, RebootAction.Reset).Build();
        await machine.StartAsync(token);
        Assert.That((await machine.WaitForExitAsync(token)).Reason, Is.EqualTo(MachineExitReason.Panic));
    }

    [Test]
    public async Task A_guest_that_reboots_for_ever_can_be_paused_and_stopped(CancellationToken token)
    {
        Board board = new();
        await using IVirtualMachine machine = Create(board, RebootAction.Reset)
            .ConfigureBoot(boot => boot.Kernel = BootFile.FromBytes(new byte[] { 0xE6, 0x11, 0xEB, 0xFE }))
            .Build();
        await machine.StartAsync(token);
        for (int i = 0; i < 10 || board.Resets < 5; i++)
        {
            await machine.PauseAsync(token);
            _ = machine.Processors[0].Rip;
            await machine.ResumeAsync(token);

            // On a busy host a guest may get no time between a resume and the next pause.
            await Task.Delay(1, token);
        }

        await machine.StopAsync(token);
        Assert.That((await machine.WaitForExitAsync(token)).Reason, Is.EqualTo(MachineExitReason.HostStop));
    }

    [Test]
    public async Task A_reboot_that_is_asked_for_behind_the_machines_end_is_ignored(CancellationToken token)
    {
        Board board = new();
        IVirtualMachine machine = Create(board, RebootAction.Reset).Build();
        await machine.StartAsync(token);
        await machine.DisposeAsync();
        Assert.That(() => board.Machine!.RequestExit(new MachineExit(MachineExitReason.Reboot, 0, "late")), Throws.Nothing);
        Assert.That(() => board.Machine!.Post(() => Assert.Fail("There is no thread.")), Throws.Nothing);
    }

    private static VirtualMachineBuilder Create(Board board, RebootAction action)
    {
        VirtualMachineBuilder builder = new VirtualMachineBuilder()
            .Configure(options => (options.MemorySize, options.OnReboot) = (4 << 20, action))
            .ConfigureBoot(boot => (boot.Kernel, boot.Protocol) = (BootFile.FromBytes(RebootsTwice), BootProtocol.Flat64));
        builder.Services.AddSingleton<IMachineDevice>(board);
        return builder;
    }

    /// <summary>Port 0x10 counts boots, 0x11 reboots, 0x12 switches off.</summary>
    private sealed class Board() : StatelessDevice("board"), IBusDevice
    {
        public IMachineContext? Machine { get; private set; }

        public int Boots { get; private set; }

        public int Resets { get; private set; }

        public Action? OnBoot { get; init; }

        public MachineExit? ExitAtReset { get; init; }

        public override void Attach(IMachineContext machine)
        {
            Machine = machine;
            machine.Bus.MapPorts(0x10, 3, this);
        }

        public override void Reset()
        {
            if (++Resets > 1 && ExitAtReset is { } exit)
            {
                Machine!.RequestExit(exit);
            }
        }

        public ulong Read(IProcessor processor, ulong offset, int size) => 0;

        public void Write(IProcessor processor, ulong offset, int size, ulong value)
        {
            switch (offset)
            {
                case 0:
                    Boots++;
                    OnBoot?.Invoke();
                    break;
                case 1:
                    Machine!.RequestExit(new MachineExit(MachineExitReason.Reboot, 0, "again"));
                    break;
                default:
                    Machine!.RequestExit(new MachineExit(MachineExitReason.PowerOff, 0, "off"));
                    break;
            }
        }
    }
}
