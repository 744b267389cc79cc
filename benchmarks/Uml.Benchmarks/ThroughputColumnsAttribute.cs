using System.Globalization;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;

namespace Uml.Benchmarks;

/// <summary>Packets and bits a second of a benchmark whose operation is one frame of <see cref="NetTransportBenchmark.FrameLength"/> bytes.</summary>
[AttributeUsage(AttributeTargets.Class)]
public sealed class ThroughputColumnsAttribute : Attribute, IConfigSource
{
    public IConfig Config { get; } = ManualConfig.CreateEmpty()
        .AddColumn(new ThroughputColumn("Mpps", "Millions of frames a second", (nanoseconds, _) => 1e3 / nanoseconds))
        .AddColumn(new ThroughputColumn("Gbit/s", "10^9 bits of frames a second", (nanoseconds, length) => 8 * length / nanoseconds));

    private sealed class ThroughputColumn(string name, string legend, Func<double, int, double> compute) : IColumn
    {
        public string Id => name;

        public string ColumnName => name;

        public bool AlwaysShow => true;

        public ColumnCategory Category => ColumnCategory.Custom;

        public int PriorityInCategory => 0;

        public bool IsNumeric => true;

        public UnitType UnitType => UnitType.Dimensionless;

        public string Legend => legend;

        public bool IsAvailable(Summary summary) => true;

        public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;

        public string GetValue(Summary summary, BenchmarkCase benchmarkCase)
        {
            int length = (int)benchmarkCase.Parameters[nameof(NetTransportBenchmark.FrameLength)];
            return summary[benchmarkCase]?.ResultStatistics is { } statistics
                ? compute(statistics.Mean, length).ToString("0.000", CultureInfo.InvariantCulture)
                : "-";
        }

        public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style) => GetValue(summary, benchmarkCase);
    }
}
