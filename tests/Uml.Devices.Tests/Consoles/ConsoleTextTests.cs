using Uml.Devices.Consoles;

namespace Uml.Devices.Tests.Consoles;

public sealed class ConsoleTextTests
{
    [TestCase("plain grüße €\ttab\nline", "plain grüße €\ttab\nline")]
    [TestCase("a\r\nb\rc\r", "a\nb␍c␍")]
    [TestCase("\x1b[2J\0\a\x7f", "␛[2J␀␇␡")]
    [TestCase("\u009b2J\u202egnp\u2066", "\uFFFD2J\uFFFDgnp\uFFFD")]
    [TestCase("", "")]
    public void What_a_terminal_obeys_is_shown_instead(string text, string shown) =>
        Assert.That(ConsoleText.ToPrintable(text, 1000), Is.EqualTo(shown));

    [Test]
    public void Of_a_long_text_the_end_is_left() =>
        Assert.That(ConsoleText.ToPrintable(new string('x', 1_000_000) + "the end", 7), Is.EqualTo("the end"));
}
