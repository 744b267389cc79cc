using Uml.Core.Snapshots;
using Uml.Devices.Virtio.Queue;

namespace Uml.Devices.Virtio.Device;

/// <summary>
/// A virtio device: what it is, its queues and its configuration, whatever the transport to its driver (virtio 1.2, 2 and 5). For the machine's
/// thread.
/// </summary>
internal abstract class VirtioDevice
{
    private IVirtioTransport? _transport;

    /// <summary>Its type (virtio 1.2, 5).</summary>
    public abstract ushort Type { get; }

    /// <summary>The PCI class that says what it is to who does not know virtio.</summary>
    public abstract uint PciClass { get; }

    /// <summary>Features that it offers, those of the queues left out.</summary>
    public abstract ulong OwnFeatures { get; }

    /// <summary>The largest size of each queue.</summary>
    protected abstract ReadOnlySpan<ushort> QueueSizes { get; }

    /// <summary>Bytes of the device's configuration.</summary>
    public abstract int ConfigurationLength { get; }

    /// <summary>How many queues it has.</summary>
    public int QueueCount => QueueSizes.Length;

    public IReadOnlyList<SplitQueue> Queues { get; private set; } = [];

    /// <summary>Features that the driver has accepted.</summary>
    public ulong Features { get; private set; }

    /// <summary>Whether the driver has begun to use the device.</summary>
    public bool IsActive { get; private set; }

    /// <summary>Whether requests are under way, which a reset has to wait for.</summary>
    public virtual bool IsBusy => false;

    protected IVirtioTransport Transport => _transport ?? throw new InvalidOperationException("The device is not attached.");

    /// <summary>Connects the device to a machine.</summary>
    public void Attach(IVirtioTransport transport)
    {
        _transport = transport;
        SplitQueue[] queues = new SplitQueue[QueueSizes.Length];
        for (int i = 0; i < queues.Length; i++)
        {
            queues[i] = new SplitQueue(transport.Machine.Memory, QueueSizes[i]);
        }

        Queues = queues;
        OnAttached();
    }

    public void Detach()
    {
        OnDetaching();
        Queues = [];
        _transport = null;
    }

    /// <summary>Reads the device's configuration.</summary>
    /// <param name="configuration">Gets <see cref="ConfigurationLength"/> bytes.</param>
    public abstract void ReadConfiguration(Span<byte> configuration);

    /// <summary>Writes the device's configuration; most have nothing to be written.</summary>
    public virtual void WriteConfiguration(int offset, ReadOnlySpan<byte> value)
    {
    }

    /// <summary>The driver has set everything up.</summary>
    public void Activate(ulong features)
    {
        Accept(features);
        IsActive = true;
        OnActivated();
    }

    /// <summary>The driver says that a queue has something for the device.</summary>
    public void Notify(int queue)
    {
        if (IsActive)
        {
            Guard(queue, static (device, index) => device.OnNotified(index));
        }
    }

    /// <summary>The driver does not use the device any more; what is under way ends without its being told.</summary>
    public void Deactivate() => IsActive = false;

    /// <summary>Forgets the driver. Nothing is under way any more when it is called.</summary>
    public void Reset()
    {
        IsActive = false;
        Features = 0;
        foreach (SplitQueue queue in Queues)
        {
            queue.Reset();
        }

        OnReset();
    }

    /// <summary>Waits for what is under way on other threads, whose results stay for later.</summary>
    public virtual void WaitUntilIdle()
    {
    }

    public void SaveState(StateWriter state)
    {
        WaitUntilIdle();
        state.Write(Features);
        state.Write(IsActive);
        foreach (SplitQueue queue in Queues)
        {
            queue.SaveState(state);
        }

        SaveOwnState(state);
    }

    public void RestoreState(StateReader state)
    {
        Features = state.ReadUInt64();
        IsActive = state.ReadBoolean();
        foreach (SplitQueue queue in Queues)
        {
            queue.RestoreState(state);
        }

        RestoreOwnState(state);
    }

    protected virtual void OnAttached()
    {
    }

    protected virtual void OnDetaching()
    {
    }

    protected virtual void OnActivated()
    {
    }

    protected virtual void OnReset()
    {
    }

    /// <exception cref="VirtioGuestErrorException">The driver has broken a rule.</exception>
    protected abstract void OnNotified(int queue);

    /// <summary>Writes what the device has besides its queues.</summary>
    protected abstract void SaveOwnState(StateWriter state);

    /// <summary>Takes what <see cref="SaveOwnState"/> wrote.</summary>
    protected abstract void RestoreOwnState(StateReader state);

    /// <summary>Writes which chains were taken from a queue and not given back.</summary>
    protected static void SaveHeads(StateWriter state, ReadOnlySpan<ushort> heads)
    {
        state.Write((ushort)heads.Length);
        foreach (ushort head in heads)
        {
            state.Write(head);
        }
    }

    /// <summary>Takes what <see cref="SaveHeads"/> wrote.</summary>
    /// <param name="state">The state.</param>
    /// <param name="maximum">The most chains.</param>
    /// <param name="queueSize">The size of their queue.</param>
    protected static ushort[] RestoreHeads(StateReader state, int maximum, ushort queueSize)
    {
        ushort[] heads = new ushort[state.ReadUInt16(0, (ushort)maximum)];
        for (int i = 0; i < heads.Length; i++)
        {
            heads[i] = state.ReadUInt16(0, (ushort)(queueSize - 1));
        }

        return heads;
    }

    /// <summary>Does something with a queue, which ends the device's use until it is reset when the driver has broken a rule.</summary>
    protected void Guard(int queue, Action<VirtioDevice, int> action) => Guard(queue, queue, action);

    /// <summary>Does something with a queue and what else it takes, in the same way.</summary>
    protected void Guard<T>(int queue, T argument, Action<VirtioDevice, T> action)
    {
        try
        {
            action(this, argument);
        }
        catch (VirtioGuestErrorException error)
        {
            IsActive = false;
            Transport.Break($"queue {queue}: {error.Message}");
        }
    }

    private void Accept(ulong features)
    {
        Features = features;
        foreach (SplitQueue queue in Queues)
        {
            queue.HasEventIndex = (features & VirtioFeature.EventIndex) != 0;
            queue.HasIndirect = (features & VirtioFeature.IndirectDescriptors) != 0;
        }
    }
}
