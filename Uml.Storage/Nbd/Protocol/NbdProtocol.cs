namespace Uml.Storage.Nbd.Protocol;

/// <summary>The numbers of the NBD protocol (doc/proto.md of NetworkBlockDevice/nbd, "Values"). All of them are big-endian on the wire.</summary>
internal static class NbdProtocol
{
    public const int DefaultPort = 10809;

    /// <summary>"NBDMAGIC", "IHAVEOPT", and what stood in the place of the latter in oldstyle negotiation.</summary>
    public const ulong ServerMagic = 0x4E42_444D_4147_4943, OptionMagic = 0x4948_4156_454F_5054, OldstyleMagic = 0x0000_4202_8186_1253;

    public const ulong OptionReplyMagic = 0x0003_E889_0455_65A9;

    public const uint RequestMagic = 0x2560_9513, SimpleReplyMagic = 0x6744_6698, ChunkMagic = 0x668E_33EF;

    /// <summary>"Conventions": a string must not be longer.</summary>
    public const int MaximumString = 4096;

    /// <summary>Zeroes behind the answer to <see cref="NbdOption.ExportName"/>, unless both sides leave them out.</summary>
    public const int Padding = 124;

    /// <summary>"Block size constraints": what a client may send when the server gave no sizes.</summary>
    public const uint DefaultMaximumBlock = 32 << 20;

    /// <summary>"Block size constraints": the largest minimum block size.</summary>
    public const uint LargestMinimumBlock = 64 << 10;
}

/// <summary>"Handshake flags" of the server. The client answers with the same bits in 32.</summary>
[Flags]
internal enum NbdHandshakeFlags : ushort
{
    None = 0,
    FixedNewstyle = 1,
    NoZeroes = 2,
}

/// <summary>"Transmission flags".</summary>
[Flags]
internal enum NbdExportFlags : ushort
{
    None = 0,
    HasFlags = 1,
    ReadOnly = 1 << 1,
    SendFlush = 1 << 2,
    SendFua = 1 << 3,
    SendTrim = 1 << 5,
    SendWriteZeroes = 1 << 6,
    SendDontFragment = 1 << 7,
    CanMultiConn = 1 << 8,
}

/// <summary>"Option types".</summary>
internal enum NbdOption : uint
{
    ExportName = 1,
    Abort = 2,
    List = 3,
    StartTls = 5,
    Info = 6,
    Go = 7,
    StructuredReply = 8,
}

/// <summary>"Option reply types". Errors have bit 31.</summary>
internal enum NbdOptionReply : uint
{
    Ack = 1,
    Server = 2,
    Info = 3,
    ErrorBit = 1U << 31,
    Unsupported = ErrorBit + 1,
    Policy = ErrorBit + 2,
    Invalid = ErrorBit + 3,
    Platform = ErrorBit + 4,
    TlsRequired = ErrorBit + 5,
    Unknown = ErrorBit + 6,
    Shutdown = ErrorBit + 7,
    BlockSizeRequired = ErrorBit + 8,
    TooBig = ErrorBit + 9,
}

/// <summary>The kinds of information in an <see cref="NbdOptionReply.Info"/>.</summary>
internal enum NbdInfo : ushort
{
    Export = 0,
    Name = 1,
    Description = 2,
    BlockSize = 3,
}

/// <summary>"Request types".</summary>
internal enum NbdCommand : ushort
{
    Read = 0,
    Write = 1,
    Disconnect = 2,
    Flush = 3,
    Trim = 4,
    WriteZeroes = 6,
}

/// <summary>"Command flags".</summary>
[Flags]
internal enum NbdCommandFlags : ushort
{
    None = 0,
    Fua = 1,
    NoHole = 2,
    DontFragment = 4,
}

/// <summary>"Structured reply types". Errors have bit 15.</summary>
internal enum NbdChunk : ushort
{
    None = 0,
    Data = 1,
    Hole = 2,
    ErrorBit = 1 << 15,
    Error = ErrorBit + 1,
    ErrorOffset = ErrorBit + 2,
}
