using System.Text;
using Uml.Devices.Consoles;

namespace Uml.Devices.Tests.Consoles;

[TestFixture]
public sealed class ConsoleEscapeTests
{
    [TestCase("abc", "abc", "")]
    [TestCase("a\u0001x", "a", "End")]
    [TestCase("\u0001ab", "\u0001b", "")]
    [TestCase("\u0001\u0001x", "\u0001x", "")]
    [TestCase("\u0001hq", "q", "Help")]
    [TestCase("\u0001?\u0001x", "", "Help End")]
    [TestCase("\u0003\u001a", "\u0003\u001a", "")]
    public void Only_what_follows_Ctrl_A_is_for_the_machine(string typed, string passed, string commands)
    {
        var escape = new ConsoleEscape();
        var output = new StringBuilder();
        var obeyed = new List<EscapeCommand>();
        foreach (char key in typed)
        {
            EscapeCommand command = escape.Next((byte)key, out byte? toGuest);
            if (command != EscapeCommand.None)
            {
                obeyed.Add(command);
            }

            output.Append(toGuest is { } value ? ((char)value).ToString() : "");
        }

        Assert.That(output.ToString(), Is.EqualTo(passed));
        Assert.That(string.Join(' ', obeyed), Is.EqualTo(commands));
    }
}
