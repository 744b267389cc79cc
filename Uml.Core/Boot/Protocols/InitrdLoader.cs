namespace Uml.Core.Boot.Protocols;

/// <summary>Puts an initrd or module as high as it may be.</summary>
internal static class InitrdLoader
{
    /// <summary>Loads a file.</summary>
    /// <param name="plan">The memory plan, in which the kernel is already placed.</param>
    /// <param name="file">The file.</param>
    /// <param name="limit">The first address that may no longer be used.</param>
    /// <param name="what">What it is, as messages say it: "initrd".</param>
    /// <returns>Its address and size.</returns>
    /// <exception cref="KernelImageException">Missing, empty, or larger than the free memory.</exception>
    public static (ulong Address, ulong Length) Load(BootPlan plan, BootFile file, ulong limit, string what)
    {
        KernelImageException TooLarge(long length) => new(
            $"The {what} '{file.Name}' is {Describe.Size((ulong)length)} ({length} bytes) and does not fit: the guest has "
            + $"{Describe.Size(plan.RamBytes)} of RAM, and beside the kernel no free range of that size lies below 0x{limit:x}. "
            + $"Give the machine more memory or make the {what} smaller.");

        ReadOnlyMemory<byte> bytes = file.Read(what, (long)Math.Min(plan.RamBytes, int.MaxValue), TooLarge, plan.CancellationToken);
        try
        {
            if (bytes.IsEmpty)
            {
                throw new KernelImageException($"The {what} '{file.Name}' is empty; leave it out or check the file.");
            }

            ulong length = (ulong)bytes.Length;
            ulong address = plan.TakeHighest(length, limit, what) ?? throw TooLarge(bytes.Length);
            plan.Write(address, bytes.Span);
            return (address, length);
        }
        finally
        {
            GrowingBuffer.Release(bytes);
        }
    }
}
