using System.Globalization;
using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Snapshots;
using Uml.Devices.Platform;

namespace Uml.Devices.Power;

/// <summary>
/// The ways a guest ends its machine: ACPI's power management control register, the reset control register, the keyboard controller's reset pulse,
/// system control port A and the debug-exit port. An INIT of the processor alone would begin at the reset vector, where the machine is reset.
/// </summary>
/// <remarks>
/// The reset control register lies inside the PCI configuration address register (Intel 82371AB datasheet, 4.1.6), whose owner
/// hands its accesses on to <see cref="ResetControl"/>.
/// </remarks>
internal sealed class PowerControl : IMachineDevice
{
    /// <summary>Value of \_S5 that stands for soft off in SLP_TYP; any 3-bit number would do (ACPI specification, 7.4.2).</summary>
    public const byte SoftOffSleepType = 5;

    /// <summary>The value of the ACPI reset register: a full reset, at the rising edge of the CPU reset bit.</summary>
    public const byte ResetValue = 0x06;

    private readonly PowerManagementRegisters _powerManagement;
    private readonly ResetControlRegister _resetControl;
    private readonly SystemControlPortA _systemControl;
    private IMachineContext? _machine;

    /// <summary>Makes the registers, which do nothing until they are attached.</summary>
    public PowerControl()
    {
        _powerManagement = new(this);
        _resetControl = new(this);
        _systemControl = new(this);
    }

    /// <inheritdoc/>
    public string Id => "power";

    /// <summary>The reset control register, port 0xCF9.</summary>
    public IBusDevice ResetControl => _resetControl;

    /// <inheritdoc/>
    public void Attach(IMachineContext machine)
    {
        _machine = machine;
        machine.Bus.MapPorts(PortMap.PowerManagementEvents, PowerManagementRegisters.Length, _powerManagement);
        machine.Bus.MapPorts(PortMap.KeyboardController, 1, new KeyboardController(this));
        machine.Bus.MapPorts(PortMap.SystemControlA, 1, _systemControl);
        machine.Bus.MapPorts(PortMap.DebugExit, 4, new DebugExitPort(this));
    }

    /// <inheritdoc/>
    public void Detach() => _machine = null;

    /// <inheritdoc/>
    public void Reset()
    {
        _powerManagement.Reset();
        _resetControl.Reset();
        _systemControl.Reset();
    }

    /// <inheritdoc/>
    public void SaveState(StateWriter state)
    {
        state.WriteVersion(1);
        _powerManagement.SaveState(state);
        _resetControl.SaveState(state);
        _systemControl.SaveState(state);
    }

    /// <inheritdoc/>
    public void RestoreState(StateReader state)
    {
        state.ReadVersion(newest: 1);
        _powerManagement.RestoreState(state);
        _resetControl.RestoreState(state);
        _systemControl.RestoreState(state);
    }

    private void Exit(MachineExitReason reason, uint status, string message) => _machine?.RequestExit(new(reason, status, message));

    private void Reset(string how) => Exit(MachineExitReason.Reboot, 0, $"The guest asked for a reset through {how}.");

    /// <summary>
    /// PM1 status at offset 0, enable at 2, control at 4, 16 bits each (ACPI specification 6.5, 4.8.3). No event of these ever happens, so that
    /// the status is zero; the machine is in ACPI mode from the start and never sleeps.
    /// </summary>
    private sealed class PowerManagementRegisters(PowerControl power) : IBusDevice, IStateful
    {
        /// <summary>Bytes of the three registers.</summary>
        public const int Length = 6;

        // Enable bits of timer, global lock, power button, sleep button and clock; SCI_EN, BM_RLD, SLP_TYP and SLP_EN of the control register.
        private const uint EnableMask = 0x0721, AcpiEnabled = 1 << 0, BusMasterReload = 1 << 1, SleepTypeMask = 7 << SleepTypeShift, SleepEnable = 1 << 13;
        private const int SleepTypeShift = 10, EnableShift = 16, ControlShift = 32;
        private const ulong Kept = ((ulong)EnableMask << EnableShift) | ((ulong)(BusMasterReload | SleepTypeMask) << ControlShift);

