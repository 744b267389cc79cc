using Microsoft.Extensions.DependencyInjection;
using Uml.Core.Cpu;
using Uml.Core.Machine;

namespace Uml.Core.Tests.Machine;

[TestFixture]
public sealed class MachineOptionsTests
{
    [TestCase(0UL, "minimum of 1 MiB")]
    [TestCase(256UL, "256 MiB is 256UL << 20")]
    [TestCase((1UL << 20) + 1, "use 1052672")]
    [TestCase((512UL << 30) + 4096, "maximum of 512 GiB")]
    [TestCase(ulong.MaxValue, "maximum of 512 GiB")]
    public void A_wrong_memory_size_says_what_to_do(ulong size, string advice) =>
        Assert.That(
            () => Build(o => o.MemorySize = size),
            Throws.InstanceOf<MachineConfigurationException>().With.Message.Contains(advice));

    [Test]
    public void Every_problem_is_told_at_once() =>
        Assert.That(
            () => Build(o =>
            {
                o.Name = " ";
                o.ClockMode = (ClockMode)9;
                o.StartTime = DateTimeOffset.MinValue;
                o.Cpu.Engine = (CpuEngine)5;
                o.Cpu.Model = (CpuModel)3;
            }),
            Throws.InstanceOf<MachineConfigurationException>()
                .With.Message.Contains("Name").And.Message.Contains("ClockMode").And.Message.Contains("StartTime").And.Message.Contains("Engine")
                .And.Message.Contains("MachineOptions.Cpu.Model is 3; use CpuModel.Host, X64V2 or X64V3."));

    [Test]
    public async Task A_builder_builds_once()
    {
        using var cpu = new ScriptedCpu();
        VirtualMachineBuilder builder = ScriptedMachine.CreateBuilder(cpu);
        await using IVirtualMachine machine = builder.Build();
        Assert.That(builder.Build, Throws.InvalidOperationException);
    }

    [Test]
    public void A_device_that_cannot_be_attached_leaves_nothing_behind()
    {
        using var cpu = new ScriptedCpu();
        VirtualMachineBuilder builder = ScriptedMachine.CreateBuilder(cpu);
        builder.Services.AddSingleton<IMachineDevice>(_ => new TestDevice(_ => throw new InvalidDataException("no")));
        Assert.That(builder.Build, Throws.InstanceOf<InvalidDataException>());
        Assert.That(cpu.IsDisposed);
    }

    [Test]
    public async Task The_name_reaches_the_machine()
    {
        using var cpu = new ScriptedCpu();
        await using IVirtualMachine machine = ScriptedMachine.CreateBuilder(cpu).Configure(o => o.Name = "box").Build();
        Assert.That(machine.Name, Is.EqualTo("box"));
    }

    private static void Build(Action<MachineOptions> configure)
    {
        using var cpu = new ScriptedCpu();
        ScriptedMachine.CreateBuilder(cpu).Configure(configure).Build();
    }
}
