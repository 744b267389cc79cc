using System.Buffers.Binary;
using System.Text;
using Uml.Storage.Blocks;
using Uml.Storage.Nbd.Protocol;

namespace Uml.Storage.Nbd.Client;

/// <summary>"Handshake", from the client's side, on a connection that was just made.</summary>
/// <param name="end">The export.</param>
/// <param name="encrypt">Makes an encrypted stream of one; null to go on without.</param>
internal sealed class NbdClientHandshake(NbdEndPoint end, Func<Stream, CancellationToken, Task<Stream>>? encrypt)
{
    /// <summary>Data of a reply, and replies to one option: limits of ours; a string is the largest thing in one.</summary>
    private const int MaximumReply = NbdProtocol.MaximumString + 64, MaximumReplies = 64;

    private Stream _stream = null!;
    private NbdReader _reader = null!;

    /// <summary>Negotiates.</summary>
    /// <returns>The connection in the transmission phase.</returns>
    /// <exception cref="DiskImageException">The server refuses, or an export like that cannot be used.</exception>
    /// <exception cref="NbdProtocolException">The server does not keep to the protocol.</exception>
    /// <exception cref="IOException">The connection is gone.</exception>
    public async Task<NbdLink> RunAsync(Stream stream, CancellationToken cancellationToken)
    {
        (_stream, _reader) = (stream, new NbdReader(stream));
        NbdHandshakeFlags flags = await GreetAsync(cancellationToken).ConfigureAwait(false);
        bool isFixed = (flags & NbdHandshakeFlags.FixedNewstyle) != 0;
        if (encrypt is not null)
        {
            await StartTlsAsync(isFixed, cancellationToken).ConfigureAwait(false);
        }

        bool isStructured = isFixed
            && await AskAsync(NbdOption.StructuredReply, default, null, cancellationToken).ConfigureAwait(false) == NbdOptionReply.Ack;
        NbdExportInfo? info = isFixed ? await GoAsync(isStructured, cancellationToken).ConfigureAwait(false) : null;
        info ??= await ChooseAsync((flags & NbdHandshakeFlags.NoZeroes) != 0, isStructured, cancellationToken).ConfigureAwait(false);
        return new NbdLink(_stream, _reader, info.Value);
    }

    private async Task<NbdHandshakeFlags> GreetAsync(CancellationToken cancellationToken)
    {
        await _reader.FillAsync(16, cancellationToken).ConfigureAwait(false);
        ulong magic = BinaryPrimitives.ReadUInt64BigEndian(_reader.Take(8));
        ulong second = BinaryPrimitives.ReadUInt64BigEndian(_reader.Take(8));
        if (magic != NbdProtocol.ServerMagic)
        {
            throw new NbdProtocolException($"it begins with {magic:X16}H instead of {NbdProtocol.ServerMagic:X16}H; is it an NBD server?");
        }

        if (second != NbdProtocol.OptionMagic)
        {
            throw new NbdProtocolException(second == NbdProtocol.OldstyleMagic
                ? "it has oldstyle negotiation, which names no exports; start it with newstyle negotiation"
                : $"{second:X16}H follows its first bytes instead of {NbdProtocol.OptionMagic:X16}H");
        }

        await _reader.FillAsync(2, cancellationToken).ConfigureAwait(false);
        NbdHandshakeFlags flags = (NbdHandshakeFlags)BinaryPrimitives.ReadUInt16BigEndian(_reader.Take(2))
            & (NbdHandshakeFlags.FixedNewstyle | NbdHandshakeFlags.NoZeroes);
        byte[] answer = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(answer, (uint)flags);
        await _stream.WriteAsync(answer, cancellationToken).ConfigureAwait(false);
        return flags;
    }

    private async Task StartTlsAsync(bool isFixed, CancellationToken cancellationToken)
    {
        NbdOptionReply reply = isFixed ? await AskAsync(NbdOption.StartTls, default, null, cancellationToken).ConfigureAwait(false) : NbdOptionReply.Unsupported;
        if (reply != NbdOptionReply.Ack)
        {
            throw new DiskImageException($"{end} does not encrypt ({reply}), and that is required: give the server a certificate, or do without encryption.");
        }

        // What came with the acknowledgement was not encrypted: somebody in between could have put it there.
        if (_reader.Available > 0)
        {
            throw new NbdProtocolException($"{_reader.Available} bytes that are not encrypted follow its agreement to encrypt");
        }

        _stream = await encrypt!(_stream, cancellationToken).ConfigureAwait(false);
        _reader = new NbdReader(_stream);
    }

    /// <summary>NBD_OPT_GO.</summary>
    /// <returns>Null when the server does not know it.</returns>
    private async Task<NbdExportInfo?> GoAsync(bool isStructured, CancellationToken cancellationToken)
    {
        int length = Encoding.UTF8.GetByteCount(end.Export);
        byte[] data = new byte[4 + length + 4];
        BinaryPrimitives.WriteUInt32BigEndian(data, (uint)length);
        Encoding.UTF8.GetBytes(end.Export, data.AsSpan(4));
        BinaryPrimitives.WriteUInt16BigEndian(data.AsSpan(4 + length), 1);
        BinaryPrimitives.WriteUInt16BigEndian(data.AsSpan(6 + length), (ushort)NbdInfo.BlockSize);
        Answers answers = new();
        NbdOptionReply reply = await AskAsync(NbdOption.Go, data, answers, cancellationToken).ConfigureAwait(false);
        if (reply == NbdOptionReply.Ack)
        {
            return answers.Flags != NbdExportFlags.None
                ? NbdExportInfo.Of(end, answers.Length, answers.Flags, answers.Block, isStructured)
                : throw new NbdProtocolException("it agreed to an export without saying how large that is");
        }

        string says = answers.Message.Length > 0 ? $" It says: {answers.Message}" : "";
        return reply switch
        {
            NbdOptionReply.Unsupported => null,
            NbdOptionReply.Unknown => throw new DiskImageException($"{end} is not there: check the name of the export.{says}"),
            NbdOptionReply.TlsRequired => throw new DiskImageException($"{end} requires encryption: use nbds, or set the options for it.{says}"),
            _ => throw new DiskImageException($"{end} is refused by the server ({reply}).{says}"),
        };
    }

