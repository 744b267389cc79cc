namespace Uml.Storage.Blocks;

/// <summary>What every device asks of the range of a request.</summary>
internal static class BlockRange
{
    /// <summary>Checks a range.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not aligned, or not within the device.</exception>
    public static void Check(IBlockDevice device, long offset, long length)
    {
        int mask = device.Limits.LogicalBlockSize - 1;
        if (offset < 0 || length < 0 || ((offset | length) & mask) != 0)
        {
            throw new ArgumentOutOfRangeException(nameof(offset), $"{length} bytes at {offset} are no whole blocks of {mask + 1} bytes.");
        }

        if (offset > device.Length - length)
        {
            throw new ArgumentOutOfRangeException(nameof(offset), $"{length} bytes at {offset} do not lie within the {device.Length} bytes of the device.");
        }
    }

    /// <summary>Checks the range of a request that changes it.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not aligned, or not within the device.</exception>
    /// <exception cref="BlockIOException">The device may only be read.</exception>
    public static void CheckWrite(IBlockDevice device, long offset, long length)
    {
        Check(device, offset, length);
        if (device.IsReadOnly)
        {
            throw new BlockIOException($"{length} bytes at {offset} were to be written to a device that is open to be read only.", BlockError.ReadOnly);
        }
    }
}
