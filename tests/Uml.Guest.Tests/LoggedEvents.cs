using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Uml.Guest.Tests;

/// <summary>Keeps what a machine logs.</summary>
internal sealed class LoggedEvents : ILoggerFactory, ILogger
{
    private readonly ConcurrentQueue<(int Id, string Message)> _events = [];

    /// <summary>The messages of an event, as often as it was logged.</summary>
    public IReadOnlyList<string> Get(int id) => [.. _events.Where(entry => entry.Id == id).Select(entry => entry.Message)];

    public ILogger CreateLogger(string categoryName) => this;

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        _events.Enqueue((eventId.Id, formatter(state, exception)));

    public void Dispose()
    {
    }
}
