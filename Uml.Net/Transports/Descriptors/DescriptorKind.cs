namespace Uml.Net.Transports.Descriptors;

/// <summary>What a descriptor is.</summary>
internal enum DescriptorKind
{
    /// <summary>A device whose reads and writes are one frame each.</summary>
    File,

    /// <summary>A socket of datagrams, which has no end.</summary>
    Datagrams,

    /// <summary>A socket of records, whose other end may go.</summary>
    Connection,
}
