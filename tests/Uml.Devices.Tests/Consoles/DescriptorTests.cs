using System.IO.Pipes;
using Uml.Devices.Consoles;

namespace Uml.Devices.Tests.Consoles;

/// <summary>The threads behind the stdio console, on pipes.</summary>
[TestFixture]
[Platform("Linux")]
[CancelAfter(30_000)]
public sealed class DescriptorTests
{
    [Test]
    public async Task Input_is_read_only_as_fast_as_it_is_taken(CancellationToken token)
    {
        using var pipe = new AnonymousPipeServerStream(PipeDirection.Out);
        var received = new List<byte>();
        int room = 3;
        using var reader = new DescriptorReader(
            Descriptor(pipe.ClientSafePipeHandle),
            bytes =>
            {
                lock (received)
                {
                    int taken = Math.Min(room, bytes.Length);
                    received.AddRange(bytes[..taken]);
                    room -= taken;
                    return taken;
                }
            },
            null);
        await pipe.WriteAsync(new byte[] { 1, 2, 3, 4, 5 }, token);
        await WaitForAsync(() => received.Count == 3, token);
        lock (received)
        {
            room = 10;
        }

        reader.Continue();
        await WaitForAsync(() => received.Count == 5, token);
        Assert.That(received, Is.EqualTo(new byte[] { 1, 2, 3, 4, 5 }));
    }

    [Test]
    public async Task The_end_of_input_is_told_again_and_again(CancellationToken token)
    {
        int ends = 0;
        using var pipe = new AnonymousPipeServerStream(PipeDirection.Out);
        using var reader = new DescriptorReader(Descriptor(pipe.ClientSafePipeHandle), bytes => bytes.Length, () => Interlocked.Increment(ref ends));
        Assert.That(ends, Is.Zero);
        CloseWriter(pipe);
        await WaitForAsync(() => Volatile.Read(ref ends) >= 2, token);
    }

    [Test]
    public void A_reader_ends_while_nobody_types()
    {
        using var pipe = new AnonymousPipeServerStream(PipeDirection.Out);
        var reader = new DescriptorReader(Descriptor(pipe.ClientSafePipeHandle), bytes => bytes.Length, null);
        Assert.That(reader.Dispose, Throws.Nothing);
    }

    [Test]
    public async Task Output_that_nobody_reads_holds_up_nobody(CancellationToken token)
    {
        using var pipe = new AnonymousPipeServerStream(PipeDirection.In);
        int ready = 0;
        using var writer = new DescriptorWriter(Descriptor(pipe.ClientSafePipeHandle), 1000, () => Interlocked.Increment(ref ready));
        byte[] chunk = new byte[500];
        long accepted = 0;
        int last;
        do
        {
            last = writer.Write(chunk);
            accepted += last;
            await Task.Delay(1, token);
        }
        while (last > 0);

        byte[] buffer = new byte[1 << 16];
        long read = 0;
        while (read < accepted)
        {
            read += await pipe.ReadAsync(buffer, token);
        }

        await WaitForAsync(() => Volatile.Read(ref ready) > 0, token);
        Assert.That(writer.Write(chunk), Is.EqualTo(500));
    }

    [Test]
    public async Task Accepted_output_is_written_before_the_end(CancellationToken token)
    {
        using var pipe = new AnonymousPipeServerStream(PipeDirection.In);
        var writer = new DescriptorWriter(Descriptor(pipe.ClientSafePipeHandle), 1000, () => { });
        Assert.That(writer.Write("goodbye"u8), Is.EqualTo(7));
        writer.Dispose();
        byte[] buffer = new byte[100];
        Assert.That(await pipe.ReadAsync(buffer, token), Is.EqualTo(7));
    }

    [Test]
    public void Output_goes_nowhere_when_its_reader_is_gone()
    {
        var pipe = new AnonymousPipeServerStream(PipeDirection.In);
        int descriptor = Descriptor(pipe.ClientSafePipeHandle);
        using var writer = new DescriptorWriter(descriptor, 1000, () => { });
        pipe.SafePipeHandle.Dispose();
        long accepted = 0;
        for (int i = 0; i < 5000 && accepted < 100_000; i++)
        {
            accepted += writer.Write(new byte[500]);
            Thread.Sleep(1);
        }

        Assert.That(accepted, Is.GreaterThanOrEqualTo(100_000));
        pipe.Dispose();
    }

    [Test]
    public async Task A_full_disk_is_told_once(CancellationToken token)
    {
        using FileStream full = File.OpenWrite("/dev/full");
        List<string> failures = [];
        using var writer = new DescriptorWriter(Descriptor(full.SafeFileHandle), 1000, () => { }, failure => failures.Add(failure.Message));
        writer.Write("x"u8);
        await WaitForAsync(() => failures.Count > 0, token);
        writer.Write("y"u8);
        writer.Dispose();
        Assert.That(failures, Has.Count.EqualTo(1));
        Assert.That(failures[0], Does.StartWith("Standard output cannot be written: No space left on device"));
    }

    [Test]
    public void A_reader_that_has_gone_is_told_before_the_end()
    {
        using var pipe = new AnonymousPipeServerStream(PipeDirection.In);
        int descriptor = Descriptor(pipe.ClientSafePipeHandle);
        string? told = null;
        using var writer = new DescriptorWriter(descriptor, 1000, () => { }, failure => told = failure.Message);
        pipe.SafePipeHandle.Dispose();
        writer.Write("x"u8);
        writer.Dispose();
        Assert.That(told, Does.Contain("Broken pipe"));
    }

    private static int Descriptor(System.Runtime.InteropServices.SafeHandle handle) => (int)handle.DangerousGetHandle();

    private static void CloseWriter(AnonymousPipeServerStream pipe) => pipe.SafePipeHandle.Dispose();

    private static async Task WaitForAsync(Func<bool> condition, CancellationToken token)
    {
        while (!condition())
        {
            await Task.Delay(5, token);
        }
    }
}
