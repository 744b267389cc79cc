using System.Buffers;
using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Snapshots;
using Uml.Devices.Pci;
using Uml.Fuzz.Running;

namespace Uml.Fuzz.Guests;

/// <summary>
/// A PCI device that does at once whatever is written to it: writes to memory anywhere, drives its interrupt, sends messages, sets timers,
/// and accesses other devices from the machine's thread, past the processor.
/// </summary>
internal sealed class FuzzFunction : PciFunction, IBusDevice
{
    private const int MaximumBytes = 9000;

    private const int Vectors = 5;

    private readonly IInterruptRouter _router;
    private readonly FuzzRandom _random;
    private readonly PciMsix _msix;
    private MachineBus? _machineBus;
    private IMachineTimer[] _timers = [];
    private bool _busy;

    public FuzzFunction(IPciBus bus, IInterruptRouter router, FuzzRandom random)
        : base(bus, "fuzz", new PciIdentity(0x1234, 0x5678, 0xFF_00_00))
    {
        (_router, _random) = (router, random);
        AddBar(new PciBar { Index = 0, Length = 0x1000, Device = this });
        AddBar(new PciBar { Index = 1, Length = 0x40, Kind = PciBarKind.Ports, Device = this });
        AddBar(new PciBar { Index = 2, Length = 0x1000, Kind = PciBarKind.Memory64, IsPrefetchable = true, Device = this });
        _msix = AddMsix(4, Vectors);
        AddInterruptPin();
        AddCapability(9, new byte[14], [0xFF, 0xFF, 0xFF]);
    }

    protected override void OnAttached(IMachineContext machine)
    {
        _machineBus = (MachineBus)((DeviceContext)machine).MachineBus;
        _timers = [machine.Clock.CreateTimer("fuzz", ActAlone), machine.Clock.CreateTimer("fuzz", ActAlone)];
    }

    protected override void ResetRegisters()
    {
        // As firmware would: decoding on.
        WriteConfig(PciConfig.Command, 2, PciConfig.CommandPorts | PciConfig.CommandMemory | PciConfig.CommandBusMaster);
        _timers[0].Schedule((ulong)_random.Below(100_000));
    }

    protected override void SaveRegisters(StateWriter state) => state.WriteNone();

    protected override void RestoreRegisters(StateReader state) => state.ReadNone();

    public ulong Read(IProcessor processor, ulong offset, int size)
    {
        Act(processor);
        return _random.UInt64();
    }

    public void Write(IProcessor processor, ulong offset, int size, ulong value) => Act(processor);

    /// <summary>Acts when no processor accesses it.</summary>
    private void ActAlone() => Act(Machine!.Processors[0]);

    private void Act(IProcessor processor)
    {
        // What it does leads back here; once is enough.
        if (_busy)
        {
            return;
        }

        _busy = true;
        for (int i = _random.Below(4); i >= 0; i--)
        {
            ActOnce(processor);
        }

        _busy = false;
    }

    private void ActOnce(IProcessor processor)
    {
        (IMachineContext machine, FuzzRandom random) = (Machine!, _random);
        MachineBus bus = _machineBus!;
        int size = 1 << random.Below(4);
        switch (random.Below(13))
        {
            case 0:
                machine.Memory.TryWrite(new(BoardMap.Address(random)), random.Bytes(random.OneIn(8) ? MaximumBytes : random.Below(64)));
                break;
            case 1:
                if (machine.Memory.TryLease(new(BoardMap.Address(random)), (int)random.Nasty(), out IMemoryOwner<byte>? lease))
                {
                    random.Fill(lease.Memory.Span[..Math.Min(lease.Memory.Length, 256)]);
                    lease.Dispose();
                }

                break;
            case 2:
                machine.Memory.TryRead(new(BoardMap.Address(random)), new byte[random.Below(MaximumBytes)]);
                break;
            case 3:
                SetInterrupt(random.OneIn(2));
                break;
            case 4:
                _router.SendMessage(0xFEE0_0000 | (random.UInt64() & 0xF_FFFF), (uint)BoardMap.Value(random));
                break;
            case 5:
                random.Pick(_timers).Schedule(random.OneIn(2) ? machine.Clock.Nanoseconds + (ulong)random.Below(10_000) : random.Nasty());
                break;
            case 12:
                _msix.Raise(random.Below(Vectors));
                break;
            case 6:
                machine.Post(ActAlone);
                break;
            case 7:
                bus.ReadMemory(processor, BoardMap.DeviceAddress(random), size);
                break;
            case 8:
                bus.WriteMemory(processor, BoardMap.DeviceAddress(random), size, BoardMap.Value(random));
                break;
            case 9:
                bus.ReadPort(processor, (ushort)BoardMap.Port(random, 4), Math.Min(size, 4));
                break;
            case 10:
                bus.WritePort(processor, (ushort)BoardMap.Port(random, 4), Math.Min(size, 4), BoardMap.Value(random));
                break;
            default:
                _ = random.OneIn(2)
                    ? bus.TryWriteMsr(processor, BoardMap.Msr(random), BoardMap.Value(random))
                    : bus.TryReadMsr(processor, BoardMap.Msr(random), out _);
                break;
        }
    }
}
