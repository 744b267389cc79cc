using System.Diagnostics.CodeAnalysis;
using Uml.Core.Snapshots;

namespace Uml.Core.Bus;

/// <summary>Timers and interrupt lines as part of the state of their device.</summary>
public static class BusState
{
    /// <summary>Writes whether a timer is armed, its deadline, and its place among those with the same.</summary>
    /// <exception cref="InvalidOperationException">There is no timer, because the device is not attached.</exception>
    public static void Write(this StateWriter state, IMachineTimer? timer)
    {
        ArgumentNullException.ThrowIfNull(state);
        ThrowIfMissing(timer, "timer");
        state.Write(timer.Deadline is not null);
        state.Write(timer.Deadline ?? 0);
        state.Write(timer.Order);
    }

    /// <summary>Writes the level of a line.</summary>
    /// <exception cref="InvalidOperationException">There is no line, because the device is not attached.</exception>
    public static void Write(this StateWriter state, IInterruptLine? line)
    {
        ArgumentNullException.ThrowIfNull(state);
        ThrowIfMissing(line, "interrupt line");
        state.Write(line.IsAsserted);
    }

    /// <summary>Arms a timer as it was, or disarms it.</summary>
    /// <exception cref="StateFormatException">The state is damaged.</exception>
    /// <exception cref="InvalidOperationException">There is no timer, because the device is not attached.</exception>
    public static void Restore(this StateReader state, IMachineTimer? timer)
    {
        ArgumentNullException.ThrowIfNull(state);
        ThrowIfMissing(timer, "timer");
        bool isArmed = state.ReadBoolean();
        ulong deadline = state.ReadUInt64();
        int order = state.ReadInt32(minimum: 0);
        if (isArmed)
        {
            timer.Restore(deadline, order);
        }
        else
        {
            timer.Cancel();
        }
    }

    /// <summary>Gives a line the level that it had, without an edge.</summary>
    /// <exception cref="StateFormatException">The state is damaged.</exception>
    /// <exception cref="InvalidOperationException">There is no line, because the device is not attached.</exception>
    public static void Restore(this StateReader state, IInterruptLine? line)
    {
        ArgumentNullException.ThrowIfNull(state);
        ThrowIfMissing(line, "interrupt line");
        line.Restore(state.ReadBoolean());
    }

    private static void ThrowIfMissing([NotNull] object? part, string name)
    {
        if (part is null)
        {
            throw new InvalidOperationException($"The device has no {name} while it is not attached: its state is saved and restored while it is.");
        }
    }
}
