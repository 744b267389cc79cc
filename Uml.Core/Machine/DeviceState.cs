using System.Buffers;
using Uml.Core.Snapshots;

namespace Uml.Core.Machine;

/// <summary>The state of one device as bytes.</summary>
public static class DeviceState
{
    /// <summary>Saves a device. Its guest does not run meanwhile.</summary>
    /// <exception cref="InvalidOperationException">The device wrote nothing, not even that it has no state.</exception>
    public static byte[] Save(IMachineDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArrayBufferWriter<byte> output = new();
        device.SaveState(new StateWriter(output));
        return output.WrittenCount != 0
            ? output.WrittenSpan.ToArray()
            : throw new InvalidOperationException(
                $"Device '{device.Id}' saved nothing: a device without state says so with {nameof(StateWriter)}.{nameof(StateWriter.WriteNone)}.");
    }

    /// <summary>Restores a device that is attached. Its guest does not run meanwhile.</summary>
    /// <param name="device">The device.</param>
    /// <param name="state">What <see cref="Save"/> gave.</param>
    /// <exception cref="StateFormatException">The state is damaged or of an unknown version; the device has to be reset.</exception>
    public static void Restore(IMachineDevice device, ReadOnlyMemory<byte> state)
    {
        ArgumentNullException.ThrowIfNull(device);
        StateReader reader = new(state, device.Id);
        device.RestoreState(reader);
        reader.End();
    }
}
