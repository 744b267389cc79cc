using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Uml.Storage.Blocks;
using Uml.Storage.Nbd.Client;
using Uml.Storage.Nbd.Server;

namespace Uml.Storage.Tests.Nbd;

public sealed class NbdTlsTests
{
    private NbdRig _rig = null!;
    private TestAuthority _authority = null!;

    [SetUp]
    public void MakeRig() => (_rig, _authority) = (new NbdRig(), new TestAuthority());

    [TearDown]
    public async Task DisposeRig()
    {
        await _rig.DisposeAsync();
        _authority.Dispose();
    }

    [Test, CancelAfter(60_000)]
    public async Task Random_requests_read_what_was_written_through_encryption()
    {
        Start(new NbdServerTls(_authority.Issue("localhost")) { ClientAuthorities = _authority.Certificates });
        NbdClientTls tls = new() { Authorities = _authority.Certificates, Certificate = _authority.Issue("client") };
        await using NbdBlockDevice device = await _rig.ConnectAsync(new NbdClientOptions { Tls = tls });
        BlockModel model = new(device, new byte[device.Length], 1);
        await model.RunAsync(500);
        await model.CheckAsync();
    }

    [Test, CancelAfter(60_000)]
    public void A_server_that_requires_encryption_refuses_others()
    {
        Start(new NbdServerTls(_authority.Issue("localhost")));
        Assert.That(() => _rig.ConnectAsync(), Throws.InstanceOf<DiskImageException>().With.Message.Contains("requires encryption"));
    }

    [Test, CancelAfter(60_000)]
    public async Task A_server_that_offers_encryption_serves_both()
    {
        Start(new NbdServerTls(_authority.Issue("localhost")) { IsRequired = false });
        await using NbdBlockDevice plain = await _rig.ConnectAsync();
        await using NbdBlockDevice encrypted = await _rig.ConnectAsync(new NbdClientOptions { Tls = new NbdClientTls { Authorities = _authority.Certificates } });
        await encrypted.WriteAsync(0, new byte[512]);
    }

    [Test, CancelAfter(60_000)]
    public void A_server_of_another_name_or_authority_is_refused([Values] bool isOtherName)
    {
        using TestAuthority other = new();
        Start(new NbdServerTls((isOtherName ? _authority : other).Issue(isOtherName ? "example.com" : "localhost")));
        Assert.That(() => _rig.ConnectAsync(new NbdClientOptions { Tls = new NbdClientTls { Authorities = _authority.Certificates } }),
            Throws.InstanceOf<DiskImageException>().With.Message.Contains("TLS").And.Message.Contains("certificate"));
    }

    [Test, CancelAfter(60_000)]
    public async Task A_name_that_the_certificate_has_can_be_told()
    {
        Start(new NbdServerTls(_authority.Issue("example.com")));
        NbdEndPoint end = NbdEndPoint.Parse(new Uri($"nbds+unix:///disk?socket={_rig.Socket}&tls-hostname=example.com"));
        await using NbdBlockDevice device = await NbdBlockDevice.ConnectAsync(end, new NbdClientOptions { Tls = new NbdClientTls { Authorities = _authority.Certificates } });
        await device.ReadAsync(0, new byte[512]);
    }

    [Test, CancelAfter(60_000)]
    public async Task A_client_without_the_certificate_that_is_asked_for_reads_nothing()
    {
        Start(new NbdServerTls(_authority.Issue("localhost")) { ClientAuthorities = _authority.Certificates });
        NbdClientOptions options = new() { Tls = new NbdClientTls { Authorities = _authority.Certificates }, ReconnectTimeout = TimeSpan.Zero };
        Assert.That(() => _rig.ConnectAsync(options), Throws.InstanceOf<DiskImageException>());
        using TestAuthority other = new();
        options = options with { Tls = options.Tls! with { Certificate = other.Issue("client") } };
        Assert.That(() => _rig.ConnectAsync(options), Throws.InstanceOf<DiskImageException>());
        await Task.CompletedTask;
    }

    [Test, CancelAfter(60_000)]
    public async Task An_encrypted_connection_to_QEMU_works_in_both_directions()
    {
        File.WriteAllText(_rig.Folder["ca-cert.pem"], _authority.Certificates[0].ExportCertificatePem());
        Write("server", _authority.Issue("localhost"));
        Write("client", _authority.Issue("client"));
        RawImage();
        using PeerServer peer = PeerServer.Start("qemu-utils", "qemu-nbd", _rig.Socket,
            "-t", "-k", _rig.Socket, "-f", "raw", "-x", "disk", "--tls-creds", "tls0",
            "--object", $"tls-creds-x509,id=tls0,endpoint=server,dir={_rig.Folder["."]},verify-peer=on", _rig.Folder["image"]);
        NbdClientTls tls = new() { Authorities = _authority.Certificates, Certificate = _authority.Issue("client") };
        await using (NbdBlockDevice device = await _rig.ConnectAsync(new NbdClientOptions { Tls = tls }))
        {
            await device.WriteAsync(0, new byte[4096]);
            await device.FlushAsync();
        }

        await using NbdRig own = new();
        own.Start(new MemoryBlockDevice(1 << 20), options => options with
        {
            Tls = new NbdServerTls(_authority.Issue("localhost")) { ClientAuthorities = _authority.Certificates },
        });
        string output = PeerTool.Run("qemu-utils", "qemu-io", "--object", $"tls-creds-x509,id=tls0,endpoint=client,dir={_rig.Folder["."]}", "--image-opts",
            $"driver=nbd,server.type=unix,server.path={own.Socket},export=disk,tls-creds=tls0,tls-hostname=localhost", "-c", "write -P 7 0 64k", "-c", "read -P 7 0 64k");
        Assert.That(output, Does.Contain("read 65536/65536").And.Not.Contain("failed"));
    }

    private void Start(NbdServerTls tls) => _rig.Start(new MemoryBlockDevice(1 << 20), options => options with { Tls = tls });

    private void RawImage() => File.WriteAllBytes(_rig.Folder["image"], new byte[1 << 20]);

    private void Write(string name, X509Certificate2 certificate)
    {
        File.WriteAllText(_rig.Folder[$"{name}-cert.pem"], certificate.ExportCertificatePem());
        File.WriteAllText(_rig.Folder[$"{name}-key.pem"], certificate.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());
    }
}

/// <summary>Signs certificates for a test.</summary>
internal sealed class TestAuthority : IDisposable
{
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly X509Certificate2 _certificate;
    private readonly List<X509Certificate2> _issued = [];

    public TestAuthority()
    {
        CertificateRequest request = new($"CN=Authority {Guid.NewGuid():N}", _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        _certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(2));
    }

    public X509Certificate2Collection Certificates => [_certificate];

    public X509Certificate2 Issue(string name)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new($"CN={name}", key, HashAlgorithmName.SHA256);
        SubjectAlternativeNameBuilder names = new();
        names.AddDnsName(name);
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1"), new Oid("1.3.6.1.5.5.7.3.2")], false));
        using X509Certificate2 signed = request.Create(_certificate, DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1), Guid.NewGuid().ToByteArray());
        X509Certificate2 whole = signed.CopyWithPrivateKey(key);
        _issued.Add(whole);
        return whole;
    }

    public void Dispose()
    {
        _issued.ForEach(certificate => certificate.Dispose());
        _certificate.Dispose();
        _key.Dispose();
    }
}
