using System.Buffers.Binary;
using System.Net.Security;
using System.Security.Authentication;
using System.Text;
using Uml.Storage.Blocks;
using Uml.Storage.Nbd.Protocol;

namespace Uml.Storage.Nbd.Server;

/// <summary>"Handshake", from the server's side.</summary>
internal sealed class NbdServerHandshake(NbdServerOptions options, Stream stream)
{
    /// <summary>Options that a client may send, and data of one: limits of ours; two strings are the most that is in one.</summary>
    private const int MaximumOptions = 256, MaximumData = (2 * NbdProtocol.MaximumString) + 256;

    private readonly byte[] _data = new byte[MaximumData];
    private Stream _stream = stream;
    private NbdReader _reader = new(stream);
    private bool _isEncrypted, _isStructured, _isFixed, _hasNoZeroes;

    /// <summary>Negotiates.</summary>
    /// <returns>What is to be served and how; null when the client takes its leave.</returns>
    /// <exception cref="NbdProtocolException">The client does not keep to the protocol, or wants what cannot be answered but by disconnecting.</exception>
    /// <exception cref="IOException">The connection is gone.</exception>
    /// <exception cref="AuthenticationException">There is no encryption that both agree on.</exception>
    public async Task<NbdServerLink?> RunAsync(CancellationToken cancellationToken)
    {
        await GreetAsync(cancellationToken).ConfigureAwait(false);
        for (int i = 0; i < MaximumOptions; i++)
        {
            await _reader.FillAsync(NbdOptionHeader.Size, cancellationToken).ConfigureAwait(false);
            NbdOptionHeader header = NbdOptionHeader.Read(_reader.Take(NbdOptionHeader.Size));
            if (header.Length > MaximumData)
            {
                // Not read: whoever sends so much would have the server read for nothing.
                throw new NbdProtocolException($"option {(uint)header.Option} has {header.Length} bytes of data, of at most {MaximumData}");
            }

            await _reader.FillAsync((int)header.Length, cancellationToken).ConfigureAwait(false);
            _reader.Take((int)header.Length).CopyTo(_data);
            if (header.Option == NbdOption.Abort)
            {
                await ReplyAsync(header.Option, NbdOptionReply.Ack, default, cancellationToken).ConfigureAwait(false);
                return null;
            }

            if (await AnswerAsync(header.Option, (int)header.Length, cancellationToken).ConfigureAwait(false) is { } export)
            {
                return new NbdServerLink(_stream, _reader, export, _isStructured);
            }
        }

        throw new NbdProtocolException($"it sends more than {MaximumOptions} options");
    }

    /// <summary>"Transmission flags" of an export.</summary>
    private NbdExportFlags FlagsOf(NbdExport export)
    {
        NbdExportFlags flags = NbdExportFlags.HasFlags | NbdExportFlags.CanMultiConn;
        flags |= export.Device.GetCapability<IFlushable>() is null ? 0 : NbdExportFlags.SendFlush | NbdExportFlags.SendFua;
        flags |= _isStructured ? NbdExportFlags.SendDontFragment : 0;
        if (!export.IsWritable)
        {
            return flags | NbdExportFlags.ReadOnly;
        }

        flags |= export.Device.GetCapability<IDiscardable>() is null ? 0 : NbdExportFlags.SendTrim;
        return flags | (export.Device.GetCapability<IZeroable>() is null ? 0 : NbdExportFlags.SendWriteZeroes);
    }

    private async Task GreetAsync(CancellationToken cancellationToken)
    {
        byte[] greeting = new byte[18];
        BinaryPrimitives.WriteUInt64BigEndian(greeting, NbdProtocol.ServerMagic);
        BinaryPrimitives.WriteUInt64BigEndian(greeting.AsSpan(8), NbdProtocol.OptionMagic);
        BinaryPrimitives.WriteUInt16BigEndian(greeting.AsSpan(16), (ushort)(NbdHandshakeFlags.FixedNewstyle | NbdHandshakeFlags.NoZeroes));
        await _stream.WriteAsync(greeting, cancellationToken).ConfigureAwait(false);
        await _reader.FillAsync(4, cancellationToken).ConfigureAwait(false);
        uint flags = BinaryPrimitives.ReadUInt32BigEndian(_reader.Take(4));
        if ((flags & ~(uint)(NbdHandshakeFlags.FixedNewstyle | NbdHandshakeFlags.NoZeroes)) != 0)
        {
            throw new NbdProtocolException($"its flags are {flags:X}H, of which some were not offered");
        }

        _isFixed = (flags & (uint)NbdHandshakeFlags.FixedNewstyle) != 0;
        _hasNoZeroes = (flags & (uint)NbdHandshakeFlags.NoZeroes) != 0;
    }