    /// <summary>NBD_OPT_EXPORT_NAME, to which there is no answer but the export.</summary>
    private async Task<NbdExportInfo> ChooseAsync(bool hasNoZeroes, bool isStructured, CancellationToken cancellationToken)
    {
        await SendAsync(NbdOption.ExportName, Encoding.UTF8.GetBytes(end.Export), cancellationToken).ConfigureAwait(false);
        try
        {
            await _reader.FillAsync(10, cancellationToken).ConfigureAwait(false);
        }
        catch (EndOfStreamException closed)
        {
            throw new DiskImageException($"{end} is refused by the server, which does not say why: check the name of the export.", closed);
        }

        ulong length = BinaryPrimitives.ReadUInt64BigEndian(_reader.Take(8));
        NbdExportFlags flags = (NbdExportFlags)BinaryPrimitives.ReadUInt16BigEndian(_reader.Take(2));
        await _reader.SkipAsync(hasNoZeroes ? 0 : NbdProtocol.Padding, cancellationToken).ConfigureAwait(false);
        return NbdExportInfo.Of(end, length, flags, Answers.DefaultBlock, isStructured);
    }

    /// <summary>Sends an option and reads the replies to it.</summary>
    /// <returns>The last.</returns>
    private async Task<NbdOptionReply> AskAsync(NbdOption option, ReadOnlyMemory<byte> data, Answers? answers, CancellationToken cancellationToken)
    {
        await SendAsync(option, data, cancellationToken).ConfigureAwait(false);
        for (int i = 0; i < MaximumReplies; i++)
        {
            await _reader.FillAsync(NbdOptionReplyHeader.Size, cancellationToken).ConfigureAwait(false);
            NbdOptionReplyHeader header = NbdOptionReplyHeader.Read(_reader.Take(NbdOptionReplyHeader.Size));
            if (header.Option != option || header.Length > MaximumReply)
            {
                throw new NbdProtocolException($"its reply of {header.Length} bytes is to option {(uint)header.Option} where {(uint)option} was asked for");
            }

            await _reader.FillAsync((int)header.Length, cancellationToken).ConfigureAwait(false);
            ReadOnlySpan<byte> payload = _reader.Take((int)header.Length);
            if (header.Reply == NbdOptionReply.Ack || (header.Reply & NbdOptionReply.ErrorBit) != 0)
            {
                answers?.SetMessage(payload);
                return header.Reply;
            }

            if (header.Reply != NbdOptionReply.Info || answers is null)
            {
                throw new NbdProtocolException($"its reply to option {(uint)option} is of the unknown kind {(uint)header.Reply}");
            }

            answers.Add(payload);
        }

        throw new NbdProtocolException($"it sends more than {MaximumReplies} replies to option {(uint)option}");
    }

    private async Task SendAsync(NbdOption option, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        byte[] bytes = new byte[NbdOptionHeader.Size + data.Length];
        new NbdOptionHeader(option, (uint)data.Length).Write(bytes);
        data.Span.CopyTo(bytes.AsSpan(NbdOptionHeader.Size));
        await _stream.WriteAsync(bytes, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>What the replies to NBD_OPT_GO say.</summary>
    private sealed class Answers
    {
        /// <summary>"Block size constraints": what holds when the server says nothing.</summary>
        public static (uint Minimum, uint Preferred, uint Maximum) DefaultBlock => (1, 4096, NbdProtocol.DefaultMaximumBlock);

        public ulong Length { get; private set; }

        public NbdExportFlags Flags { get; private set; }

        public (uint Minimum, uint Preferred, uint Maximum) Block { get; private set; } = DefaultBlock;

        public string Message { get; private set; } = "";

        public void SetMessage(ReadOnlySpan<byte> bytes) => Message = NbdText.ToMessage(bytes);

        public void Add(ReadOnlySpan<byte> info)
        {
            NbdInfo kind = info.Length >= 2 ? (NbdInfo)BinaryPrimitives.ReadUInt16BigEndian(info) : throw new NbdProtocolException("its information about the export is empty");
            switch (kind)
            {
                case NbdInfo.Export when info.Length == 12:
                    Length = BinaryPrimitives.ReadUInt64BigEndian(info[2..]);
                    Flags = (NbdExportFlags)BinaryPrimitives.ReadUInt16BigEndian(info[10..]) | NbdExportFlags.HasFlags;
                    break;
                case NbdInfo.BlockSize when info.Length == 14:
                    Block = (
                        BinaryPrimitives.ReadUInt32BigEndian(info[2..]),
                        BinaryPrimitives.ReadUInt32BigEndian(info[6..]),
                        BinaryPrimitives.ReadUInt32BigEndian(info[10..]));
                    break;
                case NbdInfo.Export or NbdInfo.BlockSize:
                    throw new NbdProtocolException($"its information {(ushort)kind} about the export has {info.Length} bytes");
                default:
                    break;
            }
        }
    }
}

/// <summary>A connection in the transmission phase.</summary>
internal sealed class NbdLink(Stream stream, NbdReader reader, NbdExportInfo export) : IDisposable
{
    public Stream Stream => stream;

    public NbdReader Reader => reader;

    public NbdExportInfo Export => export;

    public void Dispose() => stream.Dispose();
}
