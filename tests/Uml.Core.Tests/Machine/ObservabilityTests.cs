using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Uml.Core.Cpu;

namespace Uml.Core.Tests.Machine;

/// <summary>What a machine tells those who watch it.</summary>
[TestFixture]
[CancelAfter(20_000)]
public sealed class ObservabilityTests
{
    [Test]
    public async Task Metrics_count_instructions_and_exits_of_each_machine(CancellationToken token)
    {
        var measured = new ConcurrentDictionary<string, long>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, self) =>
            {
                if (instrument.Meter.Name == "Uml.Core")
                {
                    self.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Count(measured, instrument, value, tags));
        listener.SetMeasurementEventCallback<int>((instrument, value, tags, _) => Count(measured, instrument, value, tags));
        listener.Start();

        using var cpu = new ScriptedCpu { Script = RunThenShutDown };
        await using IVirtualMachine machine = ScriptedMachine.CreateBuilder(cpu).Configure(o => o.Name = "measured").Build();
        await machine.StartAsync(token);
        await machine.WaitForExitAsync(token);
        Assert.That(measured["uml.machine.instructions measured"], Is.EqualTo(300));
        Assert.That(measured["uml.machine.exits measured TripleFault"], Is.EqualTo(1));
        Assert.That(measured["uml.machine.running measured"], Is.Zero);
    }

    [Test]
    public async Task A_defect_is_logged_as_an_error_and_the_end_as_information(CancellationToken token)
    {
        var log = new RecordingLoggerFactory();
        using var cpu = new ScriptedCpu { Script = (_, _) => throw new InvalidDataException("broken") };
        VirtualMachineBuilder builder = ScriptedMachine.CreateBuilder(cpu);
        builder.Services.AddSingleton<ILoggerFactory>(log);
        await using IVirtualMachine machine = builder.Build();
        await machine.StartAsync(token);
        await machine.WaitForExitAsync(token);
        Assert.That(log.Lines, Has.One.StartsWith("Error Machine uml was ended by a defect"));
        Assert.That(log.Lines, Has.One.StartsWith("Information Machine uml ended after 0 instructions: InternalError (status 0). "));
        log.Dispose();
    }

    private static RunResult RunThenShutDown(ScriptedCpu cpu, long budget)
    {
        cpu.InstructionsRetired += 100;
        return cpu.InstructionsRetired < 300 ? RunResult.BudgetExhausted : RunResult.Shutdown;
    }

    private static void Count(
        ConcurrentDictionary<string, long> measured, Instrument instrument, long value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        string key = instrument.Name;
        foreach (KeyValuePair<string, object?> tag in tags)
        {
            key += " " + tag.Value;
        }

        measured.AddOrUpdate(key, value, (_, sum) => sum + value);
    }

    private sealed class RecordingLoggerFactory : ILoggerFactory, ILogger
    {
        public ConcurrentQueue<string> Lines { get; } = [];

        public ILogger CreateLogger(string categoryName) => this;

        public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Lines.Enqueue($"{logLevel} {formatter(state, exception)}");

        public void Dispose()
        {
        }
    }
}