    /// <returns>The export, when the transmission phase begins.</returns>
    private async Task<NbdExport?> AnswerAsync(NbdOption option, int length, CancellationToken cancellationToken)
    {
        if (options.Tls is { IsRequired: true } && !_isEncrypted && option is not (NbdOption.StartTls or NbdOption.ExportName))
        {
            await ReplyAsync(option, NbdOptionReply.TlsRequired, default, cancellationToken).ConfigureAwait(false);
            return null;
        }

        switch (option)
        {
            case NbdOption.ExportName:
                return await BeginAsync(length, cancellationToken).ConfigureAwait(false);
            case NbdOption.Go or NbdOption.Info:
                return await InformAsync(option, length, cancellationToken).ConfigureAwait(false) is { } export && option == NbdOption.Go ? export : null;
            case NbdOption.List or NbdOption.StartTls or NbdOption.StructuredReply when length > 0:
                await ReplyAsync(option, NbdOptionReply.Invalid, default, cancellationToken).ConfigureAwait(false);
                return null;
            case NbdOption.List:
                await ListAsync(cancellationToken).ConfigureAwait(false);
                return null;
            case NbdOption.StartTls:
                await StartTlsAsync(cancellationToken).ConfigureAwait(false);
                return null;
            case NbdOption.StructuredReply:
                _isStructured = true;
                await ReplyAsync(option, NbdOptionReply.Ack, default, cancellationToken).ConfigureAwait(false);
                return null;
            default:
                await ReplyAsync(option, NbdOptionReply.Unsupported, default, cancellationToken).ConfigureAwait(false);
                return null;
        }
    }

    private NbdExport? Find(ReadOnlySpan<byte> name) =>
        NbdText.TryRead(name, out string text) ? options.Exports.FirstOrDefault(export => export.Name == text) : null;

    /// <summary>NBD_OPT_EXPORT_NAME.</summary>
    private async Task<NbdExport> BeginAsync(int length, CancellationToken cancellationToken)
    {
        if (options.Tls is { IsRequired: true } && !_isEncrypted)
        {
            throw new NbdProtocolException("it wants an export without encryption");
        }

        NbdExport export = Find(_data.AsSpan(0, length)) ?? throw new NbdProtocolException("it wants an export that is not there");
        byte[] answer = new byte[10 + (_hasNoZeroes ? 0 : NbdProtocol.Padding)];
        BinaryPrimitives.WriteUInt64BigEndian(answer, (ulong)export.Device.Length);
        BinaryPrimitives.WriteUInt16BigEndian(answer.AsSpan(8), (ushort)FlagsOf(export));
        await _stream.WriteAsync(answer, cancellationToken).ConfigureAwait(false);
        return export;
    }

