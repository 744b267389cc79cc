namespace Uml.Devices.Pci;

/// <summary>The PCI bus of a board, which its functions are attached to. A service of machines with the standard board.</summary>
public interface IPciBus
{
    /// <summary>Plugs a function in as function 0 of the first free device number.</summary>
    /// <returns>The device number.</returns>
    internal int Add(PciFunction function);

    /// <summary>Takes a function out; nothing happens when it is not on the bus.</summary>
    internal void Remove(PciFunction function);

    /// <summary>Asks the guest to let a function go that is on the bus. For the machine's thread, or while it does not run.</summary>
    /// <returns>Completes when the guest has done so; the function is still on the bus then.</returns>
    internal Task RequestEject(PciFunction function);

    /// <summary>Asks the guest again, who may have missed a request.</summary>
    internal void RemindToEject(PciFunction function);

    /// <summary>Gives a request up that the guest has not fulfilled.</summary>
    /// <returns>How far the guest has come with it.</returns>
    internal EjectProgress WithdrawEject(PciFunction function);
}
