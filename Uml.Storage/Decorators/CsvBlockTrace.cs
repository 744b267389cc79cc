using System.Globalization;
using Uml.Storage.Blocks;

namespace Uml.Storage.Decorators;

/// <summary>
/// Writes a trace as comma-separated values (RFC 4180, lines ended by a line feed): the columns <c>start</c> (UTC, ISO 8601), <c>duration_us</c>,
/// <c>kind</c>, <c>offset</c>, <c>length</c> and <c>error</c>, a <see cref="BlockError"/> or the name of the exception's type.
/// </summary>
public sealed class CsvBlockTrace : IBlockTraceSink, IDisposable
{
    private readonly Lock _lock = new();
    private readonly TextWriter _writer;
    private readonly bool _leavesOpen;
    private bool _isDisposed;

    /// <summary>Begins a trace with the line of names.</summary>
    /// <param name="writer">Where it goes.</param>
    /// <param name="leavesOpen">Whether the writer stays open when the trace is disposed.</param>
    public CsvBlockTrace(TextWriter writer, bool leavesOpen = false)
    {
        ArgumentNullException.ThrowIfNull(writer);
        (_writer, _leavesOpen) = (writer, leavesOpen);
        _writer.Write("start,duration_us,kind,offset,length,error\n");
    }

    /// <inheritdoc/>
    public bool IsEnabled => !Volatile.Read(ref _isDisposed);

    /// <inheritdoc/>
    public void Write(in BlockTraceEntry entry)
    {
        Span<char> line = stackalloc char[256];
        string error = entry.Error switch
        {
            null => "",
            BlockIOException { Error: var known } => GetName(known),
            { } other => other.GetType().Name,
        };

        // The longest line has fewer characters, unless an exception's type has a name of 100.
        line.TryWrite(
            CultureInfo.InvariantCulture,
            $"{entry.Start.UtcDateTime:O},{entry.Duration.Ticks / (double)TimeSpan.TicksPerMicrosecond},{GetName(entry.Kind)},{entry.Offset},{entry.Length},{error.AsSpan(0, Math.Min(error.Length, 100))}\n",
            out int count);
        lock (_lock)
        {
            if (!_isDisposed)
            {
                _writer.Write(line[..count]);
            }
        }
    }

    /// <summary>Ends the trace, and flushes or closes the writer. Requests that end later are not written.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_isDisposed)
            {
                return;
            }

            Volatile.Write(ref _isDisposed, true);
            _writer.Flush();
            if (!_leavesOpen)
            {
                _writer.Dispose();
            }
        }
    }

    private static string GetName(BlockRequestKind kind) => kind switch
    {
        BlockRequestKind.Read => "read",
        BlockRequestKind.Write => "write",
        BlockRequestKind.Flush => "flush",
        BlockRequestKind.Discard => "discard",
        BlockRequestKind.Resize => "resize",
        _ => "write_zeroes",
    };

    private static string GetName(BlockError error) => error switch
    {
        BlockError.NoSpace => "no_space",
        BlockError.ReadOnly => "read_only",
        BlockError.Gone => "gone",
        _ => "io",
    };
}
