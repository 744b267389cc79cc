using Uml.Core.Bus;

namespace Uml.Devices.Tests.Fakes;

/// <summary>Interrupt lines that record their level.</summary>
internal sealed class FakeRouter : IInterruptRouter
{
    public Dictionary<int, FakeLine> Lines { get; } = [];

    public IInterruptLine GetLine(int globalSystemInterrupt)
    {
        var line = new FakeLine();
        Lines.Add(globalSystemInterrupt, line);
        return line;
    }

    public void SendMessage(ulong address, uint data) => throw new NotSupportedException();

    internal sealed class FakeLine : IInterruptLine
    {
        public bool IsAsserted { get; private set; }

        public int Edges { get; private set; }

        public void Set(bool asserted)
        {
            Edges += asserted && !IsAsserted ? 1 : 0;
            IsAsserted = asserted;
        }
    }
}
