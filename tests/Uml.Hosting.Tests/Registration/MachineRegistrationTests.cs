using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Uml.Core;
using Uml.Core.Boot;
using Uml.Core.Cpu;
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
            ("TranslationCheck", "interpret"), ("Engine", "interpreter"), ("CpuModel", "X64V2"), ("Seed", "77"), ("StartTime", "2030-01-02T03:04:05Z"))));
        await using IVirtualMachine machine = host.Services.GetRequiredService<IVirtualMachine>();
        Assert.That(machine.Memory.Size, Is.EqualTo(96UL << 20));
        MachineOptions options = machine.Services.GetRequiredService<IOptions<MachineOptions>>().Value;
        Assert.That((options.ClockMode, options.Cpu.TranslationCheck), Is.EqualTo((ClockMode.Virtual, TranslationCheck.Interpret)));
        Assert.That((options.Cpu.Engine, options.Cpu.Model), Is.EqualTo((CpuEngine.Interpreter, CpuModel.X64V2)));
        Assert.That((options.RandomSeed, options.StartTime), Is.EqualTo(((ulong?)77, (DateTimeOffset?)new DateTimeOffset(2030, 1, 2, 3, 4, 5, TimeSpan.Zero))));
        BootOptions boot = machine.Services.GetRequiredService<IOptions<BootOptions>>().Value;
        Assert.That((boot.Kernel!.Name, boot.CommandLine, boot.Protocol), Is.EqualTo(("/boot/none", "quiet", BootProtocol.Flat64)));
    }

    [Test]
    public async Task Configuration_leaves_what_it_does_not_name()
    {
        await using IVirtualMachine machine = UmlMachine.CreateDefaultBuilder()
            .Configure(options => (options.ClockMode, options.RandomSeed) = (ClockMode.Virtual, 5))
            .ConfigureBoot(boot => (boot.Protocol, boot.CommandLine) = (BootProtocol.Flat64, "quiet"))
            .Configure(Section(("Memory", "64M")))
            .Build();
        MachineOptions options = machine.Services.GetRequiredService<IOptions<MachineOptions>>().Value;
        Assert.That((options.MemorySize, options.ClockMode, options.RandomSeed), Is.EqualTo((64UL << 20, ClockMode.Virtual, (ulong?)5)));
        BootOptions boot = machine.Services.GetRequiredService<IOptions<BootOptions>>().Value;
        Assert.That((boot.Protocol, boot.CommandLine), Is.EqualTo((BootProtocol.Flat64, "quiet")));
    }

    [TestCase("Memory", "lots", "'lots' is not a size")]
    [TestCase("Memory", "1K", "minimum of 1 MiB")]
    [TestCase("ClockMode", "Sideways", "ClockMode")]
    [TestCase("Memory", "128", "Write 128M for mebibytes, or 128B for bytes")]
    [TestCase("Kernel", "", "Kernel is empty; name a file or a package, or leave the key out")]
    [TestCase("Initrd", "", "Initrd is empty; name a file or a package, or leave the key out")]
    [TestCase("Kernle", "/boot/vmlinuz", "'Kernle'")]
    [TestCase("Cpu:Model", "X64V2", "'Cpu'")]
    [TestCase("Engine", "Qemu", "Engine")]
    [TestCase("Engine", "1", "Engine is '1'; write Interpreter or Jit, or leave the key out")]
    [TestCase("CpuModel", "9", "CpuModel is '9'; write Host, X64V2 or X64V3")]
    [TestCase("Protocol", "0", "Protocol is '0'; write Auto,")]
    [TestCase("ClockMode", "", "ClockMode is empty; write")]
    [TestCase("Seed", "", "Seed is empty; write")]
    [TestCase("StartTime", "", "StartTime is empty; write")]
    [TestCase("Seed", "-1", "Seed")]
    [TestCase("StartTime", "yesterday", "StartTime")]
    [TestCase("TranslationCheck", "Stopp", "TranslationCheck is 'Stopp'; write None, Interpret or Stop")]
    [TestCase("TranslationCheck", "4", "write None, Interpret or Stop")]
    [TestCase("TranslationCheck", "1", "write None, Interpret or Stop")]
    [TestCase("TranslationCheck", "None,Stop", "write None, Interpret or Stop")]
    [TestCase("TranslationCheck", "", "TranslationCheck is empty; write None, Interpret or Stop")]
    public void Wrong_configuration_says_what_to_write(string key, string value, string advice)
    {
        using IHost host = Create(services => services.AddVirtualMachine("box", Section((key, value))));
        Assert.That(
            host.Services.GetRequiredService<IVirtualMachine>,
            Throws.InstanceOf<MachineConfigurationException>().With.Message.Contains(advice));
    }

    [Test]
    public void An_unknown_key_is_answered_with_those_that_there_are()
    {
        using IHost host = Create(services => services.AddVirtualMachine("box", Section(("Memroy", "96M"))));
        string message = Assert.Throws<MachineConfigurationException>(() => host.Services.GetRequiredService<IVirtualMachine>())!.Message;
        foreach (System.Reflection.PropertyInfo property in typeof(MachineSettings).GetProperties())
        {
            Assert.That(message, Does.Contain(property.Name));
        }
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
