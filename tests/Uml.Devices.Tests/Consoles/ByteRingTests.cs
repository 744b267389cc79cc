using Uml.Devices.Consoles;

namespace Uml.Devices.Tests.Consoles;

[TestFixture]
public sealed class ByteRingTests
{
    [Test]
    public void It_agrees_with_a_queue_over_random_operations()
    {
        var random = new Random(7);
        var ring = new ByteRing(13);
        var expected = new Queue<byte>();
        byte[] buffer = new byte[20];
        for (int step = 0; step < 10_000; step++)
        {
            Span<byte> part = buffer.AsSpan(0, random.Next(buffer.Length));
            if (random.Next(2) == 0)
            {
                random.NextBytes(part);
                int accepted = ring.Write(part);
                Assert.That(accepted, Is.EqualTo(Math.Min(part.Length, 13 - expected.Count)));
                foreach (byte value in part[..accepted])
                {
                    expected.Enqueue(value);
                }
            }
            else
            {
                int taken = ring.Read(part);
                Assert.That(taken, Is.EqualTo(Math.Min(part.Length, expected.Count)));
                for (int i = 0; i < taken; i++)
                {
                    Assert.That(part[i], Is.EqualTo(expected.Dequeue()));
                }
            }

            Assert.That(ring.Count, Is.EqualTo(expected.Count));
        }
    }
}
