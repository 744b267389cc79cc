using Uml.Core.Bus;

namespace Uml.Devices.Interrupts;

/// <summary>
/// Which inputs of which interrupt controllers a global system interrupt is: input n of the I/O APIC, and of the 8259 pair interrupt n of
/// the ISA bus, or for those of PCI one that they share.
/// </summary>
internal sealed class InterruptWires : IInterruptRouter
{
    private readonly ApicBus _bus;
    private readonly SharedInput[] _inputs;

    /// <summary>Lays the wires.</summary>
    public InterruptWires(ApicBus bus, IoApic ioApic, PicPair pics)
    {
        _bus = bus;
        SharedInput[] picInputs = [.. Enumerable.Range(0, PicPair.InputCount).Select(i => new SharedInput(asserted => pics.SetLine(i, asserted)))];
        _inputs = [.. Enumerable.Range(0, IoApic.InputCount).Select(i => new SharedInput(asserted =>
        {
            ioApic.SetLine(i, asserted);
            picInputs[GetPicInterrupt(i)].Drive(asserted);
        }))];
    }

    /// <summary>The interrupt of the 8259 pair behind a global system interrupt: PCI shares the level-triggered 10 and 11.</summary>
    public static int GetPicInterrupt(int globalSystemInterrupt) =>
        globalSystemInterrupt < PicPair.InputCount ? globalSystemInterrupt : 10 + (globalSystemInterrupt & 1);

    /// <inheritdoc/>
    public IInterruptLine GetLine(int globalSystemInterrupt)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(globalSystemInterrupt);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(globalSystemInterrupt, IoApic.InputCount);
        return new Line(_inputs[globalSystemInterrupt]);
    }

    /// <inheritdoc/>
    public void SendMessage(ulong address, uint data)
    {
        if (ApicMessage.TryDecode(address, data, out var message))
        {
            _bus.Deliver(message);
        }
    }

    /// <summary>One device's end of a wire.</summary>
    private sealed class Line(SharedInput input) : IInterruptLine
    {
        private bool _asserted;

        public void Set(bool asserted)
        {
            if (asserted != _asserted)
            {
                _asserted = asserted;
                input.Drive(asserted);
            }
        }
    }

    /// <summary>Asserted while any of those that drive it asserts it.</summary>
    private sealed class SharedInput(Action<bool> set)
    {
        private int _asserting;

        /// <summary>One more or one less asserts.</summary>
        public void Drive(bool asserted)
        {
            bool was = _asserting > 0;
            _asserting += asserted ? 1 : -1;
            if (_asserting > 0 != was)
            {
                set(asserted);
            }
        }
    }
}
