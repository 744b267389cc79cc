using Uml.Hosting.CommandLine;

namespace Uml.Hosting.Tests.CommandLine;

[TestFixture]
public sealed class ByteSizeTests
{
    [TestCase("0", 0UL)]
    [TestCase("4096", 4096UL)]
    [TestCase("4096B", 4096UL)]
    [TestCase("64K", 65536UL)]
    [TestCase("256M", 256UL << 20)]
    [TestCase("2g", 2UL << 30)]
    [TestCase("1T", 1UL << 40)]
    [TestCase("18446744073709551615", ulong.MaxValue)]
    public void A_size_is_read_as_the_kernel_reads_it(string text, ulong bytes)
    {
        Assert.That(ByteSize.TryParse(text, out ulong actual, out string? problem), Is.True, problem);
        Assert.That(actual, Is.EqualTo(bytes));
    }

    [TestCase("")]
    [TestCase("M")]
    [TestCase("-1M")]
    [TestCase("1.5G")]
    [TestCase("256MB")]
    [TestCase(" 1M")]
    [TestCase("0x100")]
    [TestCase("18446744073709551616")]
    [TestCase("99999999999999999999999999999999999999999999")]
    [TestCase("17179869184G")]
    public void Anything_else_says_what_to_write(string text)
    {
        Assert.That(ByteSize.TryParse(text, out _, out string? problem), Is.False);
        Assert.That(problem, Does.Contain("256M").And.Contain($"'{text}'"));
    }
}
