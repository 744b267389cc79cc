using Microsoft.Extensions.DependencyInjection;
using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Memory;

namespace Uml.Core.Sandbox;

/// <summary>
/// A machine without instructions, for unit tests of devices: they are attached to the real buses and RAM, and the test makes the guest's
/// accesses and advances time. Posted actions and timers run in <see cref="Advance"/>.
/// </summary>
/// <remarks>
/// <code>
/// using var sandbox = new DeviceSandbox(builder => builder.AddStandardBoard());
/// sandbox.WritePort(0x70, 1, 13);
/// Assert.That(sandbox.ReadPort(0x71, 1), Is.EqualTo(0x80));
/// </code>
/// Guest time begins on 2000-01-01 unless <see cref="MachineOptions.StartTime"/> says otherwise. It is virtual unless
/// <see cref="MachineOptions.ClockMode"/> says otherwise: in real time, too, it is the test that advances it, but devices end their work when they have
/// done it. Not safe for several threads, except that
/// devices post from any.
/// </remarks>
public sealed class DeviceSandbox : IDisposable
{
    /// <summary>The most timers that fire in one <see cref="Advance"/>; a limit of ours, against a timer that is always due.</summary>
    private const int MaximumTimers = 10_000_000;

    private readonly ServiceProvider _services;
    private readonly GuestRam _ram;
    private readonly MachineBus _bus;
    private readonly SandboxClock _clock;
    private readonly SandboxProcessor[] _processors;
    private readonly MachineDevices _devices;
    private readonly List<MachineExit> _exits = [];
    private readonly Queue<PostedAction> _posted = new();

    /// <summary>Builds a machine's devices, attaches and resets them.</summary>
    /// <param name="compose">Registers them, as for a machine.</param>
    /// <param name="options">Further options; null for the defaults.</param>
    /// <exception cref="MachineConfigurationException">An option is wrong; the message says what to do.</exception>
    public DeviceSandbox(Action<VirtualMachineBuilder> compose, DeviceSandboxOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(compose);
        options ??= new DeviceSandboxOptions();
        ArgumentOutOfRangeException.ThrowIfLessThan(options.ProcessorCount, 1, nameof(options));
        VirtualMachineBuilder builder = new VirtualMachineBuilder().Configure(machine => machine.ClockMode = ClockMode.Virtual);
        compose(builder);
        (_services, MachineOptions machine) = builder.BuildServices();
        _ram = new GuestRam(machine.MemorySize);
        _bus = new MachineBus(_ram.Ranges);
        _clock = new SandboxClock(VirtualMachineBuilder.GetStartTime(machine, TimeProvider.System), options.StartNanoseconds, machine.ClockMode == ClockMode.Virtual);
        _processors = [.. Enumerable.Range(0, options.ProcessorCount).Select(index => new SandboxProcessor(index))];
        _devices = new MachineDevices(new DeviceHost(_bus, _ram, _clock, _processors, _exits.Add, Post), static () => true);
        try
        {
            _devices.PowerOn(_services.GetServices<IMachineDevice>());
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The machine's own services.</summary>
    public IServiceProvider Services => _services;

    /// <summary>Guest RAM.</summary>
    public IGuestMemory Memory => _ram;

    /// <summary>Guest time.</summary>
    public IMachineClock Clock => _clock;

    /// <summary>The devices.</summary>
    public IMachineDevices Devices => _devices;

    /// <summary>The pins of the processors.</summary>
    public IReadOnlyList<SandboxProcessor> Processors => _processors;

    /// <summary>The exits that devices have requested, in order.</summary>
    public IReadOnlyList<MachineExit> Exits => _exits;

    /// <summary>The names of the timers that are armed.</summary>
    public IReadOnlyList<string> ArmedTimers => _clock.ArmedTimers;

    /// <summary>The address ranges that a device has claimed.</summary>
    public IReadOnlyList<DeviceClaim> GetClaims(IMachineDevice device) => [.. _devices.GetClaims(device)];

    /// <summary>Reads guest-physical memory that is not RAM.</summary>
    /// <param name="address">Any address.</param>
    /// <param name="size">1, 2, 4 or 8 bytes.</param>
    /// <returns>The value; all ones where no device answers.</returns>
    public ulong ReadMemory(ulong address, int size) => _bus.ReadMemory(_processors[0], address, size);

    /// <summary>Writes guest-physical memory that is not RAM.</summary>
    /// <param name="address">Any address.</param>
    /// <param name="size">1, 2, 4 or 8 bytes.</param>
    /// <param name="value">The value.</param>
    public void WriteMemory(ulong address, int size, ulong value) => _bus.WriteMemory(_processors[0], address, size, value);

    /// <summary>IN.</summary>
    /// <param name="port">The port.</param>
    /// <param name="size">1, 2 or 4 bytes.</param>
    public ulong ReadPort(ushort port, int size) => _bus.ReadPort(_processors[0], port, size);

    /// <summary>OUT.</summary>
    /// <param name="port">The port.</param>
    /// <param name="size">1, 2 or 4 bytes.</param>
    /// <param name="value">The value.</param>
    public void WritePort(ushort port, int size, ulong value) => _bus.WritePort(_processors[0], port, size, value);

    /// <summary>RDMSR of a register that a device has.</summary>
    /// <returns>False where the guest gets #GP.</returns>
    public bool TryReadMsr(uint index, out ulong value, int processor = 0) => _bus.TryReadMsr(_processors[processor], index, out value);

    /// <summary>WRMSR of a register that a device has.</summary>
    /// <returns>False where the guest gets #GP.</returns>
    public bool TryWriteMsr(uint index, ulong value, int processor = 0) => _bus.TryWriteMsr(_processors[processor], index, value);

    /// <summary>Runs posted actions, advances time, and runs the timers that become due, each at its deadline.</summary>
    /// <param name="nanoseconds">How much time.</param>
    public void Advance(ulong nanoseconds)
    {
        ulong end = _clock.Nanoseconds + nanoseconds;
        RunPosted();
        for (int fired = 0; _clock.NextDeadline is { } deadline && deadline <= end; fired++)
        {
            if (fired == MaximumTimers)
            {
                throw new InvalidOperationException($"Time does not pass: timers {string.Join(", ", ArmedTimers)} fire again and again.");
            }

            _clock.SkipTo(deadline);
            _clock.RunDueTimers();
            RunPosted();
        }

        _clock.SkipTo(end);
        _devices.Quiesce();
    }

    /// <summary>Resets all devices, as a guest's reboot does.</summary>
    public void Reset() => _devices.Reset();

    /// <summary>Disposes the devices, the other services, and the memory.</summary>
    public void Dispose()
    {
        // Some services may implement asynchronous disposal only; there is no synchronization context here that waiting could block.
        _services.DisposeAsync().AsTask().GetAwaiter().GetResult();
        _ram.Dispose();
    }

    private void Post(PostedAction action)
    {
        lock (_posted)
        {
            _posted.Enqueue(action);
        }
    }

    private void RunPosted()
    {
        // Only the actions posted so far, so that one that posts itself again does not keep time from advancing.
        int count;
        lock (_posted)
        {
            count = _posted.Count;
        }

        for (; count > 0; count--)
        {
            PostedAction action;
            lock (_posted)
            {
                action = _posted.Dequeue();
            }

            action.Run();
        }
    }
}
