using Uml.Net.Packets;
using Uml.Net.UserNet.Tcp;

namespace Uml.Net.Tests.UserNet;

public sealed class TcpConnectionTests
{
    [Test]
    public void A_connection_is_made_used_and_ended()
    {
        TcpPair pair = TcpPair.Connected();
        pair.Left.Write("to the right"u8.ToArray(), finish: true);
        pair.RunUntil(() => pair.Right.IsPeerFinished);
        pair.Right.Write("to the left"u8.ToArray(), finish: true);
        pair.RunUntil(() => pair.Left.IsGone && pair.Right.IsGone);
        Assert.Multiple(() =>
        {
            Assert.That(pair.Right.Data.ToArray(), Is.EqualTo("to the right"u8.ToArray()));
            Assert.That(pair.Left.Data.ToArray(), Is.EqualTo("to the left"u8.ToArray()));
            Assert.That((pair.Left.Ended, pair.Right.Ended), Is.EqualTo((TcpEnd.Finished, TcpEnd.Finished)));
        });
    }

    [Test]
    public void Transfers_both_ways_survive_loss_reordering_and_duplication(
        [Values(1, 2, 3)] int seed, [Values(0, 0.01, 0.1)] double rate, [Values(1480, 65000)] int room, [Values] bool isSmall)
    {
        TcpSettings settings = TcpPair.Settings() with { ReceiveLimit = isSmall ? 20_000 : 1 << 20 };
        TcpPair pair = TcpPair.Connected(seed, new Impairment(rate, rate, rate * 3), settings, settings with { Pool = new BlockPool(1 << 20) });
        (pair.Left.Room, pair.Right.Room) = (room, 1480);
        byte[] there = Bytes(3_000_000, seed), back = Bytes(1_000_000, seed + 1);
        pair.Left.Write(there, finish: true);
        pair.Right.Write(back, finish: true);
        pair.RunUntil(() => pair.Left.IsGone && pair.Right.IsGone, limit: 3_600_000);
        Assert.That(pair.Right.Data.ToArray().AsSpan().SequenceEqual(there));
        Assert.That(pair.Left.Data.ToArray().AsSpan().SequenceEqual(back));
        TestContext.Out.WriteLine($"{pair.Now} ms, {pair.Left.Segments} and {pair.Right.Segments} segments");
    }

    [Test]
    public void Loss_is_repaired_without_waiting_for_a_timeout_where_the_peer_has_SACK()
    {
        TcpPair pair = TcpPair.Connected();
        int count = 0;
        List<uint> lost = [];
        HashSet<uint> again = [];
        pair.Filter = (from, header, length) =>
        {
            if (from != pair.Left || length == 0)
            {
                return true;
            }

            if (lost.Contains(header.Sequence))
            {
                again.Add(header.Sequence);
            }

            if (++count is 20 or 22 or 23 or 30)
            {
                lost.Add(header.Sequence);
                return false;
            }

            return true;
        };
        pair.Left.Write(Bytes(300_000, 1));
        long start = pair.Now;
        pair.RunUntil(() => pair.Right.Data.Length == 300_000);
        Assert.Multiple(() =>
        {
            Assert.That(again, Is.EquivalentTo(lost));
            Assert.That(pair.Now - start, Is.LessThan(150), "the least timeout is 200 ms");
            Assert.That(count, Is.LessThanOrEqualTo((300_000 / 1448) + 1 + 4), "nothing else was sent twice");
        });
    }

    [Test]
    public void A_link_that_loses_some_segments_slows_a_transfer_and_does_not_stop_it([Values(1, 2, 3)] int seed)
    {
        TcpPair pair = TcpPair.Connected(seed, new Impairment(0.01));
        int timeouts = 0;
        uint last = 0;
        long lastAt = 0;
        pair.Filter = (from, header, length) =>
        {
            if (from == pair.Left && length != 0)
            {
                timeouts += pair.Now - lastAt >= 200 ? 1 : 0;
                (last, lastAt) = (header.Sequence, pair.Now);
            }

            return true;
        };
        byte[] bytes = Bytes(20_000_000, seed);
        long start = pair.Now;
        pair.Left.Write(bytes);
        pair.RunUntil(() => pair.Right.Data.Length == bytes.Length);
        TestContext.Out.WriteLine($"{pair.Now - start} ms, {pair.Left.Segments} segments, {timeouts} timeouts");
        Assert.That(pair.Now - start, Is.LessThan(6000));
    }

