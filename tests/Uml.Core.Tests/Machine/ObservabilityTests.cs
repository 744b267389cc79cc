using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Uml.Core.Cpu;
using Uml.Core.Cpu.State;
using Uml.Core.Machine;

namespace Uml.Core.Tests.Machine;

/// <summary>What a machine tells those who watch it.</summary>
[TestFixture]
[CancelAfter(20_000)]
public sealed class ObservabilityTests
{
    [Test]
    public async Task Metrics_count_instructions_and_exits_of_each_machine(CancellationToken token)
    {
        var measured = new ConcurrentDictionary<string, double>();
        using MeterListener listener = Listen(measured);
        using var cpu = new ScriptedCpu { Script = RunThenShutDown };
        await using IVirtualMachine machine = ScriptedMachine.CreateBuilder(cpu).Configure(o => o.Name = "measured").Build();
        await machine.StartAsync(token);
        await machine.WaitForExitAsync(token);
        Assert.That(measured["uml.machine.instructions measured"], Is.EqualTo(300));
        Assert.That(measured["uml.machine.exits measured TripleFault"], Is.EqualTo(1));
        Assert.That(measured["uml.machine.running measured"], Is.Zero);
    }

    [Test]
    public async Task Metrics_count_what_the_processor_counts(CancellationToken token)
    {
        var measured = new ConcurrentDictionary<string, double>();
        using MeterListener listener = Listen(measured);
        using var cpu = new ScriptedCpu { Script = CountThenShutDown };
        await using IVirtualMachine machine = ScriptedMachine.CreateBuilder(cpu).Configure(o => o.Name = "counted").Build();
        await machine.StartAsync(token);
        await machine.WaitForExitAsync(token);
        Assert.Multiple(() =>
        {
            // Three slices, each of which adds so much.
            Assert.That(measured["uml.cpu.blocks.decoded counted"], Is.EqualTo(3));
            Assert.That(measured["uml.cpu.blocks.translated counted"], Is.EqualTo(6));
            Assert.That(measured["uml.cpu.code.emitted counted"], Is.EqualTo(9));
            Assert.That(measured["uml.cpu.chain.hits counted"], Is.EqualTo(12));
            Assert.That(measured["uml.cpu.blocks.invalidated counted"], Is.EqualTo(15));
            Assert.That(measured["uml.cpu.code.flushes counted"], Is.EqualTo(18));
            Assert.That(measured["uml.cpu.tlb.misses counted"], Is.EqualTo(21));
            Assert.That(measured["uml.cpu.slow_paths counted device"], Is.EqualTo(24));
            Assert.That(measured["uml.cpu.slow_paths counted code_page_write"], Is.EqualTo(27));
            Assert.That(measured["uml.cpu.slow_paths counted page_crossing"], Is.EqualTo(30));
            Assert.That(measured["uml.cpu.slow_paths counted handler_call"], Is.EqualTo(33));
            Assert.That(measured["uml.cpu.slow_paths counted jump_search"], Is.EqualTo(36));
            Assert.That(measured["uml.cpu.slow_paths counted encoding_mismatch"], Is.EqualTo(39));
            Assert.That(measured["uml.cpu.slow_paths counted translation_refused"], Is.EqualTo(42));
            Assert.That(measured["uml.cpu.translation.time counted"], Is.EqualTo(4.5).Within(1e-9));
            Assert.That(machine.GetCpuStatistics(), Is.EqualTo(cpu.GetStatistics()));
        });
    }

    /// <summary>A slice's instructions are in thousands of millions, the flushes those of all slices so far.</summary>
    [TestCase(1UL, new ulong[] { 1, 1, 1 }, 0, TestName = "One flush of the code cache is no reason to warn")]
    [TestCase(40UL, new ulong[] { 1, 2, 3 }, 0, TestName = "Flushes of the code cache far apart are no reason to warn")]
    [TestCase(1UL, new ulong[] { 1, 2, 3, 4 }, 1, TestName = "Flushes of the code cache that follow each other are told once")]
    [TestCase(40UL, new ulong[] { 0, 2, 4 }, 1, TestName = "Two flushes of the code cache in a slice are told once")]
    public async Task A_code_cache_that_is_too_small_is_told(ulong slice, ulong[] flushes, int warnings)
    {
        using var logs = new RecordingLoggerFactory();
        using var cpu = new ScriptedCpu();
        int slices = 0;
        cpu.Script = (processor, _) =>
        {
            processor.InstructionsRetired += slice * 1_000_000_000;
            processor.Statistics = processor.Statistics with { CodeCacheFlushes = flushes[slices] };
            return ++slices == flushes.Length ? RunResult.Shutdown : RunResult.BudgetExhausted;
        };
        VirtualMachineBuilder builder = ScriptedMachine.CreateBuilder(cpu);
        builder.Services.AddSingleton<ILoggerFactory>(logs);
        await using IVirtualMachine machine = builder.Build();
        await machine.StartAsync();
        await machine.WaitForExitAsync();
        Assert.That(logs.Lines.Count(line => line.Contains("CodeCacheSize", StringComparison.Ordinal)), Is.EqualTo(warnings));
    }

