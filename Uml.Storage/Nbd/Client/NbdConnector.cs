using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Uml.Storage.Blocks;
using Uml.Storage.Nbd.Protocol;

namespace Uml.Storage.Nbd.Client;

/// <summary>Makes connections to an export.</summary>
internal sealed class NbdConnector(NbdEndPoint end, NbdClientOptions options)
{
    public NbdEndPoint End => end;

    /// <summary>Connects and negotiates.</summary>
    /// <exception cref="DiskImageException">The server refuses, or does not keep to the protocol: another attempt would not help.</exception>
    /// <exception cref="IOException">There is no connection; there may be one later.</exception>
    public async Task<NbdLink> ConnectAsync(TimeSpan timeout, CancellationToken cancellationToken)
    {
        using CancellationTokenSource limit = new(timeout, options.TimeProvider);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        Socket socket = end.Address is UnixDomainSocketEndPoint
            ? new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(end.Address, either.Token).ConfigureAwait(false);
            NbdClientHandshake handshake = new(end, end.RequiresTls || options.Tls is not null ? EncryptAsync : null);
            return await handshake.RunAsync(new NetworkStream(socket, ownsSocket: true), either.Token).ConfigureAwait(false);
        }
        catch (Exception failure)
        {
            socket.Dispose();
            throw failure switch
            {
                NbdProtocolException => new DiskImageException($"{end} does not keep to the protocol: {failure.Message}.", failure),
                OperationCanceledException when !cancellationToken.IsCancellationRequested =>
                    new IOException($"there was no answer within {timeout.TotalSeconds:0.###} s", failure),
                SocketException => new IOException(failure.Message, failure),
                AuthenticationException => new DiskImageException(
                    $"{end} cannot be connected to by TLS: {failure.Message} Check the certificates of both, and who signed them.", failure),
                _ => failure,
            };
        }
    }

    private async Task<Stream> EncryptAsync(Stream stream, CancellationToken cancellationToken)
    {
        SslStream encrypted = new(stream, leaveInnerStreamOpen: false);
        SslClientAuthenticationOptions settings = new()
        {
            TargetHost = end.TlsHostName ?? end.Address switch
            {
                DnsEndPoint dns => dns.Host,
                IPEndPoint ip => ip.Address.ToString(),
                _ => "localhost",
            },
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            ClientCertificates = options.Tls?.Certificate is { } certificate ? [certificate] : null,
            CertificateChainPolicy = options.Tls?.Authorities is { } authorities ? NbdTrust.PolicyOf(authorities) : null,
        };
        await encrypted.AuthenticateAsClientAsync(settings, cancellationToken).ConfigureAwait(false);
        return encrypted;
    }
}
