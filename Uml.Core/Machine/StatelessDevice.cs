using Uml.Core.Snapshots;

namespace Uml.Core.Machine;

/// <summary>A device without state that a guest could change, which saved states record.</summary>
/// <param name="id">Its name, see <see cref="IMachineDevice.Id"/>.</param>
public abstract class StatelessDevice(string id) : IMachineDevice
{
    /// <inheritdoc/>
    public string Id => id;

    /// <inheritdoc/>
    public abstract void Attach(IMachineContext machine);

    /// <inheritdoc/>
    public virtual void Detach()
    {
    }

    /// <inheritdoc/>
    public virtual void Reset()
    {
    }

    /// <inheritdoc/>
    public void SaveState(StateWriter state)
    {
        ArgumentNullException.ThrowIfNull(state);
        state.WriteNone();
    }

    /// <inheritdoc/>
    public void RestoreState(StateReader state)
    {
        ArgumentNullException.ThrowIfNull(state);
        state.ReadNone();
    }
}
