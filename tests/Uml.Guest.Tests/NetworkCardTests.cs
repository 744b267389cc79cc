using Uml.Devices.Virtio;
using Uml.Net.Frames;
using Uml.Net.InProcess;

namespace Uml.Guest.Tests;

/// <summary>Linux's own driver on our network cards: two guests on one switch.</summary>
[TestFixture]
[Category("Guest")]
public sealed class NetworkCardTests
{
    private static readonly string[] Modules = ["virtio_pci", "virtio_net"];

    private NetSwitch _network = null!;
    private GuestMachine[] _guests = [];

    [SetUp]
    public async Task SetUp()
    {
        _network = new NetSwitch();
        _guests = await Task.WhenAll(BootAsync(1), BootAsync(2));
    }

    [TearDown]
    public async Task TearDown()
    {
        foreach (GuestMachine guest in _guests)
        {
            await guest.DisposeAsync();
        }

        await _network.DisposeAsync();
    }

    [Test]
    public async Task Two_guests_reach_each_other()
    {
        Assert.That(await RunAsync(_guests[0], "ping -c 3 -W 20 -s 1400 10.0.0.2 | grep received"), Does.Contain("3 packets received"));
        foreach ((GuestMachine server, GuestMachine client, int number) in new[] { (_guests[1], _guests[0], 2), (_guests[0], _guests[1], 1) })
        {
            await RunAsync(server, "head -c 50000000 /dev/urandom > /tmp/data; httpd -p 80 -h /tmp");
            string received = await RunAsync(client, $"wget -q -O - http://10.0.0.{number}/data | sha256sum");
            Assert.That(received, Is.EqualTo(await RunAsync(server, "sha256sum < /tmp/data")));
        }
    }

    private async Task<GuestMachine> BootAsync(int number)
    {
        INetTransport port = _network.Connect();
        GuestMachine guest = await GuestMachine.BootToShellAsync(
            builder => builder.Configure(options => options.Name = $"guest{number}").AddNetworkCard(_ => port), modules: Modules);
        await RunAsync(guest, $"ip link set lo up; ip link set eth0 up; ip addr add 10.0.0.{number}/24 dev eth0");
        return guest;
    }

    private static async Task<string> RunAsync(GuestMachine guest, string command) =>
        (await guest.Shell.RunAsync(command, GuestMachine.Patience)).Output;
}
