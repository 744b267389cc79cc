using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Uml.Core;

namespace Uml.Hosting.Tests.Registration;

/// <summary>A host whose machine cannot start says in one line why, before it shows an exception with its stack.</summary>
[TestFixture]
[CancelAfter(60_000)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class MachineStartFailureTests
{
    private readonly List<(string Category, LogLevel Level, EventId Event, string Message, Exception? Exception)> _log = [];

    [TestCase("Kernel", "/no/such", true, "The kernel '/no/such' does not exist; check the path.")]
    [TestCase("Memory", "lots", true, "Memory: 'lots' is not a size; write a whole number with an optional K, M, G or T, such as 256M.")]
    [TestCase("Memory", "lots", false, "Memory: 'lots' is not a size; write a whole number with an optional K, M, G or T, such as 256M.")]
    public void What_is_wrong_is_logged_first_and_the_host_does_not_start(string key, string value, bool startsWithHost, string problem)
    {
        using IHost host = Create(key, value, new MachineHostOptions { StartWithHost = startsWithHost });
        Assert.That(() => host.StartAsync(), Throws.InstanceOf<MachineConfigurationException>().With.Message.EqualTo(problem));
        (string category, LogLevel level, EventId id, string message, Exception? exception) = _log.First(entry => entry.Level >= LogLevel.Error);
        Assert.That((category, level, id.Id, message), Is.EqualTo(("Uml.Hosting", LogLevel.Error, 2001, $"Machine box cannot start: {problem}")));
        Assert.That(exception, Is.Null);
    }

    [Test]
    public async Task A_machine_that_can_start_later_is_not_told_of()
    {
        using IHost host = Create("Kernel", "/no/such", new MachineHostOptions { StartWithHost = false });
        await host.StartAsync();
        await host.StopAsync();
        Assert.That(_log.Where(entry => entry.Level >= LogLevel.Warning), Is.Empty);
    }

    private IHost Create(string key, string value, MachineHostOptions options)
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        IConfigurationSection section = new ConfigurationBuilder()
            .AddInMemoryCollection([KeyValuePair.Create<string, string?>("M:" + key, value)])
            .Build().GetSection("M");
        builder.Services.AddVirtualMachine("box", section, options: options);
        builder.Logging.AddProvider(new Recorder(this));
        return builder.Build();
    }

    private sealed class Recorder(MachineStartFailureTests test) : ILoggerProvider
    {
        public ILogger CreateLogger(string categoryName) => new Logger(test, categoryName);

        public void Dispose()
        {
        }
    }

    private sealed class Logger(MachineStartFailureTests test, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            lock (test._log)
            {
                test._log.Add((category, logLevel, eventId, formatter(state, exception), exception));
            }
        }
    }
}