        private const ulong Initial = (ulong)AcpiEnabled << ControlShift;

        private ulong _values = Initial;

        public void Reset() => _values = Initial;

        public void SaveState(StateWriter state) => state.Write(_values);

        public void RestoreState(StateReader state) => _values = (state.ReadUInt64() & Kept) | Initial;

        public ulong Read(IProcessor processor, ulong offset, int size) => _values >> (int)(offset * 8);

        public void Write(IProcessor processor, ulong offset, int size, ulong value)
        {
            int shift = (int)(offset * 8);
            ulong written = value << shift;
            ulong replaced = (ulong.MaxValue >> (64 - (size * 8)) << shift) & Kept;
            _values = (_values & ~replaced) | (written & replaced);
            if ((written >> ControlShift & SleepEnable) != 0 && (_values >> ControlShift & SleepTypeMask) >> SleepTypeShift == SoftOffSleepType)
            {
                power.Exit(MachineExitReason.PowerOff, 0, "The guest switched the machine off.");
            }
        }
    }

    private sealed class ResetControlRegister(PowerControl power) : IBusDevice, IStateful
    {
        private const ulong SystemReset = 1 << 1;
        private const ulong ResetCpu = 1 << 2;
        private const ulong FullReset = 1 << 3;

        private ulong _value;

        public void Reset() => _value = 0;

        public void SaveState(StateWriter state) => state.Write(_value);

        public void RestoreState(StateReader state) => _value = state.ReadUInt64(maximum: SystemReset | ResetCpu | FullReset);

        public ulong Read(IProcessor processor, ulong offset, int size) => _value;

        public void Write(IProcessor processor, ulong offset, int size, ulong value)
        {
            // The rising edge of RCPU resets; software sets the kind of reset first and RCPU with a second write.
            if ((value & ResetCpu) != 0 && (_value & ResetCpu) == 0)
            {
                power.Reset("the reset control register");
            }

            _value = value & (SystemReset | ResetCpu | FullReset);
        }
    }

    /// <summary>
    /// There is no keyboard controller, except that its reset pulse works: the last resort of software that resets a PC.
    /// </summary>
    private sealed class KeyboardController(PowerControl power) : IBusDevice
    {
        // Commands F0H to FFH pulse the output lines whose bits are 0; line 0 is the processor's reset.
        private const ulong Pulse = 0xF0, Reset = 1 << 0;

        public ulong Read(IProcessor processor, ulong offset, int size) => ulong.MaxValue;

        public void Write(IProcessor processor, ulong offset, int size, ulong value)
        {
            if ((value & (Pulse | Reset)) == Pulse)
            {
                power.Reset("the keyboard controller");
            }
        }
    }

    /// <summary>The fast-reset bit; the other one, the A20 gate, is open and stays so.</summary>
    private sealed class SystemControlPortA(PowerControl power) : IBusDevice, IStateful
    {
        private const ulong FastReset = 1 << 0, A20Gate = 1 << 1;

        private bool _resets;

        public void Reset() => _resets = false;

        public void SaveState(StateWriter state) => state.Write(_resets);

        public void RestoreState(StateReader state) => _resets = state.ReadBoolean();

        public ulong Read(IProcessor processor, ulong offset, int size) => A20Gate | (_resets ? FastReset : 0);

        public void Write(IProcessor processor, ulong offset, int size, ulong value)
        {
            // The rising edge resets.
            bool resets = (value & FastReset) != 0;
            if (resets && !_resets)
            {
                power.Reset("system control port A");
            }

            _resets = resets;
        }
    }

    private sealed class DebugExitPort(PowerControl power) : IBusDevice
    {
        public ulong Read(IProcessor processor, ulong offset, int size) => ulong.MaxValue;

        public void Write(IProcessor processor, ulong offset, int size, ulong value)
        {
            if (offset == 0)
            {
                power.Exit(
                    MachineExitReason.DebugExit,
                    (uint)value,
                    string.Create(CultureInfo.InvariantCulture, $"The guest wrote {(uint)value} to the debug-exit port."));
            }
        }
    }
}
