namespace Uml.Core.Bus;

/// <summary>A device behind a range of memory-mapped addresses or ports. Called on the machine's thread only.</summary>
/// <remarks>The guest is hostile: any offset, size and value may arrive, in any order. Implementations do not throw.</remarks>
public interface IBusDevice
{
    /// <summary>Reads a register.</summary>
    /// <param name="processor">The processor that makes the access. Most devices ignore it.</param>
    /// <param name="offset">Bytes from the start of the mapped range.</param>
    /// <param name="size">1, 2, 4 or 8 bytes; offset + size stays within the range.</param>
    /// <returns>The value, zero-extended. Undefined registers read as the device's specification says, else all ones.</returns>
    ulong Read(IProcessor processor, ulong offset, int size);

    /// <summary>Writes a register.</summary>
    /// <param name="processor">The processor that makes the access.</param>
    /// <param name="offset">Bytes from the start of the mapped range.</param>
    /// <param name="size">1, 2, 4 or 8 bytes; offset + size stays within the range.</param>
    /// <param name="value">The value, zero-extended.</param>
    void Write(IProcessor processor, ulong offset, int size, ulong value);
}

/// <summary>A device behind a range of model-specific registers. Called on the machine's thread only.</summary>
public interface IMsrDevice
{
    /// <summary>RDMSR.</summary>
    /// <param name="processor">Whose register it is.</param>
    /// <param name="index">ECX.</param>
    /// <param name="value">The new EDX:EAX.</param>
    /// <returns>False raises #GP(0) in the guest.</returns>
    bool TryReadMsr(IProcessor processor, uint index, out ulong value);

    /// <summary>WRMSR.</summary>
    /// <param name="processor">Whose register it is.</param>
    /// <param name="index">ECX.</param>
    /// <param name="value">EDX:EAX.</param>
    /// <returns>False raises #GP(0) in the guest.</returns>
    bool TryWriteMsr(IProcessor processor, uint index, ulong value);
}
