namespace Uml.Hosting.Testing;

/// <summary>A stream into memory that throws beyond a limit, because guests are hostile.</summary>
/// <param name="maximum">The limit in bytes.</param>
/// <param name="advice">Advice in the message about the limit.</param>
internal sealed class BoundedOutput(int maximum, string advice) : MemoryStream
{
    /// <summary>The bytes written.</summary>
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