    /// <summary>NBD_OPT_INFO and NBD_OPT_GO.</summary>
    private async Task<NbdExport?> InformAsync(NbdOption option, int length, CancellationToken cancellationToken)
    {
        uint nameLength = length >= 6 ? BinaryPrimitives.ReadUInt32BigEndian(_data) : uint.MaxValue;
        if (nameLength > length - 6 || length != 6 + nameLength + (2 * BinaryPrimitives.ReadUInt16BigEndian(_data.AsSpan(4 + (int)nameLength))))
        {
            await ReplyAsync(option, NbdOptionReply.Invalid, default, cancellationToken).ConfigureAwait(false);
            return null;
        }

        if (Find(_data.AsSpan(4, (int)nameLength)) is not { } export)
        {
            await ReplyAsync(option, NbdOptionReply.Unknown, default, cancellationToken).ConfigureAwait(false);
            return null;
        }

        byte[] size = new byte[12];
        BinaryPrimitives.WriteUInt16BigEndian(size, (ushort)NbdInfo.Export);
        BinaryPrimitives.WriteUInt64BigEndian(size.AsSpan(2), (ulong)export.Device.Length);
        BinaryPrimitives.WriteUInt16BigEndian(size.AsSpan(10), (ushort)FlagsOf(export));
        await ReplyAsync(option, NbdOptionReply.Info, size, cancellationToken).ConfigureAwait(false);

        int block = export.Device.Limits.LogicalBlockSize;
        byte[] blocks = new byte[14];
        BinaryPrimitives.WriteUInt16BigEndian(blocks, (ushort)NbdInfo.BlockSize);
        BinaryPrimitives.WriteUInt32BigEndian(blocks.AsSpan(2), (uint)block);
        BinaryPrimitives.WriteUInt32BigEndian(blocks.AsSpan(6), (uint)Math.Max(export.Device.Limits.PhysicalBlockSize, block));
        BinaryPrimitives.WriteUInt32BigEndian(blocks.AsSpan(10), (uint)(options.MaximumRequestSize / block * block));
        await ReplyAsync(option, NbdOptionReply.Info, blocks, cancellationToken).ConfigureAwait(false);
        if (export.Description.Length > 0)
        {
            byte[] description = new byte[2 + Encoding.UTF8.GetByteCount(export.Description)];
            BinaryPrimitives.WriteUInt16BigEndian(description, (ushort)NbdInfo.Description);
            Encoding.UTF8.GetBytes(export.Description, description.AsSpan(2));
            await ReplyAsync(option, NbdOptionReply.Info, description, cancellationToken).ConfigureAwait(false);
        }

        await ReplyAsync(option, NbdOptionReply.Ack, default, cancellationToken).ConfigureAwait(false);
        return export;
    }

    private async Task ListAsync(CancellationToken cancellationToken)
    {
        foreach (NbdExport export in options.Exports)
        {
            int nameLength = Encoding.UTF8.GetByteCount(export.Name);
            byte[] entry = new byte[4 + nameLength + Encoding.UTF8.GetByteCount(export.Description)];
            BinaryPrimitives.WriteUInt32BigEndian(entry, (uint)nameLength);
            Encoding.UTF8.GetBytes(export.Name, entry.AsSpan(4));
            Encoding.UTF8.GetBytes(export.Description, entry.AsSpan(4 + nameLength));
            await ReplyAsync(NbdOption.List, NbdOptionReply.Server, entry, cancellationToken).ConfigureAwait(false);
        }

        await ReplyAsync(NbdOption.List, NbdOptionReply.Ack, default, cancellationToken).ConfigureAwait(false);
    }

    private async Task StartTlsAsync(CancellationToken cancellationToken)
    {
        if (options.Tls is not { } tls || _isEncrypted || !_isFixed)
        {
            NbdOptionReply refusal = _isEncrypted ? NbdOptionReply.Invalid : NbdOptionReply.Policy;
            await ReplyAsync(NbdOption.StartTls, refusal, default, cancellationToken).ConfigureAwait(false);
            return;
        }

        await ReplyAsync(NbdOption.StartTls, NbdOptionReply.Ack, default, cancellationToken).ConfigureAwait(false);
        SslServerAuthenticationOptions settings = new()
        {
            ServerCertificate = tls.Certificate,
            ClientCertificateRequired = tls.ClientAuthorities is not null,
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            CertificateChainPolicy = tls.ClientAuthorities is { } authorities ? NbdTrust.PolicyOf(authorities) : null,
        };

        // What has come already was sent with the option, unencrypted; it is no part of the handshake unless the client did not wait.
        if (_reader.Available > 0)
        {
            throw new NbdProtocolException($"{_reader.Available} bytes follow its wish to encrypt before there was an answer");
        }

        SslStream encrypted = new(_stream, leaveInnerStreamOpen: false);
        await encrypted.AuthenticateAsServerAsync(settings, cancellationToken).ConfigureAwait(false);
        (_stream, _reader, _isEncrypted, _isStructured) = (encrypted, new NbdReader(encrypted), true, false);
    }

    private async Task ReplyAsync(NbdOption option, NbdOptionReply reply, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        byte[] bytes = new byte[NbdOptionReplyHeader.Size + data.Length];
        new NbdOptionReplyHeader(option, reply, (uint)data.Length).Write(bytes);
        data.Span.CopyTo(bytes.AsSpan(NbdOptionReplyHeader.Size));
        await _stream.WriteAsync(bytes, cancellationToken).ConfigureAwait(false);
    }
}

/// <summary>A connection in the transmission phase.</summary>
internal sealed record NbdServerLink(Stream Stream, NbdReader Reader, NbdExport Export, bool IsStructured);
