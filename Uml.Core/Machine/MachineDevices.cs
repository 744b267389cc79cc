namespace Uml.Core.Machine;

/// <summary>The devices of a machine, and what each has claimed.</summary>
/// <param name="host">The parts of the machine that devices are attached to.</param>
/// <param name="mayChange">Whether the calling thread may attach and detach devices at the moment.</param>
internal sealed class MachineDevices(DeviceHost host, Func<bool> mayChange) : IMachineDevices
{
    private const int MaximumId = 64;

    /// <summary>Replaced as a whole: devices come and go while others are called, and are looked at from other threads.</summary>
    private (IMachineDevice Device, DeviceContext Context)[] _attached = [];

    public IReadOnlyList<IMachineDevice> Attached => Array.ConvertAll(_attached, entry => entry.Device);

    /// <summary>Attaches the devices that a machine is built with, and resets them.</summary>
    public void PowerOn(IEnumerable<IMachineDevice> devices)
    {
        foreach (IMachineDevice device in devices)
        {
            Connect(device);
        }

        Reset();
    }

    public void Attach(IMachineDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        ThrowIfRunning();
        Connect(device);
        try
        {
            device.Reset();
        }
        catch
        {
            Detach(device);
            throw;
        }
    }

    public void Detach(IMachineDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        ThrowIfRunning();
        DeviceContext context = FindContext(device) ?? throw new InvalidOperationException($"Device '{device.Id}' is not attached to this machine.");
        device.Detach();
        _attached = Array.FindAll(_attached, entry => entry.Context != context);
        context.Dispose();
    }

    public IMachineDevice? Find(string id) => Array.Find(_attached, entry => entry.Device.Id == id).Device;

    /// <summary>Resets all devices, in order of attaching.</summary>
    public void Reset()
    {
        foreach ((IMachineDevice device, DeviceContext context) in _attached)
        {
            if (!context.IsDetached)
            {
                device.Reset();
            }
        }
    }

    /// <summary>Makes devices flush what they have buffered.</summary>
    public void Quiesce()
    {
        foreach ((_, DeviceContext context) in _attached)
        {
            context.Quiesce();
        }
    }

    /// <summary>The address ranges that a device has claimed; none when it is not attached.</summary>
    public IEnumerable<DeviceClaim> GetClaims(IMachineDevice device) => FindContext(device)?.Claims ?? [];

    private DeviceContext? FindContext(IMachineDevice device) => Array.Find(_attached, entry => ReferenceEquals(entry.Device, device)).Context;

    private void Connect(IMachineDevice device)
    {
        string id = device.Id;
        if (string.IsNullOrEmpty(id) || id.Length > MaximumId || !id.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '-' or '.' or '_'))
        {
            throw new InvalidOperationException(
                $"{device.GetType()} has the id '{id}': use 1 to {MaximumId} lower-case letters, digits, '-', '.' and '_'.");
        }

        if (Find(id) is { } other)
        {
            throw new InvalidOperationException($"{device.GetType()} has the id '{id}', as {other.GetType()} of the same machine: ids are unique.");
        }

        DeviceContext context = new(host, id, this);
        try
        {
            device.Attach(context);
        }
        catch
        {
            context.Dispose();
            throw;
        }

        _attached = [.. _attached, (device, context)];
    }

    private void ThrowIfRunning()
    {
        if (!mayChange())
        {
            throw new InvalidOperationException("The machine is running; pause it before devices come or go, or use InvokeAsync.");
        }
    }
}
