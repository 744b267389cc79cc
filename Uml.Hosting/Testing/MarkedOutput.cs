using System.Buffers.Text;
using System.Text;

namespace Uml.Hosting.Testing;

/// <summary>
/// Separates a console's bytes into output and events, in one pass with a buffer of fixed size: only bytes that may be the beginning of an
/// event are buffered. What resembles an event but is none is output.
/// </summary>
internal sealed class MarkedOutput
{
    /// <summary>Bytes of an event behind its marker, at most. Values are exit codes and one path.</summary>
    private const int LongestEvent = 300;

    private const int BufferBytes = 64 << 10;

    private readonly byte[] _buffer = new byte[BufferBytes];
    private readonly byte[] _marker;
    private int _start;
    private int _end;

    /// <summary>Finds events that begin with a marker.</summary>
    public MarkedOutput(string marker) => _marker = Encoding.ASCII.GetBytes(marker);

    /// <summary>The buffer for the next bytes. Not empty once <see cref="TryTake"/> has returned everything.</summary>
    public Memory<byte> GetRoom()
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start.._end).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }

        return _buffer.AsMemory(_end);
    }

    /// <summary>Adds bytes that were written to the buffer.</summary>
    public void Advance(int count) => _end += count;

    /// <summary>Takes the next output or event.</summary>
    /// <param name="output">Output, valid until <see cref="GetRoom"/>; empty with an event.</param>
    /// <param name="marked">The event, if that is next.</param>
    /// <returns>Whether there was anything; else more bytes are needed.</returns>
    public bool TryTake(out ReadOnlyMemory<byte> output, out ShellEvent? marked)
    {
        marked = null;
        ReadOnlySpan<byte> rest = _buffer.AsSpan(_start.._end);
        int index = rest.IndexOf(_marker);
        if (index != 0)
        {
            return TakeOutput(index > 0 ? index : rest.Length - GetPartialMarker(rest), out output);
        }

        ReadOnlySpan<byte> tail = rest[_marker.Length..];
        int length = tail[..Math.Min(tail.Length, LongestEvent)].IndexOf((byte)';');
        if (length < 0)
        {
            // An event that is not whole yet, or no event at all.
            return TakeOutput(tail.Length < LongestEvent ? 0 : _marker.Length, out output);
        }

        marked = Parse(tail[..length]);
        if (marked is null)
        {
            return TakeOutput(_marker.Length, out output);
        }

        output = default;
        _start += _marker.Length + length + 1;
        return true;
    }

    private static ShellEvent? Parse(ReadOnlySpan<byte> text)
    {
        int colon = text.IndexOf((byte)':');
        return colon > 1 && Utf8Parser.TryParse(text[1..colon], out int number, out int used) && used == colon - 1
            ? new ShellEvent((char)text[0], number, Encoding.UTF8.GetString(text[(colon + 1)..]))
            : null;
    }

    private bool TakeOutput(int count, out ReadOnlyMemory<byte> output)
    {
        output = _buffer.AsMemory(_start, count);
        _start += count;
        return count > 0;
    }

    /// <summary>How many bytes at the end may be the beginning of a marker.</summary>
    private int GetPartialMarker(ReadOnlySpan<byte> bytes)
    {
        int length = Math.Min(bytes.Length, _marker.Length - 1);
        while (length > 0 && !bytes.EndsWith(_marker.AsSpan(0, length)))
        {
            length--;
        }

        return length;
    }
}
