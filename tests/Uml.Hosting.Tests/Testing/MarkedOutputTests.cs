using System.Text;
using Uml.Hosting.Testing;

namespace Uml.Hosting.Tests.Testing;

public sealed class MarkedOutputTests
{
    private const string Marker = "aabaabaac";

    private MarkedOutput _marked = null!;
    private readonly StringBuilder _output = new();
    private readonly List<ShellEvent> _events = [];

    [SetUp]
    public void Clear()
    {
        _marked = new MarkedOutput(Marker);
        _output.Clear();
        _events.Clear();
    }

    [TestCase(1)]
    [TestCase(2)]
    [TestCase(7)]
    [TestCase(1000)]
    public void Events_are_found_wherever_the_bytes_are_cut(int piece)
    {
        Feed($"out aabaab{Marker}b3:;put{Marker}e3:137;{Marker}a4:/tmp/x;rest", piece);
        Assert.That(_output.ToString(), Is.EqualTo("out aabaabputrest"));
        Assert.That(_events, Is.EqualTo(new ShellEvent[] { new('b', 3, ""), new('e', 3, "137"), new('a', 4, "/tmp/x") }));
    }

    [TestCase("aabaabaa")]
    [TestCase("e3:1;")]
    public void A_part_of_a_marker_is_output_when_something_else_follows(string part)
    {
        Feed(part + "x", 1);
        Assert.That(_output.ToString(), Is.EqualTo(part + "x"));
    }

    [TestCase(";")]
    [TestCase("e;")]
    [TestCase("e:1;")]
    [TestCase("ex:1;")]
    [TestCase("e99999999999:1;")]
    [TestCase("e1x:1;")]
    public void What_only_looks_like_an_event_is_output(string tail)
    {
        Feed(Marker + tail + "z", 3);
        Assert.That(_events, Is.Empty);
        Assert.That(_output.ToString(), Is.EqualTo(Marker + tail + "z"));
    }

    [Test]
    public void An_event_without_an_end_holds_back_a_few_hundred_bytes_only()
    {
        Feed(Marker + "e1:" + new string('x', 300), 64);
        Assert.That(_output.ToString(), Does.StartWith(Marker + "e1:x"));
        Feed($"{Marker}e1:0;", 1000);
        Assert.That(_events, Is.EqualTo(new[] { new ShellEvent('e', 1, "0") }));
    }

    [Test]
    public void However_much_comes_there_is_room_for_more()
    {
        for (int i = 0; i < 1000; i++)
        {
            Feed(new string('a', 1000), 1000);
        }

        Assert.That(_output.Length, Is.GreaterThan(1_000_000 - Marker.Length));
    }

    [Test]
    public void Random_output_arrives_as_it_is()
    {
        var random = new Random(1);
        for (int round = 0; round < 200; round++)
        {
            Clear();
            StringBuilder sent = new();
            for (int i = 0; i < 200; i++)
            {
                sent.Append(random.Next(20) == 0 ? Marker[..random.Next(Marker.Length)] + "x" : ((char)random.Next('a', 'd')).ToString());
            }

            string text = sent.ToString().Replace(Marker, "", StringComparison.Ordinal).Replace(Marker, "", StringComparison.Ordinal) + "x";
            Feed(text + $"{Marker}e1:0;", random.Next(1, 50));
            Assert.That(_output.ToString(), Is.EqualTo(text));
            Assert.That(_events, Has.Count.EqualTo(1));
        }
    }

    private void Feed(string text, int piece)
    {
        ReadOnlySpan<byte> bytes = Encoding.Latin1.GetBytes(text);
        while (!bytes.IsEmpty)
        {
            int count = Math.Min(piece, bytes.Length);
            Memory<byte> room = _marked.GetRoom();
            Assert.That(room.Length, Is.GreaterThanOrEqualTo(count));
            bytes[..count].CopyTo(room.Span);
            bytes = bytes[count..];
            _marked.Advance(count);
            while (_marked.TryTake(out ReadOnlyMemory<byte> output, out ShellEvent? found))
            {
                _output.Append(Encoding.Latin1.GetString(output.Span));
                if (found is not null)
                {
                    _events.Add(found);
                }
            }
        }
    }
}
