using Uml.Storage.Tools;

namespace Uml.Storage.Tests.Tools;

public sealed class FormatNameTests
{
    [Test]
    public void Every_format_has_a_name_that_finds_it([Values] DiskImageFormat format)
    {
        Assert.That(DiskImageFormatName.TryParse(DiskImageFormatName.Get(format), out DiskImageFormat found));
        Assert.That(found, Is.EqualTo(format));
    }

    [TestCase("RAW")]
    [TestCase("")]
    [TestCase(null)]
    public void Other_names_find_none(string? name) => Assert.That(DiskImageFormatName.TryParse(name, out _), Is.False);
}
