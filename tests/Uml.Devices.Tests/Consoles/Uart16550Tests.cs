using Uml.Devices.Consoles;
using Uml.Devices.Tests.Fakes;

namespace Uml.Devices.Tests.Consoles;

internal sealed class Uart16550Tests
{
    private const ushort Data = 0x3F8;
    private const ushort Ier = 0x3F9;
    private const ushort Iir = 0x3FA;
    private const ushort Fcr = 0x3FA;
    private const ushort Lcr = 0x3FB;
    private const ushort Mcr = 0x3FC;
    private const ushort Lsr = 0x3FD;
    private const ushort Msr = 0x3FE;
    private const ushort Scr = 0x3FF;

    private const ulong Millisecond = 1_000_000;

    private readonly FakeMachine _machine = new();
    private readonly FakeChannel _channel = new();
    private readonly FakeRouter _router = new();

    private FakeRouter.FakeLine Line => _router.Lines[4];

    [SetUp]
    public void Attach() => _machine.Plug(new Uart16550(SerialPort.All[0], _channel, _router));

    [Test]
    public void After_reset_it_is_idle()
    {
        Assert.That(_machine.In(Iir), Is.EqualTo(0x01));
        Assert.That(_machine.In(Lsr), Is.EqualTo(0x60));
        Assert.That(_machine.In(Msr), Is.EqualTo(0xB0));
        Assert.That(_machine.In(Ier), Is.Zero);
    }

    [Test]
    public void The_divisor_hides_behind_the_latch_bit()
    {
        _machine.Out(Lcr, 0x83);
        _machine.Out(Data, 0x34);
        _machine.Out(Ier, 0x12);
        Assert.That(_machine.In(Data), Is.EqualTo(0x34));
        Assert.That(_machine.In(Ier), Is.EqualTo(0x12));
        _machine.Out(Lcr, 0x03);
        Assert.That(_machine.In(Ier), Is.Zero);
        Assert.That(_machine.In(Lcr), Is.EqualTo(0x03));
        Flush();
        Assert.That(_channel.Output.ToString(), Is.Empty);
    }

    [TestCase(Ier, 0x0F)]
    [TestCase(Mcr, 0x1F)]
    [TestCase(Scr, 0xFF)]
    [TestCase(Lcr, 0xFF)]
    public void Registers_hold_their_writable_bits_only(int port, int expected)
    {
        _machine.Out((ushort)port, 0xFF);
        Assert.That(_machine.In((ushort)port), Is.EqualTo(expected));
    }

    [Test]
    public void Linux_takes_it_for_a_16550a()
    {
        _machine.Out(Fcr, 0x01);
        Assert.That(_machine.In(Iir) >> 6, Is.EqualTo(3), "FIFOs that work");
        _machine.Out(Fcr, 0x21);
        Assert.That(_machine.In(Iir) & 0x20, Is.Zero, "not a 16750");
        _machine.Out(Lcr, 0xBF);
        Assert.That(_machine.In(Iir), Is.Not.Zero, "no enhanced features register: not a 16650");
        _machine.Out(Lcr, 0x00);
        _machine.Out(Ier, 0x40);
        Assert.That(_machine.In(Ier), Is.Zero, "not an XScale");
        _machine.Out(Mcr, 0x1A);
        Assert.That(_machine.In(Msr) & 0xF0, Is.EqualTo(0x90), "loops back");
    }

    [Test]
    public void Output_goes_out_in_batches_but_never_stays_behind()
    {
        Send("hello");
        Assert.That(_channel.WriteCount, Is.Zero);
        _machine.Time.Advance(Millisecond);
        Assert.That(_channel.Output.ToString(), Is.EqualTo("hello"));
        Send(" world");
        _machine.Quiesce();
        Assert.That(_channel.Output.ToString(), Is.EqualTo("hello world"));
        Assert.That(_channel.WriteCount, Is.EqualTo(2));
        _machine.Quiesce();
        _machine.Time.Advance(10 * Millisecond);
        Assert.That(_channel.WriteCount, Is.EqualTo(2));
    }

