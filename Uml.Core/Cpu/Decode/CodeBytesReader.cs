using Iced.Intel;

namespace Uml.Core.Cpu.Decode;

/// <summary>Feeds Iced's decoder from a buffer, without copies or allocation.</summary>
// SAFETY: BlockDecoder passes a range of its own pinned buffer and decodes before it passes another; reading stops at the end.
internal sealed unsafe class CodeBytesReader : CodeReader
{
    private byte* _next;
    private byte* _end;

    /// <summary>Sets the range to read. It has to stay valid while decoding.</summary>
    public void Reset(byte* start, byte* end)
    {
        _next = start;
        _end = end;
    }

    /// <inheritdoc/>
    public override int ReadByte() => _next < _end ? *_next++ : -1;
}