    [Test]
    public void A_shut_window_is_probed_and_opens_again([Values] bool isUpdateLost)
    {
        TcpPair pair = TcpPair.Connected(right: TcpPair.Settings() with { ReceiveLimit = 10_000 });
        pair.Right.ReadsAtOnce = false;
        byte[] bytes = Bytes(50_000, 2);
        pair.Left.Write(bytes);
        pair.Run(30_000);
        Assert.That(pair.Right.Tcp.Received.Length, Is.EqualTo(10_000));
        int probes = pair.Left.Segments;
        pair.Run(400_000);
        Assert.That(pair.Left.Segments - probes, Is.InRange(5, 20), "probes go on, ever less often");
        Assert.That(pair.Left.Ended, Is.Null, "a peer that answers may take its time");

        bool isFirst = isUpdateLost;
        pair.Filter = (from, _, _) => from != pair.Right || !Interlocked.Exchange(ref isFirst, false);
        pair.Right.ReadsAtOnce = true;
        pair.Right.Read(int.MaxValue);
        pair.RunUntil(() => pair.Right.Data.Length == bytes.Length);
        Assert.That(pair.Right.Data.ToArray(), Is.EqualTo(bytes));
    }

    [Test]
    public void A_window_that_opens_byte_by_byte_makes_no_small_segments()
    {
        TcpPair pair = TcpPair.Connected(right: TcpPair.Settings() with { ReceiveLimit = 20_000 });
        pair.Right.ReadsAtOnce = false;
        pair.Left.Write(Bytes(200_000, 3));
        pair.Run(1000);
        List<int> lengths = [];
        pair.Filter = (from, _, length) =>
        {
            if (from == pair.Left)
            {
                lengths.Add(length);
            }

            return true;
        };
        for (int i = 0; i < 10_000; i++)
        {
            pair.Right.Read(10);
            pair.Run(1);
        }

        Assert.That(lengths.Where(length => length > 1), Is.All.GreaterThan(1000));
    }

    [Test]
    public void A_half_that_is_finished_leaves_the_other_open()
    {
        TcpPair pair = TcpPair.Connected();
        pair.Left.Write([], finish: true);
        pair.RunUntil(() => pair.Right.IsPeerFinished);
        pair.Run(4_000_000);
        byte[] bytes = Bytes(100_000, 4);
        pair.Right.Write(bytes, finish: true);
        pair.RunUntil(() => pair.Left.IsPeerFinished && pair.Right.IsGone);
        Assert.That(pair.Left.Data.ToArray(), Is.EqualTo(bytes));
    }

    [Test]
    public void Data_that_comes_after_its_reader_has_gone_is_answered_with_a_reset()
    {
        TcpPair pair = TcpPair.Connected();
        pair.Left.Tcp.Abandon(pair.Now);
        pair.RunUntil(() => pair.Right.IsPeerFinished);
        pair.Right.Write(Bytes(10, 5));
        pair.RunUntil(() => pair.Left.IsGone && pair.Right.IsGone);
        Assert.That(pair.Right.Ended, Is.EqualTo(TcpEnd.Reset));
    }

    [Test]
    public void An_abandoned_connection_does_not_wait_for_ever()
    {
        TcpPair pair = TcpPair.Connected();
        pair.Left.Tcp.Abandon(pair.Now);
        pair.RunUntil(() => pair.Left.IsGone, limit: 100_000);
    }

    [Test]
    public void A_peer_that_is_gone_is_noticed([Values] bool isSending)
    {
        TcpPair pair = TcpPair.Connected();
        pair.Filter = (from, _, _) => from == pair.Left;
        if (isSending)
        {
            pair.Left.Write(Bytes(1000, 6));
        }

        pair.RunUntil(() => pair.Left.IsGone, limit: 600_000);
        Assert.That(pair.Left.Ended, Is.EqualTo(TcpEnd.TimedOut));
    }

    [Test]
    public void An_idle_connection_is_kept_alive()
    {
        TcpPair pair = TcpPair.Connected();
        pair.Run(10_000_000);
        Assert.Multiple(() =>
        {
            Assert.That((pair.Left.Ended, pair.Right.Ended), Is.EqualTo(((TcpEnd?)null, (TcpEnd?)null)));
            Assert.That(pair.Left.Segments + pair.Right.Segments, Is.InRange(30, 200));
        });
    }

    [Test]
    public void Nobody_who_answers_is_noticed()
    {
        TcpPair pair = new() { Filter = (_, _, _) => false };
        pair.Left.Tcp.Connect(pair.Now);
        pair.RunUntil(() => pair.Left.IsGone, limit: 31_000);
        Assert.That(pair.Left.Ended, Is.EqualTo(TcpEnd.TimedOut));
        Assert.That(pair.Left.Segments, Is.EqualTo(5), "at 0, 1, 3, 7, 15 s");
    }

    [Test]
    public void Acknowledgments_wait_for_every_other_segment_or_a_moment()
    {
        TcpPair pair = TcpPair.Connected();
        int acknowledgments = pair.Right.Segments;
        pair.Left.Write(Bytes(1448 * 6, 7));
        pair.Run(10);
        Assert.That(pair.Right.Segments - acknowledgments, Is.LessThanOrEqualTo(3));
        pair.Run(100);
        acknowledgments = pair.Right.Segments;
        long start = pair.Now;
        pair.Left.Write(Bytes(10, 8));
        pair.RunUntil(() => pair.Right.Segments != acknowledgments);
        Assert.That(pair.Now - start, Is.InRange(40, 45));
    }

