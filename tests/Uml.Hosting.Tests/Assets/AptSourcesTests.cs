using Uml.Hosting.Assets;

namespace Uml.Hosting.Tests.Assets;

public sealed class AptSourcesTests
{
    [Test]
    public void Lines_are_read_with_and_without_options()
    {
        List<AptSource> sources = [];
        AptSources.ParseLines(
            [
                "# comment",
                "deb http://a/debian bookworm main contrib # why",
                "deb [ arch=amd64 signed-by=/k.gpg ] https://b/x suite main",
                "deb-src http://a/debian bookworm main",
                "deb http://broken",
            ],
            sources);

        Assert.That(sources, Is.EqualTo(new[]
        {
            new AptSource("http://a/debian", "bookworm", "main contrib", null),
            new AptSource("https://b/x", "suite", "main", "/k.gpg"),
        }));
    }

    [Test]
    public void Stanzas_are_read_and_disabled_ones_left_out()
    {
        List<AptSource> sources = [];
        AptSources.ParseStanzas(
            [
                "# comment", "Types: deb", "URIs: http://a http://b", "Suites: s", "Components: main", "Signed-By:", " -----BEGIN PGP", " .", "",
                "Types: deb", "Enabled: no", "URIs: http://c", "Suites: s", "Components: main", "",
                "Types: deb-src", "URIs: http://d", "Suites: s", "Components: main",
            ],
            sources);

        Assert.That(sources, Is.EqualTo(new[] { new AptSource("http://a", "s", "main", null), new AptSource("http://b", "s", "main", null) }));
    }
}
