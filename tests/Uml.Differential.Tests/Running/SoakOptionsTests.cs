namespace Uml.Differential.Tests.Running;

/// <summary>The soak's command line. A run that a typing error makes compare nothing would look like a good one.</summary>
[TestFixture]
public sealed class SoakOptionsTests
{
    [TestCase("--cases x", "--cases is 'x'; write a whole number, at least 1.")]
    [TestCase("--cases 0", "at least 1")]
    [TestCase("--cases -1", "at least 1")]
    [TestCase("--cases", "--cases has no value")]
    [TestCase("--from -4 --bytes", "at least 0")]
    [TestCase("--seconds 0", "0.001 to 4000000")]
    [TestCase("--seconds -4", "0.001 to 4000000")]
    [TestCase("--seconds 1e30", "0.001 to 4000000")]
    [TestCase("--seconds NaN", "0.001 to 4000000")]
    [TestCase("--seed zz", "decimal or with 0x")]
    [TestCase("--bits 16", "--bits is '16'; write 32 or 64.")]
    [TestCase("--engine 1", "Interpreter or Jit")]
    [TestCase("--reference Foo", "Interpreter or Jit")]
    [TestCase("--code Shld,", "names that forms or mnemonics start with")]
    [TestCase("--bytes --prefixes", "--prefixes and --bytes are runs of their own")]
    [TestCase("--nope", "There is no option '--nope'")]
    public void A_wrong_command_line_says_what_to_write(string line, string advice)
    {
        _ = SoakOptions.Parse(line.Split(' '), out string? problem);
        Assert.That(problem, Does.Contain(advice));
    }

    [TestCase("--cases 5 --seconds 0.5 --seed 0xf --engine jit --reference Interpreter --bits 32 --code Shld,Add")]
    [TestCase("--prefixes --child file --from 3 --seconds Infinity")]
    [TestCase("--list")]
    public void A_right_command_line_is_read(string line)
    {
        string[] words = line.Split(' ');
        Dictionary<string, string> options = SoakOptions.Parse(words, out string? problem);
        Assert.That(problem, Is.Null);
        Assert.That(options.SelectMany(option => new[] { option.Key, option.Value }).Where(word => word.Length > 0), Is.EqualTo(words));
    }

    [Test]
    public void Names_that_no_form_has_are_an_error() => Assert.That(Program.Main(["--code", "Shld,Nonsense", "--cases", "1"]), Is.EqualTo(2));
}
