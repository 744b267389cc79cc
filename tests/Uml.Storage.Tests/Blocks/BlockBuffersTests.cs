using Uml.Storage.Blocks;

namespace Uml.Storage.Tests.Blocks;

public sealed class BlockBuffersTests
{
    [Test]
    public void A_slice_has_the_bytes_that_the_whole_has_there([Range(0, 10)] int start, [Range(0, 10)] int length)
    {
        byte[] bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
        BlockBuffers buffers = new(new Memory<byte>[] { bytes.AsMemory(0, 3), default, bytes.AsMemory(3, 4), bytes.AsMemory(7, 3), default });
        if (start + length > bytes.Length)
        {
            Assert.That(() => buffers.Slice(start, length), Throws.InstanceOf<ArgumentOutOfRangeException>());
            return;
        }

        BlockBuffers slice = buffers.Slice(start, length);
        Assert.That(slice.Length, Is.EqualTo(length));
        Assert.That(Copy(slice), Is.EqualTo(bytes[start..(start + length)]));
    }

    [Test]
    public void A_slice_of_a_slice_is_a_slice()
    {
        byte[] bytes = [.. Enumerable.Range(0, 40).Select(i => (byte)i)];
        BlockBuffers buffers = new(new Memory<byte>[] { bytes.AsMemory(0, 9), bytes.AsMemory(9, 1), bytes.AsMemory(10, 30) });

        for (int start = 0; start < 20; start++)
        {
            for (int inner = 0; inner < 10; inner++)
            {
                Assert.That(Copy(buffers.Slice(start, 20).Slice(inner, 10)), Is.EqualTo(bytes[(start + inner)..(start + inner + 10)]));
            }
        }
    }

    [Test]
    public void Filling_a_slice_leaves_everything_else_alone()
    {
        byte[] bytes = new byte[12];
        BlockBuffers buffers = new(new Memory<byte>[] { bytes.AsMemory(0, 5), bytes.AsMemory(5, 7) });

        buffers.Slice(3, 4).CopyFrom([1, 2, 3, 4]);
        Assert.That(bytes, Is.EqualTo(new byte[] { 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0 }));
        buffers.Slice(4, 2).Clear();
        Assert.That(bytes, Is.EqualTo(new byte[] { 0, 0, 0, 1, 0, 0, 4, 0, 0, 0, 0, 0 }));
    }

    [Test]
    public void Filling_takes_exactly_as_many_bytes_as_there_are() =>
        Assert.That(() => new BlockBuffers(new byte[3]).CopyFrom([1, 2]), Throws.InstanceOf<ArgumentOutOfRangeException>());

    private static byte[] Copy(BlockBuffers buffers)
    {
        byte[] bytes = new byte[buffers.Length];
        buffers.CopyTo(bytes);
        return bytes;
    }
}
