using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Snapshots;

namespace Uml.Devices.Pci;

/// <summary>
/// A PCI function: a device of the machine with configuration space, base address registers and interrupts. Derived classes add what
/// answers behind the registers; registered in the builder's <c>Services</c> after the standard board, as any device.
/// </summary>
/// <remarks>
/// Bars, capabilities and MSI-X are added in the constructor. The guest finds the function where firmware has placed it, at the first free
/// device number of bus 0.
/// </remarks>
public abstract class PciFunction : IMachineDevice
{
    private const byte PinA = 1;

    private readonly IPciBus _bus;
    private readonly PciConfigSpace _config;
    private PciMsix? _msix;
    private IInterruptRouter? _router;
    private IInterruptLine? _line;
    private bool _hasPin;
    private bool _interrupt;

    /// <summary>Makes a function without base address registers and capabilities.</summary>
    /// <param name="bus">The board's bus.</param>
    /// <param name="id">The device's name, see <see cref="IMachineDevice.Id"/>.</param>
    /// <param name="identity">Who the function says it is.</param>
    protected PciFunction(IPciBus bus, string id, in PciIdentity identity)
    {
        ArgumentNullException.ThrowIfNull(bus);
        ArgumentException.ThrowIfNullOrEmpty(id);
        (_bus, Id) = (bus, id);
        _config = new PciConfigSpace(identity);
    }

    /// <inheritdoc/>
    public string Id { get; }

    /// <summary>The device number on the bus; 0, which is the bridge, while the function is not attached.</summary>
    public int DeviceNumber { get; private set; }

    /// <summary>Whether the guest lets the function access memory by itself; without it no message-signalled interrupt is sent.</summary>
    protected internal bool IsBusMaster => (_config.Command & PciConfig.CommandBusMaster) != 0;

    /// <summary>The machine, while attached.</summary>
    protected internal IMachineContext? Machine { get; private set; }

    internal PciConfigSpace Config => _config;

    internal IPciBus Bus => _bus;

