using System.Runtime.InteropServices;
using Uml.Devices.Interop;

namespace Uml.Devices.Consoles;

/// <summary>
/// Reads from a file descriptor on a thread of its own, only as fast as the consumer takes the data, and without reading ahead when it
/// ends.
/// </summary>
internal sealed unsafe class DescriptorReader : IDisposable
{
    private const int EndIntervalMilliseconds = 1000;

    // Not disposed, because a guest may outlive its console and read what had come: its handle goes with it.
    private readonly AutoResetEvent _continue = new(false);
    private readonly int _descriptor;
    private readonly InputHandler _onInput;
    private readonly Action? _onEnd;
    private readonly Thread _thread;
    private readonly int _wakeRead;
    private readonly int _wakeWrite;
    private volatile bool _isEnding;

    /// <summary>Takes input on the reader's thread.</summary>
    /// <returns>The number of bytes taken; the others are offered again after <see cref="Continue"/>.</returns>
    public delegate int InputHandler(ReadOnlySpan<byte> bytes);

    /// <param name="descriptor">What to read.</param>
    /// <param name="onInput">Takes the input.</param>
    /// <param name="onEnd">Called at the end of the input, and every second after it.</param>
    public DescriptorReader(int descriptor, InputHandler onInput, Action? onEnd)
    {
        _descriptor = descriptor;
        _onInput = onInput;
        _onEnd = onEnd;
        int* wake = stackalloc int[2];

        // SAFETY: two elements, as pipe wants them.
        if (Unistd.Pipe(wake) != 0)
        {
            throw new IOException($"No pipe for the console (errno {Marshal.GetLastPInvokeError()}); the process has too many open files.");
        }

        (_wakeRead, _wakeWrite) = (wake[0], wake[1]);
        _thread = new Thread(Run) { Name = "uml console input", IsBackground = true };
        _thread.Start();
    }

    /// <summary>Continues reading, after the consumer has room again.</summary>
    public void Continue() => _continue.Set();

    public void Dispose()
    {
        _isEnding = true;
        _continue.Set();
        byte wake = 0;

        // SAFETY: one byte on the stack; the pipe is open until the thread has ended.
        Unistd.Write(_wakeWrite, &wake, 1);
        _thread.Join();
        Unistd.Close(_wakeRead);
        Unistd.Close(_wakeWrite);
    }

    private void Run()
    {
        byte[] buffer = new byte[4096];
        while (WaitForInput())
        {
            int count = Read(buffer);
            if (count == 0)
            {
                RepeatEnd();
                return;
            }

            Deliver(buffer.AsSpan(0, count));
        }
    }

    private void Deliver(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty && !_isEnding)
        {
            int taken = _onInput(bytes);
            bytes = bytes[taken..];
            if (taken == 0)
            {
                _continue.WaitOne();
            }
        }
    }

    private void RepeatEnd()
    {
        var wake = new PollDescriptor { Descriptor = _wakeRead, Events = Poll.In };
        while (_onEnd is not null && !_isEnding)
        {
            _onEnd();

            // SAFETY: one element on the stack.
            Poll.Wait(&wake, 1, EndIntervalMilliseconds);
        }
    }

    private bool WaitForInput()
    {
        PollDescriptor* descriptors = stackalloc PollDescriptor[2];
        descriptors[0] = new PollDescriptor { Descriptor = _descriptor, Events = Poll.In };
        descriptors[1] = new PollDescriptor { Descriptor = _wakeRead, Events = Poll.In };
        while (!_isEnding)
        {
            // SAFETY: two elements on the stack.
            if (Poll.Wait(descriptors, 2, Timeout.Infinite) > 0 && descriptors[0].Returned != 0)
            {
                return !_isEnding;
            }
        }

        return false;
    }

    /// <summary>Reads the available bytes; 0 at the end of the input and on errors, for example when the terminal was closed.</summary>
    private int Read(byte[] buffer)
    {
        while (true)
        {
            nint count;

            // SAFETY: the buffer is pinned for the call.
            fixed (byte* pointer = buffer)
            {
                count = Unistd.Read(_descriptor, pointer, (nuint)buffer.Length);
            }

            if (count >= 0)
            {
                return (int)count;
            }

            if (_isEnding || !Unistd.IsTransient(Marshal.GetLastPInvokeError()))
            {
                return 0;
            }
        }
    }
}
