using Uml.Core.Bus;

namespace Uml.Devices.Interrupts;

/// <summary>
/// Which inputs of which interrupt controllers a global system interrupt is: input n of the I/O APIC, and of the 8259 pair interrupt n of
/// the ISA bus, or for those of PCI one that they share.
/// </summary>
/// <remarks>
/// An input is asserted while any of those that drive it asserts it. Those are counted; the levels themselves are part of the state of the
/// devices that drive the lines.
/// </remarks>
internal sealed class InterruptWires(ApicBus bus, IoApic ioApic, PicPair pics) : IInterruptRouter
{
    // How many lines assert a global system interrupt, and how many of those an input of the 8259 pair.
    private readonly int[] _asserting = new int[IoApic.InputCount];
    private readonly int[] _assertingPic = new int[PicPair.InputCount];

    /// <summary>The interrupt of the 8259 pair behind a global system interrupt: PCI shares the level-triggered 10 and 11.</summary>
    public static int GetPicInterrupt(int globalSystemInterrupt) =>
        globalSystemInterrupt < PicPair.InputCount ? globalSystemInterrupt : 10 + (globalSystemInterrupt & 1);

    /// <inheritdoc/>
    public IInterruptLine GetLine(string name, int globalSystemInterrupt)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentOutOfRangeException.ThrowIfNegative(globalSystemInterrupt);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(globalSystemInterrupt, IoApic.InputCount);
        return new Line(this, name, globalSystemInterrupt);
    }

    /// <inheritdoc/>
    public void SendMessage(ulong address, uint data)
    {
        if (ApicMessage.TryDecode(address, data, out var message))
        {
            bus.Deliver(message);
        }
    }

    /// <summary>One line more or one less asserts an interrupt.</summary>
    /// <param name="interrupt">The global system interrupt.</param>
    /// <param name="asserted">One more.</param>
    /// <param name="isEvent">Whether the interrupt controllers are to see it.</param>
    private void Drive(int interrupt, bool asserted, bool isEvent)
    {
        if (!Changes(ref _asserting[interrupt], asserted))
        {
            return;
        }

        if (isEvent)
        {
            ioApic.SetLine(interrupt, asserted);
        }

        int picInterrupt = GetPicInterrupt(interrupt);
        if (Changes(ref _assertingPic[picInterrupt], asserted) && isEvent)
        {
            pics.SetLine(picInterrupt, asserted);
        }
    }

    private static bool Changes(ref int asserting, bool asserted)
    {
        bool was = asserting > 0;
        asserting += asserted ? 1 : -1;
        return asserting > 0 != was;
    }

    /// <summary>One device's end of a wire.</summary>
    private sealed class Line(InterruptWires wires, string name, int interrupt) : IInterruptLine
    {
        private bool _isDisposed;

        public string Name => name;

        public bool IsAsserted { get; private set; }

        public void Set(bool asserted) => Drive(asserted, isEvent: true);

        public void Restore(bool asserted) => Drive(asserted, isEvent: false);

        public void Dispose()
        {
            if (!_isDisposed)
            {
                Set(false);
                _isDisposed = true;
            }
        }

        private void Drive(bool asserted, bool isEvent)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (asserted != IsAsserted)
            {
                IsAsserted = asserted;
                wires.Drive(interrupt, asserted, isEvent);
            }
        }
    }
}
