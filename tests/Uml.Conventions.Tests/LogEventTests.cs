using System.Globalization;
using System.Reflection;
using Microsoft.Extensions.Logging;

namespace Uml.Conventions.Tests;

/// <summary>Log events have small numbers that stay, in a range for each package, and stand in docs/log-events.md.</summary>
[TestFixture]
public sealed class LogEventTests
{
    private static readonly Dictionary<string, (int First, int Last)> Ranges = new()
    {
        ["Uml.Core"] = (1, 999),
        ["Uml.Devices"] = (1000, 1999),
        ["Uml.Hosting"] = (2000, 2999),
        ["Uml.Storage"] = (3000, 3999),
        ["Uml.Net"] = (4000, 4999),
    };

    [TestCaseSource(typeof(Repository), nameof(Repository.Libraries))]
    public void An_event_has_a_number_of_its_packages_range(string library)
    {
        (int first, int last) = Ranges[library];
        int[] numbers = [.. Events(library).Select(log => log.EventId)];
        Assert.That(numbers, Is.All.InRange(first, last));
        Assert.That(numbers, Is.Unique);
    }

    [Test]
    public void There_are_events() => Assert.That(Events("Uml.Core").Count(), Is.GreaterThan(10));

    [Test]
    public void Every_event_is_documented_and_nothing_else()
    {
        IEnumerable<string> rows = File.ReadLines(Path.Combine(Repository.Root, "docs", "log-events.md"))
            .Where(line => line.StartsWith("| ", StringComparison.Ordinal) && char.IsAsciiDigit(line[2]));
        IEnumerable<string> events = Repository.Libraries.SelectMany(Events).OrderBy(log => log.EventId)
            .Select(log => string.Create(CultureInfo.InvariantCulture, $"| {log.EventId} | {log.Level} | {log.Message} |"));
        Assert.That(rows, Is.EqualTo(events));
    }

    private static IEnumerable<LoggerMessageAttribute> Events(string library) => Repository.Load(library).GetTypes()
        .SelectMany(type => type.GetMethods(BindingFlags.Static | BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
        .Select(method => method.GetCustomAttribute<LoggerMessageAttribute>())
        .OfType<LoggerMessageAttribute>();
}
