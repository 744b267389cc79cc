using System.Buffers.Binary;
using Uml.Net.Packets;

namespace Uml.Net.Tests.Packets;

public sealed class InternetChecksumTests
{
    [Test]
    public void Every_length_and_place_gives_the_sum_of_its_words()
    {
        Random random = new(1);
        byte[] bytes = new byte[400];
        for (int i = 0; i < 4000; i++)
        {
            random.NextBytes(bytes);
            int start = random.Next(40);
            ReadOnlySpan<byte> part = bytes.AsSpan(start, random.Next(bytes.Length - start));
            Assert.That(BinaryPrimitives.ReverseEndianness(InternetChecksum.Fold(InternetChecksum.Add(part))), Is.EqualTo(Packet.Sum(part.ToArray())));
        }
    }

    [Test]
    public void A_sum_of_many_bytes_loses_no_carry()
    {
        byte[] bytes = new byte[1 << 20];
        bytes.AsSpan().Fill(0xFF);
        Assert.That(InternetChecksum.Fold(InternetChecksum.Add(bytes, ulong.MaxValue)), Is.EqualTo(0xFFFF));
    }

    [Test]
    public void Pieces_of_any_length_give_the_sum_of_the_whole()
    {
        Random random = new(2);
        byte[] bytes = new byte[3000];
        random.NextBytes(bytes);
        for (int i = 0; i < 2000; i++)
        {
            int first = random.Next(1000), second = random.Next(1000), third = random.Next(1000), start = random.Next(2900);
            ulong sum = InternetChecksum.Add(Packet.InPieces(bytes, first, second, third), start);
            Assert.That(BinaryPrimitives.ReverseEndianness(InternetChecksum.Fold(sum)), Is.EqualTo(Packet.Sum(bytes[start..])));
        }
    }
}
