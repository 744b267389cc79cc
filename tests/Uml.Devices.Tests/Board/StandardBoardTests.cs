using Microsoft.Extensions.DependencyInjection;
using Uml.Core.Machine;
using Uml.Devices.Board;
using Uml.Devices.Consoles;
using Uml.Devices.Interrupts;
using Uml.Devices.Tests.Fakes;

namespace Uml.Devices.Tests.Board;

internal sealed class StandardBoardTests
{
    private readonly FakeMachine _machine = new();

    [Test]
    public void A_byte_sent_to_com1_arrives_and_a_typed_one_interrupts_the_processor()
    {
        var channel = new FakeChannel();
        using var services = Attach(builder => builder.AddConsole(channel));
        _machine.Out(0x3F8, (byte)'>');
        _machine.Quiesce();
        Assert.That(channel.Output.ToString(), Is.EqualTo(">"));

        _machine.WriteMsr(0x1B, 0xFEE0_0D00);
        _machine.WriteMsr(0x80F, 0x1FF);
        _machine.Write32(0xFEC0_0000, 0x18);
        _machine.Write32(0xFEC0_0010, 0x24);
        _machine.Out(0x3FC, 0x08);
        _machine.Out(0x3F9, 0x01);
        channel.Type("x");
        _machine.RunPosted();
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x24));
        Assert.That(_machine.In(0x3F8), Is.EqualTo((byte)'x'));
    }

    [Test]
    public void Ports_exist_for_the_channels_that_are_registered()
    {
        var first = new FakeChannel();
        var third = new FakeChannel();
        using var services = Attach(builder => builder.AddConsole(first).AddConsole(third, "ttyS2"));
        _machine.Out(0x3F8, (byte)'1');
        _machine.Out(0x3E8, (byte)'3');
        _machine.Quiesce();
        Assert.That(first.Output.ToString(), Is.EqualTo("1"));
        Assert.That(third.Output.ToString(), Is.EqualTo("3"));
        Assert.That(_machine.In(0x2FD), Is.EqualTo(0xFF));
    }

    [Test]
    public void Without_a_channel_the_console_goes_nowhere()
    {
        using var services = Attach(_ => { });
        _machine.Out(0x3F8, (byte)'x');
        _machine.Quiesce();
        Assert.That(_machine.In(0x3FD), Is.EqualTo(0x60));
    }

    [Test]
    public void Every_device_is_one_object_under_both_its_names()
    {
        using var services = Attach(_ => { });
        var devices = services.GetServices<IMachineDevice>().ToList();
        Assert.That(devices, Is.Unique);
        Assert.That(devices, Has.Member(services.GetRequiredService<IoApic>()).And.Member(services.GetRequiredService<PicPair>()));
    }

    [Test]
    public void A_machine_has_one_board_and_a_port_one_channel()
    {
        VirtualMachineBuilder builder = new VirtualMachineBuilder().AddStandardBoard().AddConsole(new FakeChannel(), "ttyS1");
        Assert.That(() => builder.AddStandardBoard(), Throws.InvalidOperationException);
        Assert.That(() => builder.AddConsole(new FakeChannel(), "ttyS1"), Throws.InvalidOperationException);
        Assert.That(() => builder.AddConsole(new FakeChannel(), "ttyS4"), Throws.ArgumentException.With.Message.Contains("ttyS0, ttyS1"));
    }

    private ServiceProvider Attach(Action<VirtualMachineBuilder> configure)
    {
        VirtualMachineBuilder builder = new VirtualMachineBuilder().AddStandardBoard();
        configure(builder);
        var services = builder.Services.BuildServiceProvider(validateScopes: true);
        _machine.Plug([.. services.GetServices<IMachineDevice>()]);
        return services;
    }
}
