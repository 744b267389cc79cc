using System.Runtime.InteropServices;
using Uml.Devices.Interop;

namespace Uml.Devices.Consoles;

/// <summary>Writes to a file descriptor from a thread of its own, so that a reader who does not read blocks only that thread.</summary>
internal sealed unsafe class DescriptorWriter : IDisposable
{
    /// <summary>How long <see cref="Dispose"/> waits for a reader that takes nothing at all.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly object _sync = new();
    private readonly int _descriptor;
    private readonly ByteRing _output;
    private readonly Action _ready;
    private readonly Action<IOException>? _onFailure;
    private readonly Thread _thread;
    private bool _wasFull;
    private bool _isEnding;
    private long _written;

    /// <param name="descriptor">Where to write.</param>
    /// <param name="capacity">Bytes that wait for a slow reader.</param>
    /// <param name="ready">Called when there is room again.</param>
    /// <param name="onFailure">Called once, on the writer's thread, with the reason why writing has failed for good.</param>
    public DescriptorWriter(int descriptor, int capacity, Action ready, Action<IOException>? onFailure = null)
    {
        _onFailure = onFailure;
        _descriptor = descriptor;
        _output = new ByteRing(capacity);
        _ready = ready;
        _thread = new Thread(Run) { Name = "uml console output", IsBackground = true };
        _thread.Start();
    }

    /// <summary>
    /// Accepts as many bytes as there is room for; if these were not all, the ready callback is called when there is room again. After
    /// <see cref="Dispose"/> it accepts and drops everything, so that a guest that continues to write does not delay it.
    /// </summary>
    public int Write(ReadOnlySpan<byte> source)
    {
        lock (_sync)
        {
            if (_isEnding)
            {
                return source.Length;
            }

            int accepted = _output.Write(source);
            _wasFull |= accepted < source.Length;
            Monitor.PulseAll(_sync);
            return accepted;
        }
    }

    /// <summary>Writes the accepted bytes, unless the reader takes none, and ends the thread.</summary>
    public void Dispose()
    {
        if (!_thread.IsAlive)
        {
            // Disposed before: the thread ends for no other reason.
            return;
        }

        // A machine's disposal does not wait for a slow reader. The process does, in order that output is not cut off.
        _thread.IsBackground = false;
        lock (_sync)
        {
            _isEnding = true;
            Monitor.PulseAll(_sync);
        }

        long before;
        do
        {
            before = Volatile.Read(ref _written);
        }
        while (!_thread.Join(Patience) && Volatile.Read(ref _written) != before);

        if (_thread.IsAlive)
        {
            _thread.IsBackground = true;
        }
    }

    private void Run()
    {
        byte[] chunk = new byte[16 << 10];
        while (Take(chunk, out int count))
        {
            if (!WriteAll(chunk.AsSpan(0, count)))
            {
                _onFailure?.Invoke(new IOException($"Standard output cannot be written: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}."));
                Drop();
                return;
            }
        }
    }

    private bool Take(byte[] chunk, out int count)
    {
        bool hasRoomAgain;
        lock (_sync)
        {
            while (_output.Count == 0 && !_isEnding)
            {
                Monitor.Wait(_sync);
            }

            count = _output.Read(chunk);
            hasRoomAgain = _wasFull;
            _wasFull = false;
        }

        if (hasRoomAgain)
        {
            _ready();
        }

        return count > 0;
    }

    private bool WriteAll(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            nint count;

            // SAFETY: the span is pinned for the call.
            fixed (byte* pointer = bytes)
            {
                count = Unistd.Write(_descriptor, pointer, (nuint)bytes.Length);
            }

            if (count < 0)
            {
                if (!Unistd.IsTransient(Marshal.GetLastPInvokeError()))
                {
                    return false;
                }

                WaitForRoom();
                continue;
            }

            bytes = bytes[(int)count..];
            Volatile.Write(ref _written, _written + count);
        }

        return true;
    }

    private void WaitForRoom()
    {
        var descriptor = new PollDescriptor { Descriptor = _descriptor, Events = Poll.Out };

        // SAFETY: one element on the stack.
        Poll.Wait(&descriptor, 1, 1000);
    }

    /// <summary>Output goes nowhere until the guest has ended, so that it does not wait for room.</summary>
    private void Drop()
    {
        byte[] sink = new byte[4096];
        while (Take(sink, out _))
        {
        }
    }
}
