using System.Net.NetworkInformation;
using Uml.Net.Specs;
using Uml.Net.Transports.Bess;
using Uml.Net.Transports.Daemon;
using Uml.Net.Transports.Datagrams;
using Uml.Net.Transports.Descriptors;
using Uml.Net.Transports.Fd;
using Uml.Net.Transports.Gre;
using Uml.Net.Transports.Hybrid;
using Uml.Net.Transports.L2tp;
using Uml.Net.Transports.Multicast;
using Uml.Net.Transports.Raw;
using Uml.Net.Transports.Streams;
using Uml.Net.Transports.Tap;
using Uml.Net.Transports.Vde;
using Uml.Net.Transports.Vxlan;

namespace Uml.Net.Tests.Specs;

[TestFixture]
public sealed class NetSpecTests
{
    private static readonly object[] s_specs =
    [
        new object[] { "transport=tap,ifname=tap0", new TapOptions { Interface = "tap0" } },
        new object[] { "transport=tap", new TapOptions() },
        new object[] { "transport=tap,fd=7,vnethdr=12", new TapOptions { Descriptor = 7, HeaderSize = 12 } },
        new object[] { "transport=hybrid,ifname=tap0,depth=128,gro=1", new HybridOptions { Interface = "tap0", Depth = 128 } },
        new object[] { "transport=raw,ifname=p-p0,depth=128,vec=0,gro=0,mtu=9000", new RawOptions { Interface = "p-p0", Depth = 128, IsVectored = false, UsesOffloads = false, Mtu = 9000 } },
        new object[] { "transport=raw,ifname=a,bpffile=/x,bpfflash=1,promisc=0", new RawOptions { Interface = "a", FilterFile = "/x", AllowsFilterLoading = true, IsPromiscuous = false } },
        new object[] { "transport=gre,src=10.0.0.1,dst=10.0.0.2", new GreOptions { Source = "10.0.0.1", Destination = "10.0.0.2" } },
        new object[]
        {
            "transport=gre,src=fd00::1,dst=fd00::2,v6=1,rx_key=0xffffffff,tx_key=017,sequence=1,pin_sequence=1",
            new GreOptions { Source = "fd00::1", Destination = "fd00::2", IsIp6 = true, ReceiveKey = uint.MaxValue, SendKey = 15, HasSequence = true, IsSequencePinned = true },
        },
        new object[]
        {
            "transport=l2tpv3,udp=1,src=127.0.0.1,dst=127.0.0.1,srcport=1706,dstport=1707,depth=128,rx_session=0xffffffff,tx_session=0xffff",
            new L2tpOptions { UsesUdp = true, Source = "127.0.0.1", Destination = "127.0.0.1", SourcePort = 1706, DestinationPort = 1707, Depth = 128, ReceiveSession = uint.MaxValue, SendSession = 0xFFFF },
        },
        new object[]
        {
            "transport=l2tpv3,dst=h,rx_session=1,tx_session=2,cookie64=1,rx_cookie=0xffffffffffffffff,tx_cookie=3,counter=1,pin_counter=1,v6=0",
            new L2tpOptions { Destination = "h", ReceiveSession = 1, SendSession = 2, HasLongCookies = true, ReceiveCookie = ulong.MaxValue, SendCookie = 3, HasCounter = true, IsCounterPinned = true, IsIp6 = false },
        },
        new object[] { "transport=bess,dst=/tmp/a,src=/tmp/b", new BessOptions { Destination = "/tmp/a", Source = "/tmp/b" } },
        new object[] { "transport=fd,fd=3,vec=0", new FdOptions { Descriptor = 3, IsVectored = false } },
        new object[] { "transport=vde,vnl=tap://tap0", new VdeOptions { Locator = "tap://tap0" } },
        new object[] { "transport=vde,vnl=\"vxvde://239.0.0.1/x=1,y=\\\"2\\\\\",descr=a b,port=3,mode=0700,group=vde", new VdeOptions { Locator = "vxvde://239.0.0.1/x=1,y=\"2\\", Description = "a b", Port = 3, Mode = "0700", Group = "vde" } },
        new object[] { "transport=daemon", new DaemonOptions() },
        new object[] { "transport=daemon,dst=/run/ctl", new DaemonOptions { Switch = "/run/ctl" } },
        new object[] { "transport=mcast,dst=239.1.1.1,dstport=1103,ttl=3", new MulticastOptions { Group = "239.1.1.1", Port = 1103, TimeToLive = 3 } },
        new object[] { "transport=vxlan,dst=10.0.0.2,vni=42", new VxlanOptions { Destination = "10.0.0.2", Network = 42 } },
        new object[] { "transport=stream,dst=/tmp/passt_1.socket", new StreamOptions { Address = "/tmp/passt_1.socket" } },
        new object[] { "transport=stream,listen=1,src=::1,srcport=1234,framing=hyperkit", new StreamOptions { Address = "::1", Port = 1234, IsServer = true, Framing = StreamFraming.HyperKit } },
        new object[] { "transport=dgram,src=/tmp/a,dst=/tmp/b", new DatagramOptions { Source = "/tmp/a", Destination = "/tmp/b" } },
    ];

    [TestCaseSource(nameof(s_specs))]
    public void A_network_is_read_as_uml_spells_it(string text, NetTransportOptions expected) =>
        Assert.That(NetSpec.Parse(text), Is.EqualTo(new NetSpec { Transport = expected }));

