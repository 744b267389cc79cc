using Uml.Core.Bus;

namespace Uml.Devices.Tests.Fakes;

/// <summary>Interrupt lines that record their level.</summary>
internal sealed class FakeRouter : IInterruptRouter
{
    public Dictionary<int, FakeLine> Lines { get; } = [];

    public IInterruptLine GetLine(string name, int globalSystemInterrupt)
    {
        var line = new FakeLine(name);
        Lines.Add(globalSystemInterrupt, line);
        return line;
    }

    public void SendMessage(ulong address, uint data) => throw new NotSupportedException();

    internal sealed class FakeLine(string name) : IInterruptLine
    {
        public string Name => name;

        public bool IsAsserted { get; private set; }

        public int Edges { get; private set; }

        public void Restore(bool asserted) => IsAsserted = asserted;

        public void Dispose() => Set(false);

        public void Set(bool asserted)
        {
            Edges += asserted && !IsAsserted ? 1 : 0;
            IsAsserted = asserted;
        }
    }
}
