using System.Buffers.Binary;

namespace Uml.Core.Boot.Formats;

/// <summary>
/// The multiboot 1 header (Multiboot Specification 0.6.96, section 3.1): 4-byte aligned in the first 8192 bytes.
/// </summary>
/// <param name="Offset">Where it is in the file.</param>
/// <param name="Flags">The features that the kernel requests.</param>
/// <param name="HeaderAddress">Where it wants to be in memory; this and the following only with <see cref="HasAddresses"/>.</param>
/// <param name="LoadAddress">Where the loaded part of the file starts in memory.</param>
/// <param name="LoadEndAddress">Where it ends; 0 for the end of the file.</param>
/// <param name="BssEndAddress">Where the zeros behind it end; 0 for none.</param>
/// <param name="EntryAddress">Where to enter.</param>
internal readonly record struct MultibootHeader(
    int Offset, uint Flags, uint HeaderAddress, uint LoadAddress, uint LoadEndAddress, uint BssEndAddress, uint EntryAddress)
{
    private const uint Magic = 0x1badb002;
    private const int SearchBytes = 8192;
    private const int AddressFieldsEnd = 32;
    private const uint AddressFlag = 1 << 16;

    // Bits 0 to 15 are required features; of these, page-aligned modules, memory information and a video mode are accepted (the video mode
    // is not provided, which is visible in the information passed to the kernel).
    private const uint UnknownDemands = 0xfff8;

    /// <summary>Whether the load addresses are in this header rather than in an ELF header.</summary>
    public bool HasAddresses => (Flags & AddressFlag) != 0;

    /// <summary>Finds the header.</summary>
    /// <param name="file">The file.</param>
    /// <param name="name">What messages call it.</param>
    /// <returns>The header, or null when there is none.</returns>
    /// <exception cref="KernelImageException">The kernel requires a feature that is not supported.</exception>
    public static MultibootHeader? Find(ReadOnlySpan<byte> file, string name)
    {
        int end = Math.Min(file.Length, SearchBytes);
        for (int offset = 0; offset + 12 <= end; offset += 4)
        {
            ReadOnlySpan<byte> header = file[offset..end];
            uint flags = Field(header, 4);
            if (Field(header, 0) != Magic || unchecked(Magic + flags + Field(header, 8)) != 0
                || ((flags & AddressFlag) != 0 && header.Length < AddressFieldsEnd))
            {
                continue;
            }

            if ((flags & UnknownDemands) != 0)
            {
                throw new KernelImageException(
                    $"The multiboot kernel '{name}' demands features 0x{flags & UnknownDemands:x} that multiboot 1 does not define; "
                    + "it needs another loader.");
            }

            return (flags & AddressFlag) == 0
                ? new MultibootHeader(offset, flags, 0, 0, 0, 0, 0)
                : new MultibootHeader(
                    offset, flags, Field(header, 12), Field(header, 16), Field(header, 20), Field(header, 24), Field(header, 28));
        }

        return null;
    }

    private static uint Field(ReadOnlySpan<byte> header, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(header[offset..]);
}