    [Test]
    public void What_is_the_cards_is_told_apart()
    {
        NetSpec spec = NetSpec.Parse("vec12:transport=tap,ifname=tap0,mac=52:54:0:12:34:ff,headroom=32");
        Assert.That((spec.Unit, spec.Headroom), Is.EqualTo(((int?)12, 32)));
        Assert.That(spec.HardwareAddress, Is.EqualTo(new PhysicalAddress([0x52, 0x54, 0, 0x12, 0x34, 0xFF])));
    }

    [Test]
    public void A_transports_name_counts_when_the_value_begins_with_it() =>
        Assert.That(NetSpec.Parse("transport=tapdance,ifname=a").Transport, Is.TypeOf<TapOptions>());

    [TestCase("", "transport", "raw, hybrid, tap, gre, l2tpv3, bess, fd, vde")]
    [TestCase("transport=carrier-pigeon", "transport", "there are raw, hybrid, tap")]
    [TestCase("transport", null, "key=value")]
    [TestCase("transport=tap,,ifname=a", null, "key=value")]
    [TestCase("transport=tap,", null, "comma stands at the end")]
    [TestCase("=tap", null, "key=value")]
    [TestCase("transport=tap,ifname=a,ifname=b", "ifname", "given twice")]
    [TestCase("transport=tap,ifname=", "ifname", "has no value")]
    [TestCase("transport=tap,ifname=a=b", "ifname", "double quotes")]
    [TestCase("transport=tap,ifname=\"a", "ifname", "not closed")]
    [TestCase("transport=tap,ifname=\"a\"b", "ifname", "stands more than a comma")]
    [TestCase("transport=tap,ifnam=a", "ifnam", "it has depth, fd, gro, headroom, ifname, mac, mtu, transport, vec, vnethdr")]
    [TestCase("transport=tap,ifname=a,vnethdr=11", "vnethdr", "can be 10 or 12")]
    [TestCase("transport=tap,depth=0", "depth", "from 1 to 1024")]
    [TestCase("transport=tap,depth=0x10", "depth", "from 1 to 1024")]
    [TestCase("transport=tap,mtu=67", "mtu", "from 68 to 65520")]
    [TestCase("transport=daemon,mtu=1501", "mtu", "from 68 to 1500")]
    [TestCase("transport=tap,mac=01:00:00:00:00:01", "mac", "52:54:00:12:34:56")]
    [TestCase("transport=tap,mac=0:0:0:0:0:0", "mac", "not all zero")]
    [TestCase("transport=tap,mac=2:0:0:0:0", "mac", "six bytes")]
    [TestCase("transport=tap,headroom=-1", "headroom", "from 0 to 4096")]
    [TestCase("transport=tap,gro=x", "gro", "number")]
    [TestCase("transport=raw", "ifname", "write ifname=INTERFACE")]
    [TestCase("transport=fd", "fd", "write fd=NUMBER")]
    [TestCase("transport=fd,fd=-1", "fd", "from 0 to")]
    [TestCase("transport=gre,dst=a,rx_key=1", null, "rx_key and tx_key")]
    [TestCase("transport=gre,dst=a,rx_key=0x100000000,tx_key=1", "rx_key", "0xffffffff")]
    [TestCase("transport=gre,dst=a,rx_key=08,tx_key=1", "rx_key", "octal behind 0")]
    [TestCase("transport=l2tpv3,dst=a,tx_session=1", "rx_session", "is missing")]
    [TestCase("transport=l2tpv3,dst=a,tx_session=1,rx_session=0", null, "ReceiveSession")]
    [TestCase("transport=l2tpv3,dst=a,tx_session=1,rx_session=1,srcport=65536", "srcport", "from 1 to 65535")]
    [TestCase("transport=vxlan,dst=a,vni=0x1000000", "vni", "0xffffff")]
    [TestCase("transport=stream,src=a", "dst", "write dst=")]
    [TestCase("transport=dgram,src=a,dst=b,srcport=1", null, "srcport and dstport")]
    [TestCase("transport=tap,ifname=sixteen-bytes-xx", null, "1 to 15 bytes")]
    [TestCase("vec4096:transport=tap", "vec", "vec0: to vec4095:")]
    [TestCase("vecx:transport=tap", "vec", "vec0: to vec4095:")]
    public void An_error_names_the_option_and_what_is_allowed(string text, string? option, string expected)
    {
        NetSpecException exception = Assert.Throws<NetSpecException>(() => NetSpec.Parse(text))!;
        Assert.That((exception.Option, exception.Message), Is.EqualTo((option, exception.Message)));
        Assert.That(exception.Message, Does.Contain(expected));
    }

    [Test]
    public void A_text_is_not_longer_than_it_may_be() =>
        Assert.That(() => NetSpec.Parse("transport=" + new string('x', 10_000)), Throws.TypeOf<NetSpecException>().With.Message.Contains("8192"));

    [Test]
    public void Any_text_is_read_or_refused()
    {
        Random random = new(1);
        string[] words = ["transport", "=", ",", "\"", "\\", "tap", "l2tpv3", "gre", "mac", "vec", "vec0:", ":", "0x", "0", "7", "dst", "rx_session", "ifname", "\0", "é"];
        for (int i = 0; i < 50_000; i++)
        {
            string text = (i % 2 == 0 ? "transport=tap," : "") + string.Concat(Enumerable.Range(0, random.Next(12)).Select(_ => words[random.Next(words.Length)]));
            try
            {
                NetSpec.Parse(text);
            }
            catch (NetSpecException)
            {
                // The one error that is documented.
            }
        }
    }
}