    [Test]
    public void A_full_batch_goes_out_at_once()
    {
        Send(new string('x', 5000));
        Assert.That(_channel.Output.Length, Is.EqualTo(4096));
        Flush();
        Assert.That(_channel.Output.Length, Is.EqualTo(5000));
    }

    [Test]
    public void A_channel_that_takes_nothing_makes_the_guest_wait_and_loses_nothing_that_it_accepted()
    {
        _machine.Out(Mcr, 0x08);
        _channel.Room = 100;
        Send(new string('x', 4096));
        Assert.That(_machine.In(Lsr) & 0x60, Is.EqualTo(0x60), "100 went out");
        Send(new string('y', 100));
        Assert.That(_machine.In(Lsr) & 0x60, Is.Zero);
        _machine.Out(Ier, 0x02);
        Assert.That(Line.IsAsserted, Is.False);
        _channel.Room = int.MaxValue;
        _channel.Ready();
        _machine.RunPosted();
        Assert.That(Line.IsAsserted, Is.True);
        Assert.That(_machine.In(Lsr) & 0x60, Is.EqualTo(0x60));
        Assert.That(_channel.Output.ToString(), Is.EqualTo(new string('x', 4096) + new string('y', 100)));
    }

    /// <summary>Whoever finds the holding register empty may fill the FIFO, sixteen bytes, without looking again.</summary>
    [Test]
    public void A_driver_that_fills_the_FIFO_when_it_is_empty_loses_nothing_to_a_slow_channel()
    {
        const int total = 100_000;
        _machine.Out(Fcr, 0x01);
        var random = new Random(1);
        _channel.Room = 0;
        int sent = 0;
        while (sent < total)
        {
            if ((_machine.In(Lsr) & 0x20) == 0)
            {
                _channel.Room = random.Next(1, 40);
                _channel.Ready();
                _machine.RunPosted();
                continue;
            }

            for (int i = 0; i < 16; i++)
            {
                _machine.Out(Data, (byte)('a' + (sent++ % 26)));
            }
        }

        _channel.Room = int.MaxValue;
        Flush();
        Assert.That(_channel.Output.Length, Is.EqualTo(sent));
        string output = _channel.Output.ToString();
        Assert.That(Enumerable.Range(0, sent).All(i => output[i] == 'a' + (i % 26)), Is.True);
    }

    [Test]
    public void However_often_the_channel_calls_only_one_action_waits()
    {
        for (int i = 0; i < 1000; i++)
        {
            _channel.Ready();
        }

        Assert.That(_machine.PostedCount, Is.EqualTo(1));
        _machine.RunPosted();
        _channel.Ready();
        Assert.That(_machine.PostedCount, Is.EqualTo(1));
    }

    [Test]
    public void An_empty_transmitter_interrupts_when_enabled_and_after_each_byte()
    {
        _machine.Out(Mcr, 0x08);
        _machine.Out(Ier, 0x02);
        Assert.That(Line.IsAsserted, Is.True);
        Assert.That(_machine.In(Iir), Is.EqualTo(0x02));
        Assert.That(Line.IsAsserted, Is.False, "reading it clears it");
        Assert.That(_machine.In(Iir), Is.EqualTo(0x01));
        _machine.Out(Data, (byte)'a');
        Assert.That(Line.IsAsserted, Is.True);
        _machine.Out(Ier, 0x00);
        Assert.That(Line.IsAsserted, Is.False);
        _machine.In(Iir);
        _machine.Out(Ier, 0x02);
        Assert.That(Line.IsAsserted, Is.True, "again when enabled again");
    }

    [Test]
    public void Out2_gates_the_interrupt()
    {
        _machine.Out(Ier, 0x02);
        Assert.That(Line.IsAsserted, Is.False);
        _machine.Out(Mcr, 0x08);
        Assert.That(Line.IsAsserted, Is.True);
        _machine.Out(Mcr, 0x00);
        Assert.That(Line.IsAsserted, Is.False);
    }

