using Uml.Devices.Interrupts;

namespace Uml.Devices.Tests.Interrupts;

/// <summary>One chip, by the sections of Intel's data sheet.</summary>
internal sealed class Pic8259Tests
{
    private const byte EndOfInterrupt = 0x20, Rotate = 0x80, Specific = 0x40;
    private const byte ReadRequests = 0x0A, ReadInService = 0x0B, Poll = 0x0C;

    private readonly Pic8259 _pic = new(vectorBase: 0x08, slaves: 0, programmable: 0xFF);

    [SetUp]
    public void Start() => Initialize(_pic);

    [Test]
    public void Until_it_is_initialized_everything_is_masked()
    {
        var pic = new Pic8259(0x08, 0, 0xFF);
        pic.SetLine(0, true);
        Assert.That(pic.IsRequesting, Is.False);
        Assert.That(pic.Read(isOdd: true), Is.EqualTo(0xFF));
    }

    [TestCase(0)]
    [TestCase(3)]
    [TestCase(7)]
    public void A_rise_requests_and_gives_the_vector(int input)
    {
        _pic.SetLine(input, true);
        Assert.That(_pic.IsRequesting, Is.True);
        Assert.That(_pic.Acknowledge(), Is.EqualTo(input));
        Assert.That(_pic.GetVector(input), Is.EqualTo(0x40 + input));
        Assert.That(_pic.IsRequesting, Is.False);
    }

    [Test]
    public void The_low_bits_of_the_vector_base_are_the_inputs()
    {
        Initialize(_pic, icw2: 0xFF);
        Assert.That(_pic.GetVector(2), Is.EqualTo(0xFA));
    }

    [Test]
    public void An_edge_requests_once()
    {
        _pic.SetLine(4, true);
        _pic.Acknowledge();
        End();
        _pic.SetLine(4, true);
        Assert.That(_pic.IsRequesting, Is.False, "still high");
        _pic.SetLine(4, false);
        _pic.SetLine(4, true);
        Assert.That(_pic.IsRequesting, Is.True);
    }

    [Test]
    public void A_level_requests_until_it_falls()
    {
        _pic.LevelTriggered = 1 << 4;
        _pic.SetLine(4, true);
        Assert.That(_pic.Acknowledge(), Is.EqualTo(4));
        Assert.That(_pic.IsRequesting, Is.False, "in service");
        End();
        Assert.That(_pic.IsRequesting, Is.True);
        _pic.SetLine(4, false);
        Assert.That(_pic.IsRequesting, Is.False);
    }

    [Test]
    public void Only_some_inputs_can_be_levels()
    {
        var pic = new Pic8259(0x08, 0, programmable: 0xDE) { LevelTriggered = 0xFF };
        Assert.That(pic.LevelTriggered, Is.EqualTo(0xDE));
    }

    [TestCase(false)]
    [TestCase(true)]
    public void A_request_that_falls_before_the_acknowledge_is_spurious(bool isLevel)
    {
        _pic.LevelTriggered = (byte)(isLevel ? 1 << 3 : 0);
        _pic.SetLine(3, true);
        _pic.SetLine(3, false);
        Assert.That(_pic.IsRequesting, Is.False);
        int input = _pic.Acknowledge();
        Assert.That(input, Is.EqualTo(-1));
        Assert.That(_pic.GetVector(input), Is.EqualTo(0x47));
        Assert.That(InService, Is.Zero, "which is how software tells");
    }

    [Test]
    public void A_mask_delays_an_edge()
    {
        _pic.Write(isOdd: true, 1 << 5);
        _pic.SetLine(5, true);
        Assert.That(_pic.IsRequesting, Is.False);
        Assert.That(Requests, Is.EqualTo(1 << 5));
        _pic.Write(isOdd: true, 0);
        Assert.That(_pic.Acknowledge(), Is.EqualTo(5));
    }

    [Test]
    public void The_mask_reads_back()
    {
        _pic.Write(isOdd: true, 0xA5);
        Assert.That(_pic.Read(isOdd: true), Is.EqualTo(0xA5));
    }

