using Uml.Storage.Blocks;
using Uml.Storage.Nbd.Client;

namespace Uml.Storage.Tests.Nbd;

public sealed class NbdHostileServerTests
{
    private static readonly byte[] Data512 = new byte[512];

    [Test, CancelAfter(60_000)]
    [TestCase("SSH-2.0-OpenSSH_9\r\n", "is it an NBD server?")]
    [TestCase("NBDMAGIC\0\0\u0042\u0002\u0081\u0086\u0012\u0053", "oldstyle")]
    [TestCase("NBDMAGICIHAVEOPS", "instead of 49484156454F5054H")]
    public async Task A_greeting_of_something_else_is_refused(string greeting, string message)
    {
        await using ScriptedServer server = new(async wire =>
        {
            await wire.SendAsync(System.Text.Encoding.Latin1.GetBytes(greeting));
            await wire.TakeAllAsync();
        });
        Assert.That(() => ConnectAsync(server), Throws.InstanceOf<DiskImageException>().With.Message.Contains(message));
    }

    /// <summary>Replies to NBD_OPT_GO.</summary>
    private static IEnumerable<TestCaseData> BadAgreements()
    {
        yield return Case("a_wrong_magic", wire => wire.SendAsync(new byte[20]), "0000000000000000H");
        yield return Case("another_option", wire => wire.ReplyAsync(6, 1), "is to option 6 where 7");
        yield return Case("no_size", wire => wire.ReplyAsync(7, 1), "how large");
        yield return Case("a_huge_reply", wire => wire.SendAsync(Wire.U64(0x0003_E889_0455_65A9), Wire.U32(7), Wire.U32(3), Wire.U32(uint.MaxValue)), "4294967295 bytes");
        yield return Case("information_cut_off", wire => wire.ReplyAsync(7, 3, Wire.U16(0), new byte[3]), "has 5 bytes");
        yield return Case("empty_information", wire => wire.ReplyAsync(7, 3), "is empty");
        yield return Case("an_unknown_reply", wire => wire.ReplyAsync(7, 77), "kind 77");
        yield return Case("a_policy", wire => wire.ReplyAsync(7, 0x8000_0002, Wire.Bytes("not \u001b[31myou")), "not .[31myou");
        yield return Case("TLS_required", wire => wire.ReplyAsync(7, 0x8000_0005), "requires encryption");
        yield return Case("half_a_sector", async wire =>
        {
            await wire.ReplyAsync(7, 3, Wire.U16(0), Wire.U64(700), Wire.U16(1));
            await wire.ReplyAsync(7, 1);
        }, "700 bytes");
        yield return Case("a_negative_size", async wire =>
        {
            await wire.ReplyAsync(7, 3, Wire.U16(0), Wire.U64(ulong.MaxValue - 511), Wire.U16(1));
            await wire.ReplyAsync(7, 1);
        }, "whole blocks");
        yield return Case("odd_blocks", async wire =>
        {
            await wire.ReplyAsync(7, 3, Wire.U16(0), Wire.U64(4096), Wire.U16(1));
            await wire.ReplyAsync(7, 3, Wire.U16(3), Wire.U32(1000), Wire.U32(1000), Wire.U32(1000));
            await wire.ReplyAsync(7, 1);
        }, "blocks of 1000");
        yield return Case("information_without_end", async wire =>
        {
            while (true)
            {
                await wire.ReplyAsync(7, 3, Wire.U16(9));
            }
        }, "more than 64");

        static TestCaseData Case(string name, Func<Wire, Task> reply, string message) => new TestCaseData(reply, message).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(BadAgreements)), CancelAfter(60_000)]
    public async Task An_agreement_that_is_none_is_refused(Func<Wire, Task> reply, string message)
    {
        await using ScriptedServer server = new(async wire =>
        {
            await wire.SendAsync(Wire.Bytes("NBDMAGICIHAVEOPT"), Wire.U16(3));
            await wire.TakeAsync(4);
            await wire.TakeOptionAsync();
            await wire.ReplyAsync(8, 1);
            await wire.TakeOptionAsync();
            await reply(wire);
            await wire.TakeAllAsync();
        });
        Assert.That(() => ConnectAsync(server), Throws.InstanceOf<DiskImageException>().With.Message.Contains(message));
    }

    [Test, CancelAfter(60_000)]
    public async Task A_server_that_says_nothing_is_given_up_in_time()
    {
        await using ScriptedServer server = new(wire => wire.TakeAllAsync());
        Assert.That(() => NbdBlockDevice.ConnectAsync(NbdEndPoint.Unix(server.Path), new NbdClientOptions { ConnectTimeout = TimeSpan.FromMilliseconds(200) }),
            Throws.InstanceOf<DiskImageException>().With.Message.Contains("within 0.2 s"));
        using CancellationTokenSource cancel = new(100);
        Assert.That(() => NbdBlockDevice.ConnectAsync(NbdEndPoint.Unix(server.Path), null, cancel.Token), Throws.InstanceOf<OperationCanceledException>());
    }

    [Test, CancelAfter(60_000)]
    public async Task A_server_without_NBD_OPT_GO_is_asked_by_name([Values] bool isFixed)
    {
        await using ScriptedServer server = new(async wire =>
        {
            await wire.SendAsync(Wire.Bytes("NBDMAGICIHAVEOPT"), Wire.U16(isFixed ? 1 : 0));
            await wire.TakeAsync(4);
            for (uint option = 0; isFixed && option != 7;)
            {
                (option, _) = await wire.TakeOptionAsync();
                await wire.ReplyAsync(option, 0x8000_0001);
            }

            (uint last, byte[] name) = await wire.TakeOptionAsync();
            Assert.That((last, System.Text.Encoding.ASCII.GetString(name)), Is.EqualTo((1U, "disk")));
            await wire.SendAsync(Wire.U64(4096), Wire.U16(3), new byte[124]);
            (_, byte[] cookie) = await wire.TakeRequestAsync();
            await wire.SimpleAsync(0, cookie, Data512);
            await wire.TakeAllAsync();
        });
        await using NbdBlockDevice device = await NbdBlockDevice.ConnectAsync(NbdEndPoint.Unix(server.Path, "disk"));
        Assert.That((device.Length, device.IsReadOnly), Is.EqualTo((4096L, true)));
        await device.ReadAsync(0, new byte[512]);
    }

    [Test, CancelAfter(60_000)]
    public async Task Chunks_may_come_in_any_order_and_be_holes()
    {
        await using ScriptedServer server = new(async wire =>
        {
            await ScriptedServer.AgreeAsync(wire);
            (_, byte[] cookie) = await wire.TakeRequestAsync();
            await wire.ChunkAsync(false, 1, cookie, Wire.U64(4096 + 1000), Filled(24, 3));
            await wire.ChunkAsync(false, 2, cookie, Wire.U64(4096 + 500), Wire.U32(500));
            await wire.ChunkAsync(false, 1, cookie, Wire.U64(4096), Filled(500, 1));
            await wire.ChunkAsync(true, 0, cookie);
            await wire.TakeAllAsync();
        });
        await using NbdBlockDevice device = await ConnectAsync(server);
        byte[] read = Filled(1024, 9);
        await device.ReadAsync(4096, read);
        Assert.That(read, Is.EqualTo((byte[])[.. Filled(500, 1), .. Filled(500, 0), .. Filled(24, 3)]));
    }

    [Test, CancelAfter(60_000)]
    public async Task Errors_of_a_server_are_errors_of_the_request_with_its_words()
    {
        await using ScriptedServer server = new(async wire =>
        {
            await ScriptedServer.AgreeAsync(wire);
            (_, byte[] cookie) = await wire.TakeRequestAsync();
            await wire.ChunkAsync(false, 1, cookie, Wire.U64(0), Data512);
            await wire.ChunkAsync(true, 0x8002, cookie, Wire.U32(28), Wire.U16(4), Wire.Bytes("full"), Wire.U64(0));
            (_, cookie) = await wire.TakeRequestAsync();
            await wire.ChunkAsync(true, 0x8077, cookie, Wire.U32(1), Wire.U16(0), new byte[9]);
            (_, cookie) = await wire.TakeRequestAsync();
            await wire.SimpleAsync(95, cookie);
            await wire.TakeAllAsync();
        });
        await using NbdBlockDevice device = await ConnectAsync(server);
        Assert.That(async () => await device.ReadAsync(0, new byte[512]), Throws.InstanceOf<BlockIOException>().With.Property("Error").EqualTo(BlockError.NoSpace).And.Message.Contains("it says: full"));
        Assert.That(async () => await device.ReadAsync(0, new byte[512]), Throws.InstanceOf<BlockIOException>().With.Property("Error").EqualTo(BlockError.ReadOnly));
        Assert.That(async () => await device.DiscardAsync(0, 512), Throws.InstanceOf<BlockIOException>().With.Message.Contains("ENOTSUP"));
    }

    /// <summary>Replies to a read of 1024 bytes at 4096.</summary>
    private static IEnumerable<TestCaseData> BadReplies()
    {
        yield return Case("a_wrong_magic", (wire, _) => wire.SendAsync(new byte[20]), "00000000H");
        yield return Case("an_unknown_cookie", (wire, _) => wire.ChunkAsync(true, 0, Wire.U64(0xFFFF_FFFF_FFFF_FFFF)), "no request");
        yield return Case("a_simple_reply", (wire, cookie) => wire.SimpleAsync(0, cookie, new byte[1024]), "simple reply");
        yield return Case("a_chunk_before_the_read", (wire, cookie) => wire.ChunkAsync(true, 1, cookie, Wire.U64(4095), Data512), "does not lie within");
        yield return Case("a_chunk_behind_the_read", (wire, cookie) => wire.ChunkAsync(true, 1, cookie, Wire.U64(4096 + 513), Data512), "does not lie within");
        yield return Case("a_chunk_far_away", (wire, cookie) => wire.ChunkAsync(true, 2, cookie, Wire.U64(ulong.MaxValue - 100), Wire.U32(uint.MaxValue)), "does not lie within");
        yield return Case("a_hole_of_nothing", (wire, cookie) => wire.ChunkAsync(true, 2, cookie, Wire.U64(4096), Wire.U32(0)), "does not lie within");
        yield return Case("a_hole_of_13_bytes", (wire, cookie) => wire.ChunkAsync(true, 2, cookie, new byte[13]), "a chunk of 13 bytes");
        yield return Case("data_without_any", (wire, cookie) => wire.ChunkAsync(true, 1, cookie, Wire.U64(4096)), "a chunk of 8 bytes");
        yield return Case("an_unknown_chunk", (wire, cookie) => wire.ChunkAsync(true, 99, cookie), "kind 99");
        yield return Case("a_huge_error", (wire, cookie) => wire.SendAsync(Wire.U32(0x668E_33EF), Wire.U16(1), Wire.U16(0x8001), cookie, Wire.U32(uint.MaxValue)), "4294967295");
        yield return Case("an_error_without_number", (wire, cookie) => wire.ChunkAsync(true, 0x8001, cookie, Wire.U32(0), Wire.U16(0)), "the number 0");
        yield return Case("an_error_with_more_text_than_it_has", (wire, cookie) => wire.ChunkAsync(true, 0x8001, cookie, Wire.U32(5), Wire.U16(100)), "100 bytes of text");
        yield return Case("an_early_end", async (wire, cookie) =>
        {
            await wire.ChunkAsync(false, 1, cookie, Wire.U64(4096), Data512);
            await wire.ChunkAsync(true, 0, cookie);
        }, "before all have come");
        yield return Case("overlapping_chunks", async (wire, cookie) =>
        {
            await wire.ChunkAsync(false, 1, cookie, Wire.U64(4096), Data512);
            await wire.ChunkAsync(true, 1, cookie, Wire.U64(4096 + 511), Data512);
        }, "overlaps");

        static TestCaseData Case(string name, Func<Wire, byte[], Task> reply, string message) => new TestCaseData(reply, message).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(BadReplies)), CancelAfter(60_000)]
    public async Task A_server_that_breaks_the_protocol_is_not_used_again(Func<Wire, byte[], Task> reply, string message)
    {
        await using ScriptedServer server = new(async wire =>
        {
            await ScriptedServer.AgreeAsync(wire);
            (_, byte[] cookie) = await wire.TakeRequestAsync();
            await reply(wire, cookie);
            await wire.TakeAllAsync();
        });
        await using NbdBlockDevice device = await ConnectAsync(server);
        Assert.That(async () => await device.ReadAsync(4096, new byte[1024]),
            Throws.InstanceOf<BlockIOException>().With.Message.Contains(message).And.Message.Contains("does not keep to the protocol"));
        Assert.That(async () => await device.ReadAsync(0, new byte[512]), Throws.InstanceOf<BlockIOException>().With.Property("Error").EqualTo(BlockError.Gone));
        Assert.That(server.Connections, Is.EqualTo(1));
    }

    [Test, CancelAfter(60_000)]
    public async Task A_reply_that_comes_twice_is_to_nothing()
    {
        await using ScriptedServer server = new(async wire =>
        {
            await ScriptedServer.AgreeAsync(wire);
            (_, byte[] cookie) = await wire.TakeRequestAsync();
            await wire.SimpleAsync(0, cookie);
            (_, _) = await wire.TakeRequestAsync();
            await wire.SimpleAsync(0, cookie);
            await wire.TakeAllAsync();
        });
        await using NbdBlockDevice device = await ConnectAsync(server);
        await device.DiscardAsync(0, 512);
        Assert.That(async () => await device.DiscardAsync(0, 512), Throws.InstanceOf<BlockIOException>().With.Message.Contains("no request"));
    }

    [TestCase(true), TestCase(false), CancelAfter(60_000)]
    public async Task Requests_that_a_server_refuses_because_it_shuts_down_are_made_again_by_the_next_connection(bool isStructured)
    {
        // The second of two writes, a flush and a read are refused once each; a write that was acknowledged comes again as well, before all others.
        List<string> seen = [];
        HashSet<(int, byte)> known = [(1, 1)];
        int connection = 0;
        await using ScriptedServer server = new(async wire =>
        {
            int at = ++connection;
            await ScriptedServer.AgreeAsync(wire, isStructured: isStructured);
            while (true)
            {
                (ushort type, byte[] cookie) = await wire.TakeRequestAsync();
                byte[] data = type == 1 ? await wire.TakeAsync(512) : [];
                seen.Add($"{at}: {type}{(type == 1 ? $" of {data[0]}" : "")}");
                bool isRefused = known.Add((type, data.FirstOrDefault()));
                if (isStructured && type == 0)
                {
                    await (isRefused ? wire.ChunkAsync(true, 0x8001, cookie, Wire.U32(108), Wire.U16(0)) : wire.ChunkAsync(true, 1, cookie, Wire.U64(0), new byte[512]));
                }
                else
                {
                    await wire.SimpleAsync(isRefused ? 108u : 0, cookie, type == 0 && !isRefused ? new byte[512] : []);
                }
            }
        });
        await using NbdBlockDevice device = await NbdBlockDevice.ConnectAsync(
            new Uri($"nbd+unix:///?socket={server.Path}"), new NbdClientOptions { ReconnectDelay = TimeSpan.FromMilliseconds(5) });

        await device.WriteAsync(0, Enumerable.Repeat((byte)1, 512).ToArray());
        await device.WriteAsync(0, Enumerable.Repeat((byte)2, 512).ToArray());
        await device.FlushAsync();
        await device.ReadAsync(0, new byte[512]);

        Assert.That(seen, Is.EqualTo((string[])
        [
            "1: 1 of 1", "1: 1 of 2", "2: 1 of 1", "2: 1 of 2", "2: 3", "3: 1 of 1", "3: 1 of 2", "3: 3", "3: 0", "4: 0",
        ]));
    }

    [Test, CancelAfter(60_000)]
    public async Task A_reply_that_is_cut_off_and_a_shutdown_are_reasons_to_connect_again()
    {
        int connection = 0;
        await using ScriptedServer server = new(async wire =>
        {
            await ScriptedServer.AgreeAsync(wire);
            (_, byte[] cookie) = await wire.TakeRequestAsync();
            switch (++connection)
            {
                case 1: await wire.SendAsync(Wire.U32(0x668E_33EF), Wire.U16(1)); return;
                case 2: await wire.SimpleAsync(108, cookie); return;
                default: await wire.ChunkAsync(true, 2, cookie, Wire.U64(0), Wire.U32(512)); break;
            }

            await wire.TakeAllAsync();
        });
        await using NbdBlockDevice device = await ConnectAsync(server);
        byte[] read = Filled(512, 1);
        await device.ReadAsync(0, read);
        Assert.That((server.Connections, read.Max()), Is.EqualTo((3, (byte)0)));
    }

    [Test, CancelAfter(60_000)]
    public async Task A_server_that_hangs_up_at_each_request_does_not_hold_them_for_ever()
    {
        await using ScriptedServer server = new(async wire =>
        {
            await ScriptedServer.AgreeAsync(wire);
            await wire.TakeRequestAsync();
        });
        NbdClientOptions options = new() { ReconnectTimeout = TimeSpan.FromMilliseconds(400), ReconnectDelay = TimeSpan.FromMilliseconds(50) };
        await using NbdBlockDevice device = await NbdBlockDevice.ConnectAsync(NbdEndPoint.Unix(server.Path), options);
        Assert.That(async () => await device.ReadAsync(0, new byte[512]), Throws.InstanceOf<BlockIOException>().With.Property("Error").EqualTo(BlockError.Gone));
        Assert.That(server.Connections, Is.InRange(2, 20));
    }

    [Test, CancelAfter(60_000)]
    public async Task Encryption_that_is_required_is_not_given_up([Values] bool isInjected)
    {
        await using ScriptedServer server = new(async wire =>
        {
            await wire.SendAsync(Wire.Bytes("NBDMAGICIHAVEOPT"), Wire.U16(3));
            await wire.TakeAsync(4);
            Assert.That((await wire.TakeOptionAsync()).Option, Is.EqualTo(5));
            byte[] reply = [.. Wire.U64(0x0003_E889_0455_65A9), .. Wire.U32(5), .. Wire.U32(isInjected ? 1 : 0x8000_0002), .. Wire.U32(0)];
            await wire.SendAsync(reply, isInjected ? reply : []);
            await wire.TakeAllAsync();
        });
        Assert.That(() => NbdBlockDevice.ConnectAsync(NbdEndPoint.Unix(server.Path) with { RequiresTls = true }),
            Throws.InstanceOf<DiskImageException>().With.Message.Contains(isInjected ? "not encrypted" : "does not encrypt"));
    }

    private static Task<NbdBlockDevice> ConnectAsync(ScriptedServer server) =>
        NbdBlockDevice.ConnectAsync(NbdEndPoint.Unix(server.Path), new NbdClientOptions { ReconnectDelay = TimeSpan.FromMilliseconds(10) });

    private static byte[] Filled(int length, byte value)
    {
        byte[] data = new byte[length];
        data.AsSpan().Fill(value);
        return data;
    }
}