    [Test]
    public void Input_waits_in_the_channel_until_the_guest_receives()
    {
        Type("typed ahead");
        _machine.Out(Fcr, 0x07);
        _machine.In(Lsr);
        _machine.In(Data);
        _machine.In(Iir);
        Assert.That(_channel.Waiting, Is.EqualTo(11));
        _machine.Out(Mcr, 0x08);
        _machine.Out(Fcr, 0x01);
        _machine.Out(Ier, 0x01);
        Assert.That(Line.IsAsserted, Is.True);
        Assert.That(ReadAll(), Is.EqualTo("typed ahead"));
        Assert.That(Line.IsAsserted, Is.False);
    }

    [Test]
    public void Input_larger_than_the_fifo_arrives_whole_and_in_order()
    {
        _machine.Out(Fcr, 0x01);
        _machine.Out(Ier, 0x01);
        string text = string.Concat(Enumerable.Range(0, 1000).Select(i => $"{i} "));
        Type(text);
        Assert.That(_channel.Waiting, Is.EqualTo(text.Length - 16));
        Assert.That(ReadAll(), Is.EqualTo(text));
    }

    [Test]
    public void A_guest_that_polls_the_line_status_receives_without_interrupts()
    {
        Type("ab");
        int polls = 0;
        while ((_machine.In(Lsr) & 1) == 0)
        {
            Assert.That(++polls, Is.LessThan(100));
        }

        Assert.That(_machine.In(Data), Is.EqualTo((byte)'a'));
        Assert.That(_machine.In(Data), Is.EqualTo((byte)'b'));
    }

    [Test]
    public void Without_fifos_the_receiver_holds_one_byte()
    {
        _machine.Out(Ier, 0x01);
        Type("abc");
        Assert.That(_channel.Waiting, Is.EqualTo(2));
        Assert.That(_machine.In(Iir), Is.EqualTo(0x04));
        Assert.That(ReadAll(), Is.EqualTo("abc"));
    }

    [TestCase(0x01, 1, 0xC4)]
    [TestCase(0x41, 3, 0xCC)]
    [TestCase(0x41, 4, 0xC4)]
    [TestCase(0x81, 7, 0xCC)]
    [TestCase(0x81, 8, 0xC4)]
    [TestCase(0xC1, 13, 0xCC)]
    [TestCase(0xC1, 14, 0xC4)]
    public void Fewer_bytes_than_the_trigger_level_time_out(int control, int count, int expected)
    {
        _machine.Out(Mcr, 0x08);
        _machine.Out(Fcr, (byte)control);
        _machine.Out(Ier, 0x01);
        Type(new string('x', count));
        Assert.That(Line.IsAsserted, Is.True);
        Assert.That(_machine.In(Iir), Is.EqualTo(expected));
    }

    [Test]
    public void Received_data_comes_before_the_transmitter()
    {
        _machine.Out(Ier, 0x03);
        Type("x");
        Assert.That(_machine.In(Iir), Is.EqualTo(0x04));
        _machine.In(Data);
        Assert.That(_machine.In(Iir), Is.EqualTo(0x02));
        Assert.That(_machine.In(Iir), Is.EqualTo(0x01));
    }

    [TestCase(0x03, TestName = "Clearing the receiver loses nothing that was typed")]
    [TestCase(0x00, TestName = "Switching the FIFOs off loses nothing that was typed")]
    public void Input_that_the_guest_has_not_read_outlasts_an_empty_FIFO(int control)
    {
        _machine.Out(Fcr, 0x01);
        _machine.Out(Ier, 0x01);
        Type("a line that is longer than the FIFO");
        Assert.That(_machine.In(Data), Is.EqualTo((byte)'a'));
        _machine.Out(Fcr, (byte)control);
        Assert.That(_machine.In(Lsr) & 1, Is.Zero, "the receiver is empty, as the driver wants it");
        _machine.Out(Fcr, 0x01);
        _machine.Out(Ier, 0x00);
        _machine.Out(Ier, 0x01);
        Type("!");
        Assert.That(ReadAll(), Is.EqualTo(" line that is longer than the FIFO!"));
    }

