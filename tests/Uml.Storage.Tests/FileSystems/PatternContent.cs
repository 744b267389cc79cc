using Uml.Storage.FileSystems.Trees;

namespace Uml.Storage.Tests.FileSystems;

/// <summary>Contents that say where they are.</summary>
internal sealed class PatternContent : FileContent
{
    public PatternContent(long length)
        : base(length)
    {
    }

    public PatternContent(long length, IReadOnlyList<FileRange> data)
        : base(length, data)
    {
    }

    public override void Read(long offset, Span<byte> buffer)
    {
        for (int i = 0; i < buffer.Length; i++)
        {
            long place = offset + i;
            buffer[i] = (byte)(place ^ (place >> 8) ^ (place >> 17));
        }
    }
}
