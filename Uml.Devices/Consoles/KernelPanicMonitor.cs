using System.Text;
using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Snapshots;

namespace Uml.Devices.Consoles;

/// <summary>
/// Detects a kernel panic in the kernel's output, and makes it the reason of the machine's exit: at the reset that follows (panic=-1), even
/// if resets do not end the machine, or after a second of silence when the kernel stays in its panic loop.
/// </summary>
/// <remarks>
/// A guest that prints an old log is distinguished from one that panics by the following output: after a panic only the kernel prints, so a
/// line without its time stamp shows that the guest is still running.
/// </remarks>
public sealed class KernelPanicMonitor : IMachineDevice, IMachineExitInterpreter
{
    /// <summary>How long the guest is silent, in guest time, before its panic loop ends the machine.</summary>
    private const ulong SilenceNanoseconds = 1_000_000_000;

    /// <summary>Bytes of a line that are looked at; a limit of ours. Kernel messages have at most 1024.</summary>
    private const int MaximumLine = 1024;

    private static ReadOnlySpan<byte> PanicText => "Kernel panic - not syncing: "u8;

    private static ReadOnlySpan<byte> EndText => "---[ end Kernel panic - not syncing"u8;

    private readonly byte[] _line = new byte[MaximumLine];
    private int _length;
    private bool _isStamped;
    private IMachineContext? _machine;
    private IMachineTimer? _silence;
    private volatile string? _panic;

    /// <summary>The reason of its panic that the kernel printed, without control characters; null while it has not panicked.</summary>
    public string? Panic => _panic;

    /// <inheritdoc/>
    public string Id => "panic-monitor";

    /// <inheritdoc/>
    public void Attach(IMachineContext machine)
    {
        ArgumentNullException.ThrowIfNull(machine);
        _machine = machine;
        _silence = machine.Clock.CreateTimer(Id, EndMachine);
    }

    /// <inheritdoc/>
    public void Detach() => (_machine, _silence) = (null, null);

    /// <summary>Begins to read a guest's console; a reset behind a panic is that panic's end.</summary>
    public void Reset()
    {
        if (_panic is { } panic)
        {
            _machine?.RequestExit(CreateExit(panic));
        }

        (_length, _isStamped, _panic) = (0, false, null);
        _silence?.Cancel();
    }

    /// <inheritdoc/>
    public void SaveState(StateWriter state)
    {
        ArgumentNullException.ThrowIfNull(state);
        state.WriteVersion(1);
        state.WriteBlob(_line.AsSpan(0, _length));
        state.Write(_isStamped);
        state.Write(_panic is not null);
        state.WriteBlob(Encoding.UTF8.GetBytes(_panic ?? ""));
        state.Write(_silence);
    }

    /// <inheritdoc/>
    public void RestoreState(StateReader state)
    {
        ArgumentNullException.ThrowIfNull(state);
        state.ReadVersion(newest: 1);
        ReadOnlySpan<byte> line = state.ReadBlob(MaximumLine);
        line.CopyTo(_line);
        _length = line.Length;
        _isStamped = state.ReadBoolean();
        bool hasPanic = state.ReadBoolean();

        // A character of UTF-16 is up to three bytes; made printable again, since the state may come from anyone.
        string panic = Encoding.UTF8.GetString(state.ReadBlob(3 * MaximumLine));
        _panic = hasPanic ? ConsoleText.ToPrintable(panic, MaximumLine) : null;
        state.Restore(_silence);
    }

    /// <summary>Examines console output, in pieces of any size.</summary>
    public void Observe(ReadOnlySpan<byte> output)
    {
        while (!output.IsEmpty)
        {
            int end = output.IndexOf((byte)'\n');
            ReadOnlySpan<byte> part = end < 0 ? output : output[..end];
            Append(part);
            if (end < 0)
            {
                return;
            }

            ObserveLine(_line.AsSpan(0, _length).TrimEnd((byte)'\r'));
            _length = 0;
            output = output[(end + 1)..];
        }
    }

    /// <inheritdoc/>
    public MachineExit Interpret(MachineExit exit)
    {
        ArgumentNullException.ThrowIfNull(exit);
        return _panic is { } panic && exit.Reason is MachineExitReason.Reboot or MachineExitReason.Halted or MachineExitReason.TripleFault
            ? CreateExit(panic)
            : exit;
    }

    private static MachineExit CreateExit(string panic) => new(MachineExitReason.Panic, 0, $"The guest kernel panicked: {panic}");

    private void Append(ReadOnlySpan<byte> part)
    {
        ReadOnlySpan<byte> fitting = part[..Math.Min(part.Length, MaximumLine - _length)];
        fitting.CopyTo(_line.AsSpan(_length));
        _length += fitting.Length;
    }

    private void ObserveLine(ReadOnlySpan<byte> line)
    {
        bool stamped = line.StartsWith("["u8);
        if (_panic is null)
        {
            int start = line.IndexOf(PanicText);
            if (start == 0 || (start > 0 && line[..start].EndsWith("] "u8)))
            {
                // The shell's prompt may stand before the message in its line.
                _isStamped = start > 0;
                _panic = ConsoleText.ToPrintable(Encoding.UTF8.GetString(line[(start + PanicText.Length)..]), MaximumLine);
            }
        }
        else if (_isStamped && !stamped)
        {
            _panic = null;
            _silence?.Cancel();
        }
        else if (line.IndexOf(EndText) >= 0)
        {
            _silence?.Schedule(_machine!.Clock.Nanoseconds + SilenceNanoseconds);
        }
    }

    private void EndMachine()
    {
        if (_panic is { } panic && _length == 0)
        {
            _machine?.RequestExit(CreateExit(panic));
        }
    }
}