    [Test]
    public void Drivers_that_probe_and_start_as_Linux_does_lose_nothing()
    {
        _channel.Type("echo a\n");
        _machine.RunPosted();

        // serial8250_do_startup: FIFOs cleared and off, the receiver read for luck, interrupts on; serial8250_do_set_termios: FIFOs on.
        Out((Fcr, 0x01), (Fcr, 0x07), (Fcr, 0x00));
        _machine.In(Lsr);
        Assert.That(_machine.In(Data), Is.Zero);
        Out((Ier, 0x05), (Fcr, 0x01), (Fcr, 0x81));
        Type("");
        Assert.That(ReadAll(), Is.EqualTo("echo a\n"));
    }

    [Test]
    public void Loopback_returns_output_as_input_and_overruns()
    {
        _machine.Out(Mcr, 0x18);
        _machine.Out(Ier, 0x05);
        Send("ab");
        Assert.That(_machine.In(Iir), Is.EqualTo(0x06));
        Assert.That(_machine.In(Lsr) & 0x03, Is.EqualTo(0x03));
        Assert.That(_machine.In(Lsr) & 0x03, Is.EqualTo(0x01), "reading clears the overrun");
        Assert.That(_machine.In(Data), Is.EqualTo((byte)'a'));
        Flush();
        Assert.That(_channel.Output.ToString(), Is.Empty);
    }

    [TestCase(0x10, 0x00)]
    [TestCase(0x11, 0x20)]
    [TestCase(0x12, 0x10)]
    [TestCase(0x14, 0x40)]
    [TestCase(0x18, 0x80)]
    [TestCase(0x1F, 0xF0)]
    public void Loopback_connects_modem_outputs_to_inputs(int control, int expected)
    {
        _machine.Out(Mcr, (byte)control);
        Assert.That(_machine.In(Msr) & 0xF0, Is.EqualTo(expected));
    }

    [Test]
    public void Changes_of_modem_lines_interrupt_and_are_cleared_by_reading()
    {
        _machine.Out(Mcr, 0x18);
        _machine.In(Msr);
        _machine.Out(Ier, 0x08);
        Assert.That(Line.IsAsserted, Is.False);
        _machine.Out(Mcr, 0x1A);
        Assert.That(Line.IsAsserted, Is.True);
        Assert.That(_machine.In(Iir), Is.Zero);
        Assert.That(_machine.In(Msr), Is.EqualTo(0x91));
        Assert.That(_machine.In(Msr), Is.EqualTo(0x90));
        Assert.That(Line.IsAsserted, Is.False);
    }

    [Test]
    public void Ring_tells_its_trailing_edge_only()
    {
        _machine.Out(Mcr, 0x10);
        _machine.In(Msr);
        _machine.Out(Mcr, 0x14);
        Assert.That(_machine.In(Msr), Is.EqualTo(0x40));
        _machine.Out(Mcr, 0x10);
        Assert.That(_machine.In(Msr), Is.EqualTo(0x04));
    }

    [Test]
    public void Four_ports_have_the_addresses_of_a_pc() => Assert.That(
        SerialPort.All.Select(p => (p.Name, p.Ports, p.Interrupt)),
        Is.EqualTo(new[] { ("ttyS0", 0x3F8, 4), ("ttyS1", 0x2F8, 3), ("ttyS2", 0x3E8, 5), ("ttyS3", 0x2E8, 7) }));

    private void Out(params (ushort Port, int Value)[] writes)
    {
        foreach ((ushort port, int value) in writes)
        {
            _machine.Out(port, (byte)value);
        }
    }

    private void Send(string text)
    {
        foreach (char c in text)
        {
            _machine.Out(Data, (byte)c);
        }
    }

    private void Type(string text)
    {
        _channel.Type(text);
        _machine.RunPosted();
    }

    private void Flush() => _machine.Quiesce();

    private string ReadAll()
    {
        var text = new System.Text.StringBuilder();
        while ((_machine.In(Lsr) & 1) != 0)
        {
            text.Append((char)_machine.In(Data));
        }

        return text.ToString();
    }
}
