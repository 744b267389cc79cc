using System.Buffers;
using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Devices.Pci;
using Uml.Fuzz.Running;

namespace Uml.Fuzz.Guests;

/// <summary>
/// A PCI device that does at once whatever is written to it: writes to memory anywhere, drives its interrupt, sends messages, sets timers,
/// and accesses other devices from the machine's thread, past the processor.
/// </summary>
internal sealed class FuzzFunction(PciHostBridge bridge, IInterruptRouter router, FuzzRandom random) : IMachineDevice, IBusDevice
{
    private const int MaximumBytes = 9000;

    private IMachineContext? _machine;
    private MachineBus? _bus;
    private IInterruptLine? _line;
    private IMachineTimer[] _timers = [];
    private bool _busy;

    public void Attach(IMachineContext machine)
    {
        _machine = machine;
        _bus = (MachineBus)machine.Bus;
        var function = new PciFunction(new PciIdentity(0x1234, 0x5678, 0xFF_00_00));
        function.AddBar(0, 0x1000, is64Bit: false, isPrefetchable: false, this);
        function.AddBar(2, 0x1000, is64Bit: true, isPrefetchable: true, this);
        function.AddCapability(9, new byte[14], [0xFF, 0xFF, 0xFF]);
        int device = bridge.Add(function);
        _line = router.GetLine(PciHostBridge.GetInterrupt(device, 0));
        _timers = [machine.Clock.CreateTimer(Act), machine.Clock.CreateTimer(Act)];

        // As firmware would: memory decoding on.
        function.WriteConfig(PciConfig.Command, 2, PciConfig.CommandMemory | PciConfig.CommandBusMaster);
        _timers[0].Schedule((ulong)random.Below(100_000));
    }

    public ulong Read(ulong offset, int size)
    {
        Act();
        return random.UInt64();
    }

    public void Write(ulong offset, int size, ulong value) => Act();

    private void Act()
    {
        // What it does leads back here; once is enough.
        if (_busy)
        {
            return;
        }

        _busy = true;
        for (int i = random.Below(4); i >= 0; i--)
        {
            ActOnce();
        }

        _busy = false;
    }

    private void ActOnce()
    {
        IMachineContext machine = _machine!;
        MachineBus bus = _bus!;
        int size = 1 << random.Below(4);
        switch (random.Below(12))
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
                _line!.Set(random.OneIn(2));
                break;
            case 4:
                router.SendMessage(0xFEE0_0000 | (random.UInt64() & 0xF_FFFF), (uint)BoardMap.Value(random));
                break;
            case 5:
                random.Pick(_timers).Schedule(random.OneIn(2) ? machine.Clock.Nanoseconds + (ulong)random.Below(10_000) : random.Nasty());
                break;
            case 6:
                machine.Post(Act);
                break;
            case 7:
                bus.ReadMemory(BoardMap.DeviceAddress(random), size);
                break;
            case 8:
                bus.WriteMemory(BoardMap.DeviceAddress(random), size, BoardMap.Value(random));
                break;
            case 9:
                bus.ReadPort((ushort)BoardMap.Port(random, 4), Math.Min(size, 4));
                break;
            case 10:
                bus.WritePort((ushort)BoardMap.Port(random, 4), Math.Min(size, 4), BoardMap.Value(random));
                break;
            default:
                _ = random.OneIn(2)
                    ? bus.TryWriteMsr(machine.Processors[0], BoardMap.Msr(random), BoardMap.Value(random))
                    : bus.TryReadMsr(machine.Processors[0], BoardMap.Msr(random), out _);
                break;
        }
    }
}
