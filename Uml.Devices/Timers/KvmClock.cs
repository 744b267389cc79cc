using System.Buffers.Binary;
using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Memory;
using Uml.Core.Snapshots;

namespace Uml.Devices.Timers;

/// <summary>
/// The paravirtual clock of KVM (Linux Documentation/virt/kvm/x86/msr.rst and cpuid.rst): gives the guest the conversion from its
/// time-stamp counter to nanoseconds, and the date, so that it need not calibrate.
/// </summary>
/// <remarks>
/// The counter is invariant and guest time follows it exactly, so that one update when the guest registers a structure holds for
/// good: the structure says stable, and the kernel then reads the counter from user space too.
/// </remarks>
internal sealed class KvmClock : IMachineDevice, IMsrDevice
{
    private const uint SignatureLeaf = 0x4000_0000;
    private const uint FeaturesLeaf = 0x4000_0001;
    private const uint FrequencyLeaf = 0x4000_0010;

    private const uint FeatureClockSource = 1 << 0;
    private const uint FeatureNopIoDelay = 1 << 1;
    private const uint FeatureClockSource2 = 1 << 3;
    private const uint FeatureClockSourceStable = 1 << 24;

    private const uint WallClockMsr = 0x4B56_4D00;
    private const uint SystemTimeMsr = 0x4B56_4D01;
    private const uint LegacyWallClockMsr = 0x11;
    private const uint LegacySystemTimeMsr = 0x12;

    private const ulong SystemTimeEnable = 1;
    private const byte StableFlag = 1;

    private IMachineContext? _machine;
    private uint _multiplier;
    private sbyte _shift;
    private ulong _wallClock;
    private uint _wallClockVersion;
    private ProcessorTime[] _processors = [];

    private struct ProcessorTime
    {
        public ulong Address;
        public uint Version;
    }

    /// <inheritdoc/>
    public string Id => "kvm-clock";

    /// <inheritdoc/>
    public void Attach(IMachineContext machine)
    {
        // Refused perhaps, before there is anything to be taken back.
        machine.Bus.MapMsrs(LegacyWallClockMsr, 2, this);
        machine.Bus.MapMsrs(WallClockMsr, 2, this);
        _machine = machine;
        _processors = new ProcessorTime[machine.Processors.Count];
        (_multiplier, _shift) = GetScale(machine.Clock.TscFrequency);
        foreach (var processor in machine.Processors)
        {
            // "KVMKVMKVM" and three zero bytes in EBX, ECX and EDX; EAX is the last leaf.
            processor.SetCpuid(SignatureLeaf, new CpuidValues(FrequencyLeaf, 0x4B4D_564B, 0x564B_4D56, 0x0000_004D));
            processor.SetCpuid(
                FeaturesLeaf,
                new CpuidValues(FeatureClockSource | FeatureNopIoDelay | FeatureClockSource2 | FeatureClockSourceStable, 0, 0, 0));

            // Frequencies in kHz of time-stamp counter and APIC timer, a convention that several hypervisors share.
            processor.SetCpuid(
                FrequencyLeaf,
                new CpuidValues((uint)(machine.Clock.TscFrequency / 1000), Interrupts.ApicTimer.Frequency / 1000, 0, 0));
        }
    }

    /// <inheritdoc/>
    public void Detach()
    {
        foreach (var processor in _machine!.Processors)
        {
            processor.SetCpuid(SignatureLeaf, null);
            processor.SetCpuid(FeaturesLeaf, null);
            processor.SetCpuid(FrequencyLeaf, null);
        }

        _machine = null;
    }

    /// <inheritdoc/>
    public void Reset()
    {
        _wallClock = 0;
        _wallClockVersion = 0;
        Array.Clear(_processors);
    }

    /// <inheritdoc/>
    public void SaveState(StateWriter state)
    {
        state.WriteVersion(1);
        state.Write(_wallClock);
        state.Write(_wallClockVersion);
        state.Write(_processors.Length);
        foreach (ProcessorTime time in _processors)
        {
            state.Write(time.Address);
            state.Write(time.Version);
        }
    }

