using System.Runtime.CompilerServices;
using Microsoft.Extensions.DependencyInjection;
using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Sandbox;
using Uml.Core.Snapshots;

namespace Uml.Core.Tests.Machine;

/// <summary>Devices come, are reset, and go.</summary>
[TestFixture]
[CancelAfter(30_000)]
public sealed class MachineDevicesTests
{
    [Test]
    public void All_devices_are_attached_before_the_first_one_is_reset()
    {
        List<string> calls = [];
        using DeviceSandbox sandbox = Create(new Recording("a", calls), new Recording("b", calls));
        Assert.That(calls, Is.EqualTo(new[] { "a attached", "b attached", "a reset", "b reset" }));
        sandbox.Reset();
        sandbox.Devices.Detach(sandbox.Devices.Find("a")!);
        sandbox.Reset();
        Assert.That(calls.Skip(4), Is.EqualTo(new[] { "a reset", "b reset", "a detached", "b reset" }));
        Assert.That(sandbox.Devices.Attached.Select(device => device.Id), Is.EqualTo(new[] { "b" }));
    }

    [Test]
    public void What_a_device_took_is_given_back_when_it_is_detached()
    {
        Recording device = new("a", []);
        using DeviceSandbox sandbox = Create(device);
        IMachineContext context = device.Machine!;
        IMachineTimer timer = context.Clock.CreateTimer("tick", () => Assert.Fail("The device is gone."));
        Resource owned = context.Own(new Resource());
        Registers registers = new();
        context.Bus.MapPorts(0x100, 4, registers);
        context.Bus.MapMemory(new(0xD000_0000), 0x1000, registers);
        context.Bus.MapMsrs(0x900, 1, registers);
        context.Bus.MapPorts(0x200, 1, registers).Dispose();
        context.Quiescing += () => Assert.Fail("The device is gone.");
        timer.Schedule(5);
        context.Post(() => Assert.Fail("The device is gone."));
        Assert.That(sandbox.GetClaims(device), Is.EqualTo(new DeviceClaim[]
        {
            new(AddressSpaceKind.Ports, 0x100, 4), new(AddressSpaceKind.Memory, 0xD000_0000, 0x1000), new(AddressSpaceKind.Msrs, 0x900, 1),
        }));
        Assert.That(sandbox.ArmedTimers, Is.EqualTo(new[] { "tick" }));

        sandbox.Devices.Detach(device);
        Assert.That(sandbox.ReadPort(0x100, 1), Is.EqualTo(0xFF));
        Assert.That(sandbox.ReadMemory(0xD000_0000, 4), Is.EqualTo(uint.MaxValue));
        Assert.That(sandbox.TryReadMsr(0x900, out _), Is.False);
        Assert.That(sandbox.ArmedTimers, Is.Empty);
        Assert.That(owned.Disposals, Is.EqualTo(1));
        sandbox.Advance(100);
        context.RequestExit(new MachineExit(MachineExitReason.HostStop, 0, "late"));
        Assert.That(sandbox.Exits, Is.Empty);
        Assert.That(() => timer.Schedule(1), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(() => context.Bus.MapPorts(0x100, 4, registers), Throws.InvalidOperationException.With.Message.Contains("'a' is detached"));
    }

    [Test]
    public void A_timer_that_its_device_disposes_is_not_kept_until_the_device_goes()
    {
        Recording device = new("a", []);
        using DeviceSandbox sandbox = Create(device);
        WeakReference callback = CreateAndDisposeTimer(device.Machine!);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        Assert.That(callback.IsAlive, Is.False);
        sandbox.Devices.Detach(device);
    }

    [Test]
    public void What_fails_to_be_given_back_keeps_nothing_else()
    {
        Recording device = new("a", []);
        using DeviceSandbox sandbox = Create(device);
        IMachineContext context = device.Machine!;
        Resource first = context.Own(new Resource()), last = new();
        context.Clock.CreateTimer("tick", () => Assert.Fail("The device is gone.")).Schedule(5);
        context.Own(new Resource { OnDispose = () => throw new InvalidDataException("no") });
        context.Own(last);
        Assert.That(() => sandbox.Devices.Detach(device), Throws.InstanceOf<InvalidDataException>());
        Assert.That((first.Disposals, last.Disposals), Is.EqualTo((1, 1)));
        Assert.That(sandbox.ArmedTimers, Is.Empty);
        Assert.That(sandbox.Devices.Attached, Is.Empty);
    }

    [Test]
    public void A_device_that_refuses_to_be_detached_stays_with_all_that_it_has()
    {
        Recording device = new("a", []) { OnDetach = () => throw new InvalidOperationException("no") };
        using DeviceSandbox sandbox = Create(device);
        device.Machine!.Bus.MapPorts(0x100, 4, new Registers());
        Assert.That(() => sandbox.Devices.Detach(device), Throws.InvalidOperationException);
        Assert.That(sandbox.Devices.Attached, Is.EqualTo(new[] { device }));
        Assert.That(sandbox.ReadPort(0x100, 1), Is.EqualTo(1));
    }

    [Test]
    public void A_device_that_fails_to_attach_leaves_nothing_behind()
    {
        Registers registers = new();
        using DeviceSandbox sandbox = Create();
        Assert.That(
            () => sandbox.Devices.Attach(new TestDevice(machine =>
            {
                machine.Bus.MapPorts(0x100, 4, registers);
                throw new InvalidDataException("no");
            })),
            Throws.InstanceOf<InvalidDataException>());
        Assert.That(sandbox.Devices.Attached, Is.Empty);
        sandbox.Devices.Attach(new TestDevice(machine => machine.Bus.MapPorts(0x100, 4, registers)));
    }

    [Test]
    public void A_device_that_fails_to_reset_is_not_plugged_in()
    {
        List<string> calls = [];
        using DeviceSandbox sandbox = Create();
        Recording device = new("a", calls) { OnReset = () => throw new InvalidDataException("no") };
        Assert.That(() => sandbox.Devices.Attach(device), Throws.InstanceOf<InvalidDataException>());
        Assert.That(sandbox.Devices.Attached, Is.Empty);
        Assert.That(calls, Is.EqualTo(new[] { "a attached", "a reset", "a detached" }));
        Assert.That(() => device.Machine!.Bus.MapPorts(0x100, 4, new Registers()), Throws.InvalidOperationException);
    }

    [TestCase("register")]
    [TestCase("timer")]
    [TestCase("action")]
    [TestCase("quiescing")]
    public void A_device_may_unplug_itself_whatever_it_is_called_for(string how)
    {
        List<string> calls = [];
        Recording device = new("a", calls), next = new("b", calls);
        using DeviceSandbox sandbox = Create(device, next);
        int quiesced = 0;
        void Unplug() => sandbox.Devices.Detach(device);
        next.Machine!.Quiescing += () => quiesced++;
        device.Machine!.Bus.MapPorts(0x100, 4, new Registers { OnWrite = how == "register" ? Unplug : null });
        device.Machine.Clock.CreateTimer("tick", how == "timer" ? Unplug : () => { }).Schedule(5);
        device.Machine.Post(how == "action" ? Unplug : () => { });
        device.Machine.Quiescing += how == "quiescing" ? Unplug : () => { };
        sandbox.WritePort(0x100, 4, 1);
        sandbox.Advance(10);
        Assert.That(sandbox.Devices.Attached, Is.EqualTo(new[] { next }));
        Assert.That(sandbox.ReadPort(0x100, 4), Is.EqualTo(uint.MaxValue));
        Assert.That(quiesced, Is.EqualTo(1), "the others are called all the same");
    }

    [Test]
    public void A_device_that_another_one_unplugs_at_a_reset_is_not_reset_any_more()
    {
        List<string> calls = [];
        Recording second = new("b", calls);
        DeviceSandbox? sandbox = null;
        using (sandbox = Create(new Recording("a", calls) { OnReset = () => sandbox?.Devices.Detach(second) }, second))
        {
            calls.Clear();
            sandbox.Reset();
            Assert.That(calls, Is.EqualTo(new[] { "a reset", "b detached" }));
        }
    }

    [Test]
    public void A_machine_that_cannot_be_built_leaves_nothing_behind_though_its_services_fail_to_end()
    {
        ScriptedCpu cpu = new();
        VirtualMachineBuilder builder = ScriptedMachine.CreateBuilder(cpu);
        builder.Services.AddSingleton<IMachineDevice>(_ => new Unending());
        Assert.That(builder.Build, Throws.InstanceOf<InvalidDataException>());
        Assert.That(cpu.IsDisposed);
    }

    [TestCase("")]
    [TestCase("Pit")]
    [TestCase("a b")]
    [TestCase("../x")]
    [TestCase("12345678901234567890123456789012345678901234567890123456789012345")]
    public void An_id_that_could_not_name_a_saved_state_is_refused(string id) =>
        Assert.That(() => Create(new TestDevice(_ => { }, id)), Throws.InvalidOperationException);

    [Test]
    public void Two_devices_of_one_id_are_refused() => Assert.That(
        () => Create(new TestDevice(_ => { }), new TestDevice(_ => { })), Throws.InvalidOperationException.With.Message.Contains("ids are unique"));

    [Test]
    public async Task Devices_come_and_go_while_the_machine_is_paused_only(CancellationToken token)
    {
        await using IVirtualMachine machine = ScriptedMachine.CreateBuilder(new ScriptedCpu()).Build();
        machine.Processors[0].Rip = 0x1000;
        TestDevice device = new(_ => { });
        await machine.StartAsync(token);
        Assert.That(() => machine.Devices.Attach(device), Throws.InvalidOperationException.With.Message.Contains("pause"));
        await machine.PauseAsync(token);
        machine.Devices.Attach(device);
        Assert.That(machine.Devices.Find("test"), Is.SameAs(device));
        machine.Devices.Detach(device);
        Assert.That(machine.Devices.Attached, Is.Empty);
        Assert.That(() => machine.Devices.Detach(device), Throws.InvalidOperationException);
    }

    [Test]
    public void A_timer_and_a_line_are_saved_with_their_device()
    {
        using DeviceSandbox sandbox = Create();
        IMachineTimer armed = sandbox.Clock.CreateTimer("armed", () => { }), idle = sandbox.Clock.CreateTimer("idle", () => { });
        armed.Schedule(77);
        System.Buffers.ArrayBufferWriter<byte> output = new();
        StateWriter writer = new(output);
        writer.Write(armed);
        writer.Write(idle);
        StateReader reader = new(output.WrittenMemory, "test");
        reader.Restore(idle);
        reader.Restore(armed);
        Assert.That((armed.Deadline, idle.Deadline), Is.EqualTo(((ulong?)null, (ulong?)77)));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static WeakReference CreateAndDisposeTimer(IMachineContext machine)
    {
        Resource request = new();
        machine.Clock.CreateTimer("request", request.Dispose).Dispose();
        return new WeakReference(request);
    }

    private static DeviceSandbox Create(params IMachineDevice[] devices) => new(builder =>
    {
        builder.Configure(machine => machine.MemorySize = 1 << 20);
        foreach (IMachineDevice device in devices)
        {
            builder.Services.AddSingleton(device);
        }
    });

    private sealed class Recording(string id, List<string> calls) : StatelessDevice(id)
    {
        public IMachineContext? Machine { get; private set; }

        public Action? OnReset { get; init; }

        public Action? OnDetach { get; init; }

        public override void Attach(IMachineContext machine)
        {
            Machine = machine;
            calls.Add($"{Id} attached");
        }

        public override void Detach()
        {
            calls.Add($"{Id} detached");
            OnDetach?.Invoke();
        }

        public override void Reset()
        {
            calls.Add($"{Id} reset");
            OnReset?.Invoke();
        }
    }

    private sealed class Unending() : StatelessDevice("a"), IDisposable
    {
        public override void Attach(IMachineContext machine) => throw new InvalidDataException("attach");

        public void Dispose() => throw new InvalidDataException("dispose");
    }

    private sealed class Resource : IDisposable
    {
        public Action? OnDispose { get; init; }

        public int Disposals { get; private set; }

        public void Dispose()
        {
            Disposals++;
            OnDispose?.Invoke();
        }
    }

    private sealed class Registers : IBusDevice, IMsrDevice
    {
        public Action? OnWrite { get; init; }

        public ulong Read(IProcessor processor, ulong offset, int size) => 1;

        public void Write(IProcessor processor, ulong offset, int size, ulong value) => OnWrite?.Invoke();

        public bool TryReadMsr(IProcessor processor, uint index, out ulong value)
        {
            value = 1;
            return true;
        }

        public bool TryWriteMsr(IProcessor processor, uint index, ulong value) => true;
    }
}
