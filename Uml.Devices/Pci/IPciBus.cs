namespace Uml.Devices.Pci;

/// <summary>The PCI bus of a board, which its functions are attached to. A service of machines with the standard board.</summary>
public interface IPciBus
{
    /// <summary>Plugs a function in as function 0 of the first free device number.</summary>
    /// <returns>The device number.</returns>
    internal int Add(PciFunction function);

    /// <summary>Takes a function out; nothing happens when it is not on the bus.</summary>
    internal void Remove(PciFunction function);
}