    /// <inheritdoc/>
    public void RestoreState(StateReader state)
    {
        state.ReadVersion(newest: 1);
        _wallClock = state.ReadUInt64();
        _wallClockVersion = state.ReadUInt32();
        state.ReadInt32(_processors.Length, _processors.Length);
        foreach (ref ProcessorTime time in _processors.AsSpan())
        {
            time.Address = state.ReadUInt64();
            time.Version = state.ReadUInt32();
        }
    }

    /// <inheritdoc/>
    public bool TryReadMsr(IProcessor processor, uint index, out ulong value)
    {
        value = index is WallClockMsr or LegacyWallClockMsr ? _wallClock : _processors[processor.Index].Address;
        return true;
    }

    /// <inheritdoc/>
    public bool TryWriteMsr(IProcessor processor, uint index, ulong value)
    {
        if (_machine is null)
        {
            return false;
        }

        switch (index)
        {
            case WallClockMsr or LegacyWallClockMsr:
                _wallClock = value;
                WriteWallClock(_machine, new(value));
                break;
            case SystemTimeMsr or LegacySystemTimeMsr:
                ref var time = ref _processors[processor.Index];
                time.Address = value;
                if ((value & SystemTimeEnable) != 0)
                {
                    WriteSystemTime(_machine, new(value & ~SystemTimeEnable), ref time.Version);
                }

                break;
        }

        return true;
    }

    /// <summary>
    /// The scale from counter ticks to nanoseconds: nanoseconds = ((ticks &lt;&lt; shift) * multiplier) >> 32, where a negative shift
    /// goes right. The multiplier is as large as fits, for precision.
    /// </summary>
    internal static (uint Multiplier, sbyte Shift) GetScale(ulong frequency)
    {
        const ulong NanosecondsPerSecond = 1_000_000_000;
        sbyte shift = 0;
        while (Multiplier(shift) > uint.MaxValue)
        {
            shift++;
        }

        while (Multiplier(shift) <= uint.MaxValue / 2)
        {
            shift--;
        }

        return ((uint)Multiplier(shift), shift);

        UInt128 Multiplier(int shift) => ((UInt128)NanosecondsPerSecond << (32 - shift)) / frequency;
    }

    // pvclock_vcpu_time_info: version, padding, tsc_timestamp, system_time, tsc_to_system_mul, tsc_shift, flags, padding.
    private void WriteSystemTime(IMachineContext machine, GuestPhysicalAddress address, ref uint version)
    {
        Span<byte> time = stackalloc byte[32];
        time.Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(time[8..], machine.Clock.ReadTsc());
        BinaryPrimitives.WriteUInt64LittleEndian(time[16..], machine.Clock.Nanoseconds);
        BinaryPrimitives.WriteUInt32LittleEndian(time[24..], _multiplier);
        time[28] = (byte)_shift;
        time[29] = StableFlag;
        Publish(machine.Memory, address, time, ref version);
    }

    // pvclock_wall_clock: version, seconds and nanoseconds since 1970 at guest time zero.
    private void WriteWallClock(IMachineContext machine, GuestPhysicalAddress address)
    {
        const long NanosecondsPerTick = 100;
        Span<byte> wallClock = stackalloc byte[12];
        long ticks = machine.Clock.StartTime.UtcTicks - DateTime.UnixEpoch.Ticks;
        BinaryPrimitives.WriteUInt32LittleEndian(wallClock[4..], (uint)(ticks / TimeSpan.TicksPerSecond));
        BinaryPrimitives.WriteUInt32LittleEndian(wallClock[8..], (uint)(ticks % TimeSpan.TicksPerSecond * NanosecondsPerTick));
        Publish(machine.Memory, address, wallClock, ref _wallClockVersion);
    }

    // The version, which comes first, is odd while the rest changes. An address outside RAM is the guest's own problem.
    private static void Publish(IGuestMemory memory, GuestPhysicalAddress address, Span<byte> structure, ref uint version)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(structure, ++version);
        if (memory.TryWrite(address, structure))
        {
            BinaryPrimitives.WriteUInt32LittleEndian(structure, version + 1);
            memory.TryWrite(address, structure[..sizeof(uint)]);
        }

        version++;
    }
}
