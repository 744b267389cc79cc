using System.Net;
using System.Net.Sockets;
using Uml.Storage.Blocks;
using Uml.Storage.Nbd.Client;

namespace Uml.Storage.Tests.Nbd;

public sealed class NbdEndPointTests
{
    [TestCase("nbd://example.com/disk", "example.com", 10809, "disk", false)]
    [TestCase("nbd://example.com:7/", "example.com", 7, "", false)]
    [TestCase("nbd://example.com", "example.com", 10809, "", false)]
    [TestCase("nbd://example.com//disk", "example.com", 10809, "/disk", false)]
    [TestCase("nbds://example.com/hello%20world", "example.com", 10809, "hello world", true)]
    public void A_server_on_the_network_has_a_host_and_a_port(string uri, string host, int port, string export, bool isTls)
    {
        NbdEndPoint end = NbdEndPoint.Parse(new Uri(uri));
        Assert.That(end.Address, Is.EqualTo(new DnsEndPoint(host, port)));
        Assert.That((end.Export, end.RequiresTls), Is.EqualTo((export, isTls)));
    }

    [Test]
    public void An_address_is_one()
    {
        Assert.That(NbdEndPoint.Parse(new Uri("nbd://[::1]:9/")).Address, Is.EqualTo(new IPEndPoint(IPAddress.IPv6Loopback, 9)));
        Assert.That(NbdEndPoint.Parse(new Uri("nbd://127.0.0.1")).Address, Is.EqualTo(new IPEndPoint(IPAddress.Loopback, 10809)));
    }

    [TestCase("nbd+unix:///disk?socket=/run/a%20b.sock", "disk", false)]
    [TestCase("nbds+unix:///?socket=/run/a%20b.sock&tls-hostname=x", "", true)]
    [TestCase("nbd+unix://?socket=/run/a%20b.sock", "", false)]
    public void A_server_on_this_host_has_a_socket(string uri, string export, bool isTls)
    {
        NbdEndPoint end = NbdEndPoint.Parse(new Uri(uri));
        Assert.That(end.Address.ToString(), Is.EqualTo("/run/a b.sock"));
        Assert.That(end.Address, Is.InstanceOf<UnixDomainSocketEndPoint>());
        Assert.That((end.Export, end.RequiresTls, end.TlsHostName), Is.EqualTo((export, isTls, isTls ? "x" : null)));
    }

    [TestCase("http://example.com/", "begins with nbd://")]
    [TestCase("nbd+unix:///disk", "with a socket")]
    [TestCase("nbd+unix://host/disk?socket=a", "without a host")]
    [TestCase("nbd://example.com/?socket=a", "without a socket")]
    [TestCase("nbd://me@example.com/", "user's name")]
    [TestCase("nbd://example.com/?tls-type=psk", "tls-type=psk")]
    [TestCase("nbd://example.com/?x=1", "'x=1'")]
    public void Others_are_refused_with_what_is_wrong(string uri, string message) =>
        Assert.That(() => NbdEndPoint.Parse(new Uri(uri)), Throws.InstanceOf<DiskImageException>().With.Message.Contains(message));
}
