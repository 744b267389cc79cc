using System.Text;

namespace Uml.Core.Boot.Protocols;

/// <summary>Puts command lines into the region for them, each ending in a zero byte.</summary>
internal sealed class BootStrings(BootPlan plan)
{
    private ulong _next = BootMemoryLayout.CommandLineAddress;

    /// <summary>Writes one string.</summary>
    /// <param name="text">The string.</param>
    /// <param name="maximumBytes">The most bytes without the zero byte.</param>
    /// <param name="what">Its name in messages.</param>
    /// <returns>Its address.</returns>
    /// <exception cref="KernelImageException">Too long, or it has a zero character inside.</exception>
    public uint Add(string text, uint maximumBytes, string what)
    {
        if (text.Contains('\0', StringComparison.Ordinal))
        {
            throw new KernelImageException(
                $"The {what} has a zero character at position {text.IndexOf('\0', StringComparison.Ordinal)}, where the kernel would end it; remove it.");
        }

        byte[] bytes = new byte[Encoding.UTF8.GetByteCount(text) + 1];
        Encoding.UTF8.GetBytes(text, bytes);
        ulong room = BootMemoryLayout.CommandLineEnd - _next;
        ulong limit = Math.Min(maximumBytes, room == 0 ? 0 : room - 1);
        if ((ulong)bytes.Length - 1 > limit)
        {
            throw new KernelImageException(
                $"The {what} is {bytes.Length - 1} bytes long; the kernel takes at most {limit}. Shorten it.");
        }

        uint address = (uint)_next;
        plan.TakeAndWrite(address, bytes, what);
        _next += (ulong)bytes.Length;
        return address;
    }
}
