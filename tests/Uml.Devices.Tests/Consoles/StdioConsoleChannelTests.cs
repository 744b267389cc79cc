using System.IO.Pipes;
using Uml.Devices.Consoles;

namespace Uml.Devices.Tests.Consoles;

/// <summary>The stdio console on pipes instead of the process's own streams.</summary>
[TestFixture]
[Platform("Linux")]
[CancelAfter(30_000)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class StdioConsoleChannelTests : IDisposable
{
    private readonly AnonymousPipeServerStream _input = new(PipeDirection.Out);
    private readonly AnonymousPipeServerStream _output = new(PipeDirection.In);
    private readonly SemaphoreSlim _ready = new(0);
    private StdioConsoleChannel _console = null!;

    public void Dispose()
    {
        _console.Dispose();
        _input.Dispose();
        _output.Dispose();
    }

    [Test]
    public async Task Held_input_waits_in_the_host_without_growing_and_comes_whole_when_it_is_released(CancellationToken token)
    {
        Attach(new StdioConsoleOptions { HoldsInput = true });
        byte[] sent = new byte[1_000_000];
        new Random(1).NextBytes(sent);
        long written = 0;
        Task typing = Task.Run(
            async () =>
            {
                for (; written < sent.Length; written += 1000)
                {
                    await _input.WriteAsync(sent.AsMemory((int)written, 1000), token);
                }
            },
            token);
        long before;
        do
        {
            before = Interlocked.Read(ref written);
            await Task.Delay(100, token);
        }
        while (Interlocked.Read(ref written) != before);

        // 64 KiB here, 64 KiB in the pipe, and what is on its way.
        Assert.That(before, Is.InRange(64 << 10, 192 << 10));
        Assert.That(_console.Read(new byte[10]), Is.Zero);
        Parallel.For(0, 4, _ => _console.ReleaseInput());
        Assert.That(await ReadAsync(sent.Length, token), Is.EqualTo(sent));
        await typing;
    }

    [Test]
    public void Input_that_is_never_released_holds_up_no_disposal()
    {
        Attach(new StdioConsoleOptions { HoldsInput = true });
        _input.Write(new byte[60_000]);
        Parallel.For(0, 4, _ => _console.Dispose());
        Assert.That(_console.ReleaseInput, Throws.Nothing);
    }

    [Test]
    public async Task The_end_of_input_waits_with_the_input(CancellationToken token)
    {
        Attach(new StdioConsoleOptions { HoldsInput = true });
        _input.Write("x"u8);
        _input.SafePipeHandle.Dispose();
        await Task.Delay(50, token);
        Assert.That(_console.Read(new byte[10]), Is.Zero);
        _console.ReleaseInput();
        Assert.That(await ReadAsync(3, token), Is.EqualTo(new byte[] { (byte)'x', (byte)'\n', 4 }));
    }

    [Test]
    public async Task A_guest_that_outlives_its_console_reads_what_had_come_and_writes_into_nothing(CancellationToken token)
    {
        Attach(new StdioConsoleOptions());
        _input.Write(new byte[100]);
        Assert.That(await ReadAsync(1, token), Is.EqualTo(new byte[1]));
        _console.Dispose();
        Assert.That(() => _console.Read(new byte[100]), Throws.Nothing);
        for (int i = 0; i < 100; i++)
        {
            Assert.That(_console.Write(new byte[4096]), Is.EqualTo(4096), "the guest would wait for ever");
        }
    }

    [Test]
    public async Task Disposing_while_the_guest_reads_and_writes_disturbs_neither(CancellationToken token)
    {
        Attach(new StdioConsoleOptions());
        Task typing = Task.Run(() => Write(_input), token);
        Task reading = Task.Run(
            async () =>
            {
                while (await _output.ReadAsync(new byte[4096], token) > 0)
                {
                }
            },
            token);
        Task guest = Task.Run(
            () =>
            {
                byte[] buffer = new byte[16];
                for (int i = 0; i < 300_000; i++)
                {
                    _console.Write(buffer.AsSpan(0, _console.Read(buffer)));
                }
            },
            token);
        await Task.Delay(20, token);
        _console.Dispose();
        await guest;
        _input.DisposeLocalCopyOfClientHandle();
        await typing;
        _output.DisposeLocalCopyOfClientHandle();
        await reading;
    }

    private static void Write(AnonymousPipeServerStream pipe)
    {
        try
        {
            while (true)
            {
                pipe.Write(new byte[1000]);
            }
        }
        catch (IOException)
        {
            // Nobody reads any more.
        }
    }

    private void Attach(StdioConsoleOptions options)
    {
        _console = new StdioConsoleChannel(
            options, (int)_input.ClientSafePipeHandle.DangerousGetHandle(), (int)_output.ClientSafePipeHandle.DangerousGetHandle());
        _console.Attach(() => _ready.Release());
    }

    private async Task<byte[]> ReadAsync(int count, CancellationToken token)
    {
        byte[] received = new byte[count];
        for (int done = 0; done < count;)
        {
            int taken = _console.Read(received.AsSpan(done, Math.Min(16, count - done)));
            done += taken;
            if (taken == 0)
            {
                await _ready.WaitAsync(token);
            }
        }

        return received;
    }
}