    /// <inheritdoc/>
    public void Attach(IMachineContext machine)
    {
        ArgumentNullException.ThrowIfNull(machine);
        Machine = machine;
        try
        {
            DeviceNumber = _bus.Add(this);
            OnAttached(machine);
        }
        catch
        {
            Leave();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Detach()
    {
        OnDetaching();
        Leave();
    }

    /// <inheritdoc/>
    public void Reset()
    {
        _config.Reset();
        _msix?.Reset();
        SetInterrupt(false);
        ResetRegisters();
    }

    /// <inheritdoc/>
    public void SaveState(StateWriter state)
    {
        ArgumentNullException.ThrowIfNull(state);
        ThrowIfDetached();
        state.WriteVersion(1);
        state.Write((byte)DeviceNumber);
        _config.SaveState(state);
        _msix?.SaveState(state);
        state.Write(_interrupt);
        if (_line is not null)
        {
            state.Write(_line);
        }

        SaveRegisters(state);
    }

    /// <inheritdoc/>
    public void RestoreState(StateReader state)
    {
        ArgumentNullException.ThrowIfNull(state);
        ThrowIfDetached();
        state.ReadVersion(newest: 1);
        state.ReadByte((byte)DeviceNumber, (byte)DeviceNumber);
        _config.RestoreState(state);
        _msix?.RestoreState(state);
        _interrupt = state.ReadBoolean();
        _config.SetStatus(PciConfig.StatusInterrupt, _interrupt);
        if (_line is not null)
        {
            state.Restore(_line);
        }

        RestoreRegisters(state);
    }

    /// <summary>Reads configuration space.</summary>
    /// <param name="offset">0 to 4095, aligned to <paramref name="size"/>.</param>
    /// <param name="size">1, 2 or 4.</param>
    public virtual uint ReadConfig(int offset, int size) => _config.Read(offset, size);

    /// <summary>Writes configuration space.</summary>
    /// <param name="offset">0 to 4095, aligned to <paramref name="size"/>.</param>
    /// <param name="size">1, 2 or 4.</param>
    /// <param name="value">The value.</param>
    public virtual void WriteConfig(int offset, int size, uint value)
    {
        _config.Write(offset, size, value);
        _msix?.DeliverPending();
        UpdateLine();
    }

    /// <summary>Connects the function to the machine. What it claims and creates is released automatically.</summary>
    protected virtual void OnAttached(IMachineContext machine)
    {
    }

    /// <summary>Disconnects the function from other devices.</summary>
    protected virtual void OnDetaching()
    {
    }

    /// <summary>Sets the function's state after power-on, configuration space excepted.</summary>
    protected abstract void ResetRegisters();

    /// <summary>
    /// Writes the function's state, configuration space excepted, with a version of its own; <see cref="StateWriter.WriteNone"/> when there
    /// is none.
    /// </summary>
    protected abstract void SaveRegisters(StateWriter state);

    /// <summary>Takes what <see cref="SaveRegisters"/> wrote.</summary>
    protected abstract void RestoreRegisters(StateReader state);

    /// <summary>Adds a base address register.</summary>
    /// <exception cref="ArgumentException">The length is not one that a register can express, or the register is taken.</exception>
    protected void AddBar(PciBar bar)
    {
        ArgumentNullException.ThrowIfNull(bar);
        ThrowIfAttached();
        _config.AddBar(bar);
    }

    /// <summary>Appends a capability (PCI Local Bus Specification 3.0, 6.7).</summary>
    /// <param name="id">Capability ID.</param>
    /// <param name="body">What follows the ID and the next pointer.</param>
    /// <param name="writable">Which bits of the body the guest may change; empty for none.</param>
    /// <returns>Where the capability begins.</returns>
    /// <exception cref="InvalidOperationException">Configuration space is full.</exception>
    protected int AddCapability(byte id, ReadOnlySpan<byte> body, ReadOnlySpan<byte> writable = default)
    {
        ThrowIfAttached();
        return _config.AddCapability(id, body, writable);
    }

    /// <summary>Gives the function message-signalled interrupts, with a base address register of their own.</summary>
    /// <param name="barIndex">The register.</param>
    /// <param name="vectorCount">How many there are, 1 to 2048.</param>
    /// <exception cref="InvalidOperationException">The function has them already.</exception>
    protected PciMsix AddMsix(int barIndex, int vectorCount)
    {
        ThrowIfAttached();
        if (_msix is not null)
        {
            throw new InvalidOperationException($"PCI function '{Id}' has its MSI-X vectors already.");
        }

        PciMsix msix = new(this, vectorCount);
        _config.AddBar(new PciBar { Index = barIndex, Length = msix.BarLength, Device = msix });
        msix.Capability = _config.AddCapability(PciMsix.CapabilityId, msix.CreateCapability(barIndex), PciMsix.CapabilityWritable);
        return _msix = msix;
    }

    /// <summary>Gives the function the interrupt pin INTA#, for guests that use no messages.</summary>
    protected void AddInterruptPin()
    {
        ThrowIfAttached();
        _hasPin = true;
        _config.Define8(PciConfig.InterruptPin, PinA);
    }

    /// <summary>Drives INTA#. Called on the machine's thread.</summary>
    protected void SetInterrupt(bool asserted)
    {
        _interrupt = asserted;
        _config.SetStatus(PciConfig.StatusInterrupt, asserted);
        UpdateLine();
    }

    /// <summary>Connects the function to the interrupt controllers, by its pin when it has one.</summary>
    internal void Connect(IInterruptRouter router, int globalSystemInterrupt)
    {
        _router = router;
        _line = _hasPin ? Machine!.Own(router.GetLine(Id, globalSystemInterrupt)) : null;
    }

    /// <summary>Sends a message-signalled interrupt.</summary>
    internal void Send(ulong address, uint data) => _router?.SendMessage(address, data);

    private void Leave()
    {
        _bus.Remove(this);
        (Machine, _router, _line, DeviceNumber, _interrupt) = (null, null, null, 0, false);
    }

    private void ThrowIfDetached()
    {
        if (Machine is null)
        {
            throw new InvalidOperationException(
                $"PCI function '{Id}' has no device number while it is not attached: its state is saved and restored while it is.");
        }
    }

    private void ThrowIfAttached()
    {
        if (Machine is not null)
        {
            throw new InvalidOperationException($"PCI function '{Id}' is on the bus: what it has is added before, in its constructor.");
        }
    }

    private void UpdateLine() => _line?.Set(_interrupt && (_config.Command & PciConfig.CommandInterruptDisable) == 0 && _msix is not { IsEnabled: true });
}