    [Test]
    public void A_lower_number_has_the_higher_priority()
    {
        _pic.SetLine(6, true);
        _pic.SetLine(2, true);
        Assert.That(_pic.Acknowledge(), Is.EqualTo(2));
        Assert.That(_pic.IsRequesting, Is.False, "6 waits for the end of 2");
        _pic.SetLine(1, true);
        Assert.That(_pic.Acknowledge(), Is.EqualTo(1), "1 interrupts 2");
        Assert.That(InService, Is.EqualTo(0b110));
        End();
        Assert.That(InService, Is.EqualTo(0b100), "the end of the one with the highest priority");
        End();
        Assert.That(_pic.Acknowledge(), Is.EqualTo(6));
    }

    [Test]
    public void The_same_input_does_not_interrupt_itself()
    {
        _pic.SetLine(3, true);
        _pic.Acknowledge();
        _pic.SetLine(3, false);
        _pic.SetLine(3, true);
        Assert.That(_pic.IsRequesting, Is.False);
        Assert.That(Requests, Is.EqualTo(1 << 3));
        End();
        Assert.That(_pic.IsRequesting, Is.True);
    }

    [Test]
    public void A_specific_end_ends_the_one_that_it_names()
    {
        Service(5);
        Service(2);
        _pic.Write(isOdd: false, EndOfInterrupt | Specific | 5);
        Assert.That(InService, Is.EqualTo(1 << 2));
    }

    [Test]
    public void An_end_without_anything_in_service_does_nothing()
    {
        End();
        _pic.Write(isOdd: false, EndOfInterrupt | Rotate);
        Raise(0, 1);
        Assert.That(_pic.Acknowledge(), Is.EqualTo(0), "nothing rotated");
    }

    [Test]
    public void The_command_that_is_none_does_nothing()
    {
        Service(3);
        _pic.Write(isOdd: false, Specific | 3);
        Assert.That(InService, Is.EqualTo(1 << 3));
    }

    [Test]
    public void A_rotating_end_gives_the_input_the_lowest_priority()
    {
        Service(4);
        _pic.Write(isOdd: false, EndOfInterrupt | Rotate);
        Assert.That(InService, Is.Zero);
        Pulse(4);
        Raise(5, 3);
        Assert.That(_pic.Acknowledge(), Is.EqualTo(5));
        End();
        Assert.That(_pic.Acknowledge(), Is.EqualTo(3));
        End();
        Assert.That(_pic.Acknowledge(), Is.EqualTo(4));
    }

    [Test]
    public void A_specific_rotating_end_names_the_input()
    {
        Service(4);
        Service(1);
        _pic.Write(isOdd: false, EndOfInterrupt | Rotate | Specific | 4);
        Assert.That(InService, Is.EqualTo(1 << 1));
        End();
        Pulse(4);
        Pulse(7);
        Assert.That(_pic.Acknowledge(), Is.EqualTo(7));
    }

    [Test]
    public void A_set_priority_command_names_the_lowest()
    {
        _pic.Write(isOdd: false, Rotate | Specific | 2);
        Raise(2, 3, 0);
        Assert.That(_pic.Acknowledge(), Is.EqualTo(3));
        End();
        Assert.That(_pic.Acknowledge(), Is.EqualTo(0));
        End();
        Assert.That(_pic.Acknowledge(), Is.EqualTo(2));
    }

    [Test]
    public void A_non_specific_end_follows_rotated_priorities()
    {
        _pic.Write(isOdd: false, Rotate | Specific | 3);
        Service(2);
        Service(6);
        Assert.That(InService, Is.EqualTo(0b100_0100));
        End();
        Assert.That(InService, Is.EqualTo(0b100), "6 is above 2 now");
    }

    [Test]
    public void Automatic_end_leaves_nothing_in_service()
    {
        Initialize(_pic, icw4: 0x03);
        Raise(5, 6);
        Assert.That(_pic.Acknowledge(), Is.EqualTo(5));
        Assert.That(InService, Is.Zero);
        Assert.That(_pic.Acknowledge(), Is.EqualTo(6));
    }

