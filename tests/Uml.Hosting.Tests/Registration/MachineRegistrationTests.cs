using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Uml.Core;
using Uml.Core.Boot;
using Uml.Core.Machine;

namespace Uml.Hosting.Tests.Registration;

[TestFixture]
[CancelAfter(60_000)]
public sealed class MachineRegistrationTests
{
    /// <summary>mov dx, 0xF4; mov eax, 9; out dx, eax; hlt.</summary>
    private static readonly byte[] ExitWithNine = [0x66, 0xBA, 0xF4, 0x00, 0xB8, 0x09, 0, 0, 0, 0xEF, 0xF4];

    /// <summary>jmp $.</summary>
    private static readonly byte[] Spin = [0xEB, 0xFE];

    [Test]
    public async Task A_machine_starts_and_stops_with_its_host(CancellationToken token)
    {
        using IHost host = Create(services => services.AddVirtualMachine("box", (machine, _) => Boot(machine, Spin)));
        IVirtualMachine machine = host.Services.GetRequiredService<IVirtualMachine>();
        await host.StartAsync(token);
        Assert.That(machine.State, Is.EqualTo(MachineState.Running));
        Assert.That(machine.Name, Is.EqualTo("box"));
        await host.StopAsync(token);
        Assert.That(machine.State, Is.EqualTo(MachineState.Stopped));
    }

    [Test]
    public async Task The_end_of_a_machine_can_stop_its_host(CancellationToken token)
    {
        using IHost host = Create(services => services.AddVirtualMachine(
            "box", (machine, _) => Boot(machine, ExitWithNine), new MachineHostOptions { StopHostOnExit = true }));
        IVirtualMachine machine = host.Services.GetRequiredKeyedService<IVirtualMachine>("box");
        await host.RunAsync(token);
        MachineExit exit = await machine.WaitForExitAsync(token);
        Assert.That((exit.Reason, exit.Status), Is.EqualTo((MachineExitReason.DebugExit, 9u)));
    }

    [Test]
    public async Task A_machine_can_wait_to_be_started(CancellationToken token)
    {
        using IHost host = Create(services => services.AddVirtualMachine(
            "box", (machine, _) => Boot(machine, Spin), new MachineHostOptions { StartWithHost = false }));
        await host.StartAsync(token);
        Assert.That(host.Services.GetRequiredService<IVirtualMachine>().State, Is.EqualTo(MachineState.Created));
        await host.StopAsync(token);
    }

    [Test]
    public async Task Machines_are_told_apart_by_name(CancellationToken token)
    {
        using IHost host = Create(services => services
            .AddVirtualMachine("one", (machine, _) => Boot(machine, Spin))
            .AddVirtualMachine("two", (machine, _) => Boot(machine, ExitWithNine)));
        await host.StartAsync(token);
        IVirtualMachine one = host.Services.GetRequiredKeyedService<IVirtualMachine>("one");
        IVirtualMachine two = host.Services.GetRequiredKeyedService<IVirtualMachine>("two");
        await two.WaitForExitAsync(token);
        Assert.That(one.State, Is.EqualTo(MachineState.Running));
        Assert.That(host.Services.GetRequiredService<IVirtualMachine>(), Is.SameAs(one));
        await host.StopAsync(token);
    }

    [Test]
    public async Task A_machine_gets_the_hosts_clock()
    {
        var provider = new FixedTime();
        using IHost host = Create(services => services.AddSingleton<TimeProvider>(provider).AddVirtualMachine("box", (_, _) => { }));
        await using IVirtualMachine machine = host.Services.GetRequiredService<IVirtualMachine>();
        Assert.That(machine.Clock.StartTime, Is.EqualTo(provider.GetUtcNow()));
    }

    [Test]
    public async Task Configuration_describes_a_machine()
    {
        using IHost host = Create(services => services.AddVirtualMachine("box", Section(
            ("Memory", "96M"), ("Kernel", "/boot/none"), ("CommandLine", "quiet"), ("ClockMode", "Virtual"), ("Protocol", "Flat64"),
            ("TranslationCheck", "interpret"))));
        await using IVirtualMachine machine = host.Services.GetRequiredService<IVirtualMachine>();
        Assert.That(machine.Memory.Size, Is.EqualTo(96UL << 20));
        MachineOptions options = machine.Services.GetRequiredService<IOptions<MachineOptions>>().Value;
        Assert.That((options.ClockMode, options.Cpu.TranslationCheck), Is.EqualTo((ClockMode.Virtual, TranslationCheck.Interpret)));
        BootOptions boot = machine.Services.GetRequiredService<IOptions<BootOptions>>().Value;
        Assert.That((boot.Kernel!.Name, boot.CommandLine, boot.Protocol), Is.EqualTo(("/boot/none", "quiet", BootProtocol.Flat64)));
    }

    [TestCase("Memory", "lots", "'lots' is not a size")]
    [TestCase("Memory", "1K", "minimum of 1 MiB")]
    [TestCase("ClockMode", "Sideways", "ClockMode")]
    [TestCase("TranslationCheck", "Stopp", "TranslationCheck")]
    [TestCase("TranslationCheck", "4", "use TranslationCheck.None, Interpret or Stop")]
    public void Wrong_configuration_says_what_to_write(string key, string value, string advice)
    {
        using IHost host = Create(services => services.AddVirtualMachine("box", Section((key, value))));
        Assert.That(
            host.Services.GetRequiredService<IVirtualMachine>,
            Throws.InstanceOf<MachineConfigurationException>().With.Message.Contains(advice));
    }

    private static IHost Create(Action<IServiceCollection> configure)
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        configure(builder.Services);
        return builder.Build();
    }

    private static IConfigurationSection Section(params (string Key, string Value)[] values) => new ConfigurationBuilder()
        .AddInMemoryCollection(values.Select(value => KeyValuePair.Create<string, string?>("M:" + value.Key, value.Value)))
        .Build().GetSection("M");

    private static void Boot(VirtualMachineBuilder machine, byte[] code) => machine
        .Configure(options => options.MemorySize = 4UL << 20)
        .UseKernel(BootFile.FromBytes(code))
        .ConfigureBoot(boot => boot.Protocol = BootProtocol.Flat64);

    private sealed class FixedTime : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => new(2030, 1, 2, 3, 4, 5, TimeSpan.Zero);
    }
}
