using System.Numerics;
using Uml.Storage.Blocks;
using Uml.Storage.Nbd.Protocol;

namespace Uml.Storage.Nbd.Client;

/// <summary>What a server tells of an export.</summary>
internal readonly record struct NbdExportInfo(long Length, NbdExportFlags Flags, BlockLimits Limits, uint MaximumBlock, bool IsStructured)
{
    /// <summary>Checks what came from the server.</summary>
    /// <exception cref="DiskImageException">A device cannot be like that.</exception>
    public static NbdExportInfo Of(NbdEndPoint end, ulong length, NbdExportFlags flags, (uint Minimum, uint Preferred, uint Maximum) block, bool isStructured)
    {
        if (block.Minimum is 0 or > NbdProtocol.LargestMinimumBlock || !BitOperations.IsPow2(block.Minimum) || block.Maximum < block.Minimum)
        {
            throw new DiskImageException(
                $"{end} has blocks of {block.Minimum} to {block.Maximum} bytes: a power of two up to {NbdProtocol.LargestMinimumBlock}, and a larger size, are expected.");
        }

        int logical = (int)Math.Max(block.Minimum, BlockLimits.SectorSize);
        uint maximum = Math.Min(block.Maximum, NbdProtocol.DefaultMaximumBlock) / (uint)logical * (uint)logical;
        if (length > long.MaxValue || length % (uint)logical != 0 || maximum == 0)
        {
            throw new DiskImageException(
                $"{end} has {length} bytes, in requests of at most {block.Maximum}: these are no whole blocks of {logical}. Resize it on the server.");
        }

        bool isPreferredUsable = BitOperations.IsPow2(block.Preferred) && block.Preferred >= logical && block.Preferred <= maximum;
        int physical = isPreferredUsable ? (int)block.Preferred : Math.Max(logical, BlockLimits.Default.PhysicalBlockSize);
        return new NbdExportInfo((long)length, flags, new BlockLimits(logical, physical, physical), maximum, isStructured);
    }

    public bool Has(NbdExportFlags flag) => (Flags & flag) != 0;
}
