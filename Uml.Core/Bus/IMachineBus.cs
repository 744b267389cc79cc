using System.Diagnostics.CodeAnalysis;
using Uml.Core.Memory;

namespace Uml.Core.Bus;

/// <summary>The address spaces in which devices claim guest-physical ranges, ports and model-specific registers.</summary>
/// <remarks>Unclaimed memory and ports read as all ones and ignore writes; unclaimed MSRs raise #GP(0).</remarks>
public interface IMachineBus
{
    /// <summary>Claims a guest-physical range; disposing the result releases it.</summary>
    /// <exception cref="ArgumentException">The range is empty, wraps, or overlaps RAM or another device.</exception>
    IDisposable MapMemory(GuestPhysicalAddress start, ulong length, IBusDevice device);

    /// <summary>
    /// Claims a guest-physical range that the guest chose, such as by a PCI base address register; disposing the claim releases it.
    /// </summary>
    /// <returns>False when the range is empty, wraps, or overlaps RAM or another device.</returns>
    bool TryMapMemory(GuestPhysicalAddress start, ulong length, IBusDevice device, [NotNullWhen(true)] out IDisposable? claim);

    /// <summary>Claims a range of I/O ports; disposing the result releases it.</summary>
    /// <exception cref="ArgumentException">The range is empty, leaves the 64 Ki ports, or overlaps another device.</exception>
    IDisposable MapPorts(ushort start, int count, IBusDevice device);

    /// <summary>Claims a range of I/O ports that the guest chose; disposing the claim releases it.</summary>
    /// <returns>False when the range is empty, leaves the 64 Ki ports, or overlaps another device.</returns>
    bool TryMapPorts(ushort start, int count, IBusDevice device, [NotNullWhen(true)] out IDisposable? claim);

    /// <summary>Claims a range of model-specific registers; disposing the result releases it.</summary>
    /// <exception cref="ArgumentException">The range is empty or overlaps another device.</exception>
    IDisposable MapMsrs(uint start, uint count, IMsrDevice device);
}
