namespace Uml.Hosting.Testing;

/// <summary>A stream into memory that refuses what goes beyond a limit: guests are hostile.</summary>
/// <param name="maximum">The limit in bytes.</param>
/// <param name="advice">What the one who reads of the limit should know or do.</param>
internal sealed class BoundedOutput(int maximum, string advice) : MemoryStream
{
    /// <summary>What was written.</summary>
    public ReadOnlyMemory<byte> Written => GetBuffer().AsMemory(0, (int)Length);

    /// <inheritdoc/>
    /// <remarks>Every other way to write a <see cref="MemoryStream"/> of a derived class comes here.</remarks>
    public override void Write(byte[] buffer, int offset, int count)
    {
        if (count > maximum - Length)
        {
            throw new IOException($"The guest wrote more than {maximum} bytes; {advice}.");
        }

        base.Write(buffer, offset, count);
    }
}
