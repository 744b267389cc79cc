using Uml.Core.Machine;

namespace Uml.Devices.Platform;

/// <summary>Gives machines a board.</summary>
public static class BoardBuilderExtensions
{
    /// <summary>Adds the board that stock kernels boot on; see <see cref="StandardBoard.AddStandardBoard"/>.</summary>
    /// <param name="builder">The machine.</param>
    public static VirtualMachineBuilder AddStandardBoard(this VirtualMachineBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.AddStandardBoard();
        return builder;
    }
}