    [Test]
    public void A_segment_of_RST_counts_only_where_it_is_expected()
    {
        TcpPair pair = TcpPair.Connected();
        TcpHeader header = default;
        pair.Filter = (from, sent, _) =>
        {
            header = from == pair.Left ? sent : header;
            return true;
        };
        pair.Left.Write(Bytes(10, 9));
        pair.Run(100);
        TcpHeader reset = new() { Flags = TcpFlags.Reset, Sequence = header.Sequence + 10 + 5 };
        byte[] bytes = new byte[TcpHeader.MaximumLength];
        pair.Right.Deliver(bytes[..reset.Write(bytes)]);
        Assert.That(pair.Right.Ended, Is.Null);
        reset.Sequence -= 5;
        pair.Right.Deliver(bytes[..reset.Write(bytes)]);
        Assert.That(pair.Right.Ended, Is.EqualTo(TcpEnd.Reset));
    }

    [Test]
    public void No_memory_for_more_slows_a_connection_and_does_not_break_it()
    {
        BlockPool pool = new(2 * BlockPool.BlockSize);
        TcpSettings settings = TcpPair.Settings() with { Pool = pool };
        TcpPair pair = TcpPair.Connected(5, new Impairment(0.02, 0.02, 0.1), settings, settings);
        pair.Right.ReadsAtOnce = false;
        byte[] bytes = Bytes(1_000_000, 10);
        pair.Left.Write(bytes, finish: true);
        for (int i = 0; i < 100_000 && pair.Right.Data.Length != bytes.Length; i++)
        {
            pair.Run(100);
            Assert.That(pool.Used, Is.LessThanOrEqualTo(4 * BlockPool.BlockSize));
            pair.Right.Read(100_000);
            pair.Left.OnSendRoom();
        }

        Assert.That(pair.Right.Data.ToArray().AsSpan().SequenceEqual(bytes));
    }

    [Test]
    public void All_memory_is_given_back()
    {
        BlockPool pool = new(1 << 30);
        TcpSettings settings = TcpPair.Settings() with { Pool = pool };
        TcpPair pair = TcpPair.Connected(6, new Impairment(0.05, 0.05, 0.1), settings, settings);
        pair.Left.Write(Bytes(500_000, 11), finish: true);
        pair.Run(50);
        pair.Right.Tcp.Abort(pair.Now);
        pair.RunUntil(() => pair.Left.IsGone && pair.Right.IsGone);
        Assert.That(pool.Used, Is.Zero);
    }

    [Test]
    public void Random_segments_break_nothing([Range(1, 20)] int seed)
    {
        Random random = new(seed);
        BlockPool pool = new(1 << 20);
        TcpSettings settings = TcpPair.Settings() with { Pool = pool, ReceiveLimit = 100_000, SendLimit = 100_000 };
        TcpPair pair = TcpPair.Connected(seed, left: settings, right: settings);
        TcpHeader seen = default;
        pair.Filter = (from, sent, _) =>
        {
            seen = from == pair.Left ? sent : seen;
            return true;
        };
        pair.Left.Write(Bytes(50_000, seed));
        pair.Run(5);
        byte[] bytes = new byte[TcpHeader.MaximumLength];
        for (int i = 0; i < 5000 && !pair.Right.IsGone; i++)
        {
            TcpHeader header = new()
            {
                Flags = (TcpFlags)(random.Next(256) & ~(random.Next(50) == 0 ? 0 : (int)TcpFlags.Reset)),
                Sequence = seen.Sequence + (uint)random.Next(-70_000, 70_000),
                Acknowledgment = seen.Acknowledgment + (uint)random.Next(-70_000, 70_000),
                Window = (ushort)random.Next(65536),
                HasTimestamp = random.Next(2) == 0,
                Timestamp = seen.Timestamp + (uint)random.Next(-10, 1000),
                TimestampEcho = (uint)random.Next(),
                SackCount = random.Next(4),
            };
            for (int range = 0; range < header.SackCount; range++)
            {
                header.Sacks[range] = new TcpRange(seen.Acknowledgment + (uint)random.Next(-1000, 90_000), seen.Acknowledgment + (uint)random.Next(-1000, 90_000));
            }

            int length = header.Write(bytes);
            pair.Right.Deliver([.. bytes[..length], .. new byte[random.Next(2) * random.Next(1448)]]);
            pair.Right.Write(Bytes(random.Next(10_000), i));
            pair.Run(random.Next(3));
            Assert.That(pool.Used, Is.LessThanOrEqualTo((1 << 20) + (2 * BlockPool.BlockSize)));
        }
    }

    private static byte[] Bytes(int count, int seed)
    {
        byte[] bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
