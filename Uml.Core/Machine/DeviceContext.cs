using System.Diagnostics.CodeAnalysis;
using Uml.Core.Bus;
using Uml.Core.Memory;

namespace Uml.Core.Machine;

/// <summary>The parts of a machine that all devices share.</summary>
/// <param name="Bus">The address spaces.</param>
/// <param name="Memory">Guest RAM.</param>
/// <param name="Clock">Guest time.</param>
/// <param name="Processors">The virtual CPUs.</param>
/// <param name="RequestExit">Ends the machine.</param>
/// <param name="Post">Runs an action on the machine's thread.</param>
internal sealed record DeviceHost(
    IMachineBus Bus, IGuestMemory Memory, IMachineClock Clock, IReadOnlyList<IProcessor> Processors, Action<MachineExit> RequestExit, Action<PostedAction> Post);

/// <summary>
/// The machine as one device sees it: records what the device claims and creates, and releases all of it when the device is detached.
/// </summary>
internal sealed class DeviceContext(DeviceHost host, string id, IMachineDevices devices) : IMachineContext, IMachineBus, IMachineClock, IDisposable
{
    /// <summary>What is released with the device, in order of acquisition.</summary>
    private readonly List<Resource> _resources = [];
    private volatile bool _isDetached;

    public event Action? Quiescing;

    public IMachineBus Bus => this;

    public IGuestMemory Memory => host.Memory;

    public IMachineClock Clock => this;

    public IReadOnlyList<IProcessor> Processors => host.Processors;

    public IReadOnlyList<IMachineDevice> Devices => devices.Attached;

    public ulong Nanoseconds => host.Clock.Nanoseconds;

    public bool IsVirtual => host.Clock.IsVirtual;

    public ulong TscFrequency => host.Clock.TscFrequency;

    public DateTimeOffset StartTime => host.Clock.StartTime;

    /// <summary>The buses themselves.</summary>
    public IMachineBus MachineBus => host.Bus;

    /// <summary>Whether the device has been detached.</summary>
    public bool IsDetached => _isDetached;

    /// <summary>The address ranges that the device has claimed.</summary>
    public IEnumerable<DeviceClaim> Claims => _resources.OfType<Claim>().Select(claim => claim.Range);

    public ulong ReadTsc() => host.Clock.ReadTsc();

    public IMachineTimer CreateTimer(string name, Action callback)
    {
        ThrowIfDetached();
        return Track(new DeviceTimer(this, host.Clock.CreateTimer(name, callback)));
    }

    public T Own<T>(T resource)
        where T : IDisposable
    {
        ThrowIfDetached();
        Track(new Resource(this, resource));
        return resource;
    }

    public void RequestExit(MachineExit exit)
    {
        ArgumentNullException.ThrowIfNull(exit);
        if (!_isDetached)
        {
            host.RequestExit(exit);
        }
    }

    public void Post(Action action)
    {
        ArgumentNullException.ThrowIfNull(action);
        host.Post(new PostedAction(action, this));
    }

    public IDisposable MapMemory(GuestPhysicalAddress start, ulong length, IBusDevice device)
    {
        ThrowIfDetached();
        return AddClaim(new(AddressSpaceKind.Memory, start.Value, length), host.Bus.MapMemory(start, length, device));
    }

    public bool TryMapMemory(GuestPhysicalAddress start, ulong length, IBusDevice device, [NotNullWhen(true)] out IDisposable? claim)
    {
        ThrowIfDetached();
        claim = host.Bus.TryMapMemory(start, length, device, out IDisposable? found)
            ? AddClaim(new(AddressSpaceKind.Memory, start.Value, length), found)
            : null;
        return claim is not null;
    }

    public IDisposable MapPorts(ushort start, int count, IBusDevice device)
    {
        ThrowIfDetached();
        return AddClaim(new(AddressSpaceKind.Ports, start, (ulong)count), host.Bus.MapPorts(start, count, device));
    }

    public bool TryMapPorts(ushort start, int count, IBusDevice device, [NotNullWhen(true)] out IDisposable? claim)
    {
        ThrowIfDetached();
        claim = host.Bus.TryMapPorts(start, count, device, out IDisposable? found)
            ? AddClaim(new(AddressSpaceKind.Ports, start, (ulong)count), found)
            : null;
        return claim is not null;
    }

    public IDisposable MapMsrs(uint start, uint count, IMsrDevice device)
    {
        ThrowIfDetached();
        return AddClaim(new(AddressSpaceKind.Msrs, start, count), host.Bus.MapMsrs(start, count, device));
    }

    /// <summary>Raises the device's <c>Quiescing</c> event, on which it flushes what it has buffered.</summary>
    public void Quiesce() => Quiescing?.Invoke();

    /// <summary>Releases what the device has claimed and created, last first, and the rest also when something throws.</summary>
    public void Dispose()
    {
        _isDetached = true;
        Quiescing = null;
        while (_resources.Count > 0)
        {
            try
            {
                _resources[^1].Dispose();
            }
            catch
            {
                Dispose();
                throw;
            }
        }
    }

    private Claim AddClaim(DeviceClaim range, IDisposable claim) => Track(new Claim(this, range, claim));

    private TResource Track<TResource>(TResource resource)
        where TResource : Resource
    {
        _resources.Add(resource);
        return resource;
    }

    private void ThrowIfDetached()
    {
        if (_isDetached)
        {
            throw new InvalidOperationException($"Device '{id}' is detached; it can claim addresses and make timers while it is attached.");
        }
    }

    /// <summary>Something that the device has taken, until it is disposed, by the device itself or with it.</summary>
    private class Resource(DeviceContext context, IDisposable inner) : IDisposable
    {
        public void Dispose()
        {
            int index = context._resources.LastIndexOf(this);
            if (index >= 0)
            {
                context._resources.RemoveAt(index);
                inner.Dispose();
            }
        }
    }

    private sealed class Claim(DeviceContext context, DeviceClaim range, IDisposable inner) : Resource(context, inner)
    {
        public DeviceClaim Range => range;
    }

    private sealed class DeviceTimer(DeviceContext context, IMachineTimer inner) : Resource(context, inner), IMachineTimer
    {
        public string Name => inner.Name;

        public ulong? Deadline => inner.Deadline;

        public int Order => inner.Order;

        public void Schedule(ulong deadline) => inner.Schedule(deadline);

        public void Restore(ulong deadline, int order) => inner.Restore(deadline, order);

        public void Cancel() => inner.Cancel();
    }
}