    [Test]
    public void Automatic_end_rotates_while_it_is_told_to()
    {
        Initialize(_pic, icw4: 0x03);
        _pic.Write(isOdd: false, Rotate);
        Pulse(2);
        Assert.That(_pic.Acknowledge(), Is.EqualTo(2));
        Pulse(2);
        Pulse(6);
        Assert.That(_pic.Acknowledge(), Is.EqualTo(6), "2 is the lowest now");
        _pic.Write(isOdd: false, 0);
        Assert.That(_pic.Acknowledge(), Is.EqualTo(2));
        Pulse(2);
        Pulse(6);
        Assert.That(_pic.Acknowledge(), Is.EqualTo(2), "6 has stayed the lowest");
    }

    [Test]
    public void In_the_special_mask_mode_a_masked_input_in_service_blocks_nobody()
    {
        Service(2);
        Raise(5);
        Assert.That(_pic.IsRequesting, Is.False);
        _pic.Write(isOdd: true, 1 << 2);
        Assert.That(_pic.IsRequesting, Is.False, "the mask alone does not");
        _pic.Write(isOdd: false, 0x68);
        Assert.That(_pic.Acknowledge(), Is.EqualTo(5));
        End();
        Assert.That(InService, Is.EqualTo(1 << 2), "nor is it ended by a non-specific end");
        End();
        Assert.That(InService, Is.EqualTo(1 << 2));
        _pic.Write(isOdd: false, EndOfInterrupt | Specific | 2);
        Assert.That(InService, Is.Zero);
    }

    [Test]
    public void The_special_mask_mode_can_be_left()
    {
        _pic.Write(isOdd: false, 0x68);
        Service(2);
        _pic.Write(isOdd: true, 1 << 2);
        _pic.Write(isOdd: false, 0x08 | 0x20);
        Raise(5);
        Assert.That(_pic.IsRequesting, Is.True, "SMM without ESMM changes nothing");
        _pic.Write(isOdd: false, 0x48);
        Assert.That(_pic.IsRequesting, Is.False);
    }

    [Test]
    public void Reads_show_requests_or_what_is_in_service_until_told_otherwise()
    {
        Service(1);
        Raise(4);
        Assert.That(_pic.Read(isOdd: false), Is.EqualTo(1 << 4), "requests at first");
        _pic.Write(isOdd: false, ReadInService);
        Assert.That(_pic.Read(isOdd: false), Is.EqualTo(1 << 1));
        Assert.That(_pic.Read(isOdd: false), Is.EqualTo(1 << 1));
        _pic.Write(isOdd: false, 0x09);
        Assert.That(_pic.Read(isOdd: false), Is.EqualTo(1 << 1), "RIS without RR changes nothing");
        _pic.Write(isOdd: false, ReadRequests);
        Assert.That(_pic.Read(isOdd: false), Is.EqualTo(1 << 4));
    }

    [TestCase(false)]
    [TestCase(true)]
    public void The_read_after_a_poll_command_acknowledges(bool isOdd)
    {
        Raise(3);
        _pic.Write(isOdd: false, Poll);
        Assert.That(_pic.Read(isOdd), Is.EqualTo(0x83));
        Assert.That(InService, Is.EqualTo(1 << 3));
        Assert.That(_pic.IsRequesting, Is.False);
    }

    [Test]
    public void A_poll_without_a_request_says_so_and_lasts_for_one_read()
    {
        _pic.Write(isOdd: true, 0x55);
        _pic.Write(isOdd: false, Poll);
        Assert.That(_pic.Read(isOdd: true) & 0x80, Is.Zero);
        Assert.That(_pic.Read(isOdd: true), Is.EqualTo(0x55));
        Assert.That(InService, Is.Zero);
    }

    [Test]
    public void A_poll_respects_what_is_in_service()
    {
        Service(2);
        Raise(5);
        _pic.Write(isOdd: false, Poll);
        Assert.That(_pic.Read(isOdd: false) & 0x80, Is.Zero);
    }

