using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Memory;

namespace Uml.Devices.Tests.Fakes;

/// <summary>A machine without a processor: the real bus, RAM, a clock that the test moves, and records of what devices asked for.</summary>
internal sealed class FakeMachine : IMachineContext
{
    private readonly Queue<Action> _posted = new();
    private readonly List<IMachineDevice> _devices = [];

    public FakeMachine(ulong memory = 2 << 20, int processors = 1)
    {
        Ram = new FakeMemory(memory);
        RealBus = new MachineBus(Ram.Ranges);
        Cpus = Enumerable.Range(0, processors).Select(i => new FakeProcessor(i)).ToList();
    }

    public event Action? Quiescing;

    public MachineBus RealBus { get; }

    public FakeMemory Ram { get; }

    public FakeClock Time { get; } = new();

    public List<FakeProcessor> Cpus { get; }

    public FakeProcessor Cpu => Cpus[0];

    public List<MachineExit> Exits { get; } = [];

    public IMachineBus Bus => RealBus;

    public IGuestMemory Memory => Ram;

    public IMachineClock Clock => Time;

    public IReadOnlyList<IProcessor> Processors => Cpus;

    public IReadOnlyList<IMachineDevice> Devices => _devices;

    public int PostedCount => _posted.Count;

    public T Own<T>(T resource)
        where T : IDisposable => resource;

    /// <summary>Attaches devices, then brings them to their state after power-on.</summary>
    public void Plug(params IReadOnlyList<IMachineDevice> devices)
    {
        foreach (IMachineDevice device in devices)
        {
            device.Attach(this);
            _devices.Add(device);
        }

        foreach (IMachineDevice device in devices)
        {
            device.Reset();
        }
    }

    public void RequestExit(MachineExit exit) => Exits.Add(exit);

    public void Post(Action action) => _posted.Enqueue(action);

    public void RunPosted()
    {
        while (_posted.TryDequeue(out var action))
        {
            action();
        }
    }

    public void Quiesce() => Quiescing?.Invoke();

    public ulong ReadMsr(uint index, int processor = 0)
    {
        Assert.That(RealBus.TryReadMsr(Cpus[processor], index, out ulong value), Is.True, $"RDMSR {index:X}");
        return value;
    }

    public void WriteMsr(uint index, ulong value, int processor = 0) =>
        Assert.That(RealBus.TryWriteMsr(Cpus[processor], index, value), Is.True, $"WRMSR {index:X} {value:X}");

    public byte In(ushort port) => (byte)RealBus.ReadPort(Cpu, port, 1);

    public void Out(ushort port, byte value) => RealBus.WritePort(Cpu, port, 1, value);

    public uint Read32(ulong address, int processor = 0) => (uint)RealBus.ReadMemory(Cpus[processor], address, 4);

    public void Write32(ulong address, uint value, int processor = 0) =>
        RealBus.WriteMemory(Cpus[processor], address, 4, value);
}
