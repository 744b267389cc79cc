using Uml.Core.Snapshots;

namespace Uml.Core.Bus;

/// <summary>Timers and interrupt lines as part of the state of their device.</summary>
public static class BusState
{
    /// <summary>Writes whether a timer is armed, and its deadline.</summary>
    public static void Write(this StateWriter state, IMachineTimer timer)
    {
        ArgumentNullException.ThrowIfNull(state);
        ArgumentNullException.ThrowIfNull(timer);
        state.Write(timer.Deadline is not null);
        state.Write(timer.Deadline ?? 0);
    }

    /// <summary>Writes the level of a line.</summary>
    public static void Write(this StateWriter state, IInterruptLine line)
    {
        ArgumentNullException.ThrowIfNull(state);
        ArgumentNullException.ThrowIfNull(line);
        state.Write(line.IsAsserted);
    }

    /// <summary>Arms a timer as it was, or disarms it.</summary>
    /// <exception cref="StateFormatException">The state is damaged.</exception>
    public static void Restore(this StateReader state, IMachineTimer timer)
    {
        ArgumentNullException.ThrowIfNull(state);
        ArgumentNullException.ThrowIfNull(timer);
        bool isArmed = state.ReadBoolean();
        ulong deadline = state.ReadUInt64();
        if (isArmed)
        {
            timer.Schedule(deadline);
        }
        else
        {
            timer.Cancel();
        }
    }

    /// <summary>Gives a line the level that it had, without an edge.</summary>
    /// <exception cref="StateFormatException">The state is damaged.</exception>
    public static void Restore(this StateReader state, IInterruptLine line)
    {
        ArgumentNullException.ThrowIfNull(state);
        ArgumentNullException.ThrowIfNull(line);
        line.Restore(state.ReadBoolean());
    }
}
