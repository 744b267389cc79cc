using System.Text;
using Uml.Devices.Consoles;

namespace Uml.Devices.Tests.Consoles;

[TestFixture]
[Platform("Linux")]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class TerminalControlChannelTests : IDisposable
{
    private readonly StdioConsoleChannel _console = new(new StdioConsoleOptions { HoldsInput = true });
    private readonly TerminalControlChannel _control;
    private (int Columns, int Rows)? _size = (80, 24);

    public TerminalControlChannelTests() => _control = new TerminalControlChannel(_console, () => _size);

    public void Dispose()
    {
        _control.Dispose();
        _console.Dispose();
    }

    [Test]
    public void A_guest_that_is_not_ready_is_told_nothing()
    {
        Assert.That(Read(), Is.Empty);
        _control.Write("read"u8);
        Assert.That(Read(), Is.Empty);
        _control.Write("y\n"u8);
        Assert.That(Read(), Is.EqualTo("80 24\n"));
    }

    [Test]
    public void Each_size_is_told_once_and_the_last_one_counts()
    {
        _control.Write("ready\n"u8);
        Assert.That(Read(3), Is.EqualTo("80 "));
        _size = (100, 30);
        _size = (120, 40);
        Assert.That(Read() + Read(), Is.EqualTo("24\n120 40\n"));
        Assert.That(Read(), Is.Empty);
    }

    [Test]
    public void Without_a_terminal_there_is_no_size()
    {
        _size = null;
        _control.Write("ready\n"u8);
        Assert.That(Read(), Is.Empty);
    }

    [Test]
    public void A_guest_that_floods_the_port_is_told_the_size_once()
    {
        int ready = 0;
        _control.Attach(() => ready++);
        byte[] lines = new byte[4096];
        Array.Fill(lines, (byte)'\n');
        for (int i = 0; i < 100; i++)
        {
            Assert.That(_control.Write(lines), Is.EqualTo(lines.Length));
            Assert.That(_control.Write("0 0\x04\x03"u8), Is.EqualTo(5));
        }

        Assert.That(ready, Is.EqualTo(200), "one for each piece");
        Assert.That(Read(), Is.EqualTo("80 24\n"));
        Assert.That(Read(), Is.Empty);
        Assert.That(_console.Read(lines), Is.Zero, "nothing of it becomes input");
    }

    [Test]
    public void Being_ready_asks_to_be_read()
    {
        int ready = 0;
        _control.Attach(() => ready++);
        _control.Write("ready\n"u8);
        Assert.That(ready, Is.EqualTo(1));
    }

    private string Read(int count = 100)
    {
        byte[] buffer = new byte[count];
        return Encoding.ASCII.GetString(buffer, 0, _control.Read(buffer));
    }
}