    [Test]
    public void Initialization_forgets_edges_masks_priorities_and_modes()
    {
        _pic.Write(isOdd: true, 0xF0);
        _pic.Write(isOdd: false, Rotate | Specific | 2);
        _pic.Write(isOdd: false, 0x68);
        _pic.Write(isOdd: false, ReadInService);
        Service(3);
        Raise(1);
        Initialize(_pic);
        Assert.That(_pic.Read(isOdd: true), Is.Zero);
        Assert.That(_pic.Read(isOdd: false), Is.Zero, "an input has to rise again");
        Assert.That(InService, Is.Zero);
        Pulse(1);
        Pulse(3);
        Assert.That(_pic.Acknowledge(), Is.EqualTo(1));
    }

    [Test]
    public void A_level_survives_the_initialization()
    {
        _pic.LevelTriggered = 1 << 4;
        Raise(4);
        Initialize(_pic);
        Assert.That(_pic.Acknowledge(), Is.EqualTo(4));
    }

    [Test]
    public void It_requests_nothing_until_the_initialization_is_complete()
    {
        byte[] words = [0x60, 0x00, 0x01];
        _pic.Write(isOdd: false, 0x11);
        Raise(0);
        foreach (byte word in words)
        {
            Assert.That(_pic.IsRequesting, Is.False);
            _pic.Write(isOdd: true, word);
        }

        Assert.That(_pic.IsRequesting, Is.True);
    }

    [TestCase(0x10, 2, TestName = "Without_ICW4_there_are_three_words")]
    [TestCase(0x12, 1, TestName = "A_single_chip_without_ICW4_takes_two_words")]
    [TestCase(0x13, 2, TestName = "A_single_chip_with_ICW4_takes_three_words")]
    [TestCase(0x11, 3, TestName = "A_cascaded_chip_with_ICW4_takes_four_words")]
    [TestCase(0x19, 3, TestName = "The_trigger_mode_of_ICW1_is_not_looked_at")]
    public void Initialize_in_words(int icw1, int words)
    {
        _pic.Write(isOdd: false, (byte)icw1);
        for (int i = 0; i < words; i++)
        {
            _pic.Write(isOdd: true, (byte)(i == 0 ? 0x78 : 0x01));
        }

        _pic.Write(isOdd: true, 0x5A);
        Assert.That(_pic.Read(isOdd: true), Is.EqualTo(0x5A), "the next word is the mask");
        Assert.That(_pic.GetVector(0), Is.EqualTo(0x78));
    }

    [Test]
    public void Without_ICW4_its_modes_are_off()
    {
        Initialize(_pic, icw4: 0x03);
        _pic.Write(isOdd: false, 0x10);
        _pic.Write(isOdd: true, 0x40);
        _pic.Write(isOdd: true, 0x00);
        Service(2);
        Assert.That(InService, Is.EqualTo(1 << 2), "no automatic end");
    }

    [Test]
    public void A_rise_matters_while_it_is_not_masked_and_none_waits()
    {
        Assert.That(_pic.AwaitsEdge(0), Is.True);
        _pic.Write(isOdd: true, 1);
        Assert.That(_pic.AwaitsEdge(0), Is.False);
        Assert.That(_pic.AwaitsEdge(1), Is.True);
        _pic.Write(isOdd: true, 0);
        Raise(0);
        Assert.That(_pic.AwaitsEdge(0), Is.False);
        _pic.Acknowledge();
        Assert.That(_pic.AwaitsEdge(0), Is.True);
    }

    private byte InService => ReadCommand(ReadInService);

    private byte Requests => ReadCommand(ReadRequests);

    private byte ReadCommand(byte command)
    {
        _pic.Write(isOdd: false, command);
        return _pic.Read(isOdd: false);
    }

    private void End() => _pic.Write(isOdd: false, EndOfInterrupt);

    private void Raise(params int[] inputs) => Array.ForEach(inputs, input => _pic.SetLine(input, true));

    private void Pulse(int input)
    {
        _pic.SetLine(input, false);
        _pic.SetLine(input, true);
    }

    private void Service(int input)
    {
        Pulse(input);
        Assert.That(_pic.Acknowledge(), Is.EqualTo(input));
    }

    private static void Initialize(Pic8259 pic, byte icw2 = 0x40, byte icw4 = 0x01)
    {
        pic.Write(isOdd: false, 0x11);
        pic.Write(isOdd: true, icw2);
        pic.Write(isOdd: true, 0x00);
        pic.Write(isOdd: true, icw4);
    }
}