    [Test]
    public async Task Whoever_listens_late_hears_what_was_before(CancellationToken token)
    {
        var measured = new ConcurrentDictionary<string, double>();
        MeterListener? listener = null;
        using var cpu = new ScriptedCpu
        {
            Script = (self, _) =>
            {
                RunResult result = CountThenShutDown(self, 1);
                listener ??= self.InstructionsRetired == 200 ? Listen(measured) : null;
                return result;
            },
        };
        await using IVirtualMachine machine = ScriptedMachine.CreateBuilder(cpu).Configure(o => o.Name = "late").Build();
        await machine.StartAsync(token);
        await machine.WaitForExitAsync(token);
        listener?.Dispose();
        Assert.That(measured["uml.cpu.blocks.decoded late"], Is.EqualTo(3));
        Assert.That(measured["uml.machine.instructions late"], Is.EqualTo(300));
    }

    [Test]
    public async Task Statistics_may_be_read_at_any_time_and_belong_together(CancellationToken token)
    {
        using var cpu = new ScriptedCpu
        {
            Script = (self, _) =>
            {
                self.InstructionsRetired++;
                self.Statistics = new CpuStatistics { BlocksDecoded = self.InstructionsRetired, TlbMisses = self.InstructionsRetired };
                return self.AttentionRequested ? RunResult.Attention : RunResult.BudgetExhausted;
            },
        };
        IVirtualMachine machine = ScriptedMachine.CreateBuilder(cpu).Build();
        Assert.That(machine.GetCpuStatistics(), Is.EqualTo(default(CpuStatistics)));
        await machine.StartAsync(token);
        CpuStatistics last = default;
        while (last.InstructionsRetired < 10_000)
        {
            token.ThrowIfCancellationRequested();
            CpuStatistics now = machine.GetCpuStatistics();
            Assert.That((now.BlocksDecoded, now.TlbMisses), Is.EqualTo((now.InstructionsRetired, now.InstructionsRetired)));
            Assert.That(now.InstructionsRetired, Is.GreaterThanOrEqualTo(last.InstructionsRetired));
            last = now;
        }

        await machine.DisposeAsync();
        Assert.That(machine.GetCpuStatistics().InstructionsRetired, Is.EqualTo(machine.InstructionsRetired).And.GreaterThanOrEqualTo(10_000));
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

    private static RunResult CountThenShutDown(ScriptedCpu cpu, long budget)
    {
        CpuStatistics before = cpu.Statistics;
        cpu.Statistics = before with
        {
            BlocksDecoded = before.BlocksDecoded + 1,
            BlocksTranslated = before.BlocksTranslated + 2,
            BytesEmitted = before.BytesEmitted + 3,
            ChainHits = before.ChainHits + 4,
            BlocksInvalidated = before.BlocksInvalidated + 5,
            CodeCacheFlushes = before.CodeCacheFlushes + 6,
            TlbMisses = before.TlbMisses + 7,
            DeviceAccesses = before.DeviceAccesses + 8,
            CodePageWrites = before.CodePageWrites + 9,
            PageCrossings = before.PageCrossings + 10,
            HandlerCalls = before.HandlerCalls + 11,
            JumpSearches = before.JumpSearches + 12,
            EncodingMismatches = before.EncodingMismatches + 13,
            TranslationsRefused = before.TranslationsRefused + 14,
            TranslationTime = before.TranslationTime + TimeSpan.FromSeconds(1.5),
        };
        return RunThenShutDown(cpu, budget);
    }

    private static MeterListener Listen(ConcurrentDictionary<string, double> measured)
    {
        var listener = new MeterListener
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
        listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Count(measured, instrument, value, tags));
        listener.Start();
        return listener;
    }

    private static void Count(
        ConcurrentDictionary<string, double> measured, Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        string key = instrument.Name;
        foreach (KeyValuePair<string, object?> tag in tags)
        {
            key += " " + tag.Value;
        }

        measured.AddOrUpdate(key, value, (_, sum) => sum + value);
    }
}
