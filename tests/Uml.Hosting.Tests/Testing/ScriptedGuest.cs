using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Uml.Core.Machine;
using Uml.Devices.Consoles;

namespace Uml.Hosting.Tests.Testing;

/// <summary>What the host of a shell sent: a letter, an argument, a number, and the bytes of an upload.</summary>
internal sealed record Frame(char Kind, string Argument, int Number, byte[] Body);

/// <summary>
/// The guest's side of a shell on a console, without a guest. It knows the protocol's secret words, as a hostile guest may, keeps
/// to the protocol where it is not told otherwise, and runs nothing: <see cref="OnRun"/> and <see cref="OnFrame"/> say what it answers.
/// </summary>
internal sealed partial class ScriptedGuest : IDisposable
{
    private readonly CancellationTokenSource _end = new();
    private readonly SemaphoreSlim _ready = new(0);
    private readonly MemoryStream _upload = new();
    private readonly List<byte> _received = [];
    private readonly Thread _thread;

    public ScriptedGuest()
    {
        OnFrame = Keep;
        Console = new InMemoryConsoleChannel(new InMemoryConsoleOptions { DefaultTimeout = TimeSpan.FromSeconds(30) });
        Console.Attach(() => _ready.Release());
        _thread = new Thread(Run) { Name = "scripted guest", IsBackground = true };
        _thread.Start();
    }

    public InMemoryConsoleChannel Console { get; }

    /// <summary>Answers a frame.</summary>
    public Action<Frame> OnFrame { get; set; }

    /// <summary>What a run prints, and its exit code, given the script.</summary>
    public Func<string, (byte[] Output, string Code)> OnRun { get; set; } = _ => ([], "0");

    /// <summary>The directory that the loop tells; null when the loop never starts.</summary>
    public string? Directory { get; init; } = "/tmp/d";

    /// <summary>What events begin with; empty before a shell was attached.</summary>
    public string Marker { get; private set; } = "";

    /// <summary>Cancelled when the guest is disposed.</summary>
    public CancellationToken Ended => _end.Token;

    /// <summary>What a guest that means well answers.</summary>
    public void Keep(Frame frame)
    {
        switch (frame.Kind)
        {
            case 'n':
                _upload.SetLength(0);
                Tell('a', frame.Number, "0");
                break;
            case 'w':
                _upload.Write(frame.Body);
                Tell('a', frame.Number, "0");
                break;
            case 'r':
                Tell('b', frame.Number, "");
                (byte[] output, string code) = OnRun(Encoding.UTF8.GetString(_upload.ToArray()));
                Print(output);
                Tell('e', frame.Number, code);
                break;
            default:
                Tell('e', frame.Number, "143");
                break;
        }
    }

    /// <summary>Prints an event.</summary>
    public void Tell(char kind, int number, string value) => Print(string.Create(CultureInfo.InvariantCulture, $"{Marker}{kind}{number}:{value};"));

    public void Print(string text) => Print(Encoding.UTF8.GetBytes(text));

    /// <summary>Prints, as fast as the console takes it.</summary>
    public void Print(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            _end.Token.ThrowIfCancellationRequested();
            int accepted = Console.Write(bytes[..Math.Min(bytes.Length, 4096)]);
            bytes = bytes[accepted..];
            if (accepted == 0)
            {
                _ready.Wait(_end.Token);
            }
        }
    }

    /// <summary>Prints over and over, until the host sends a frame.</summary>
    public Frame FloodUntilFrame(ReadOnlySpan<byte> piece)
    {
        Frame? frame;
        while (!TryTakeFrame(out frame))
        {
            Print(piece);
        }

        return frame!;
    }

    /// <summary>Waits for the host's next frame.</summary>
    public Frame TakeFrame()
    {
        Frame? frame;
        while (!TryTakeFrame(out frame))
        {
            _ready.Wait(_end.Token);
        }

        return frame!;
    }

    /// <summary>The machine ends.</summary>
    public void PowerOff() =>
        ((IMachineExitInterpreter)Console).Interpret(new MachineExit(MachineExitReason.PowerOff, 0, "The guest powered off."));

    public void Dispose()
    {
        _end.Cancel();
        _thread.Join();
        _end.Dispose();
        _upload.Dispose();
    }

    [GeneratedRegex("printf %s ([0-9a-f]{8})''([0-9a-f]{24})'a0:;'; .*dd bs=([0-9]+) ")]
    private static partial Regex FirstLine();

    private void Run()
    {
        try
        {
            Print("# ");
            Match first = FirstLine().Match(Encoding.ASCII.GetString(Take(TakeLineLength())));
            Marker = first.Groups[1].Value + first.Groups[2].Value;
            Tell('a', 0, "");
            Take(int.Parse(first.Groups[3].Value, CultureInfo.InvariantCulture));
            if (Directory is not null)
            {
                Tell('a', 1, Directory);
            }

            while (true)
            {
                Frame frame = TakeFrame();
                OnFrame(frame);
            }
        }
        catch (OperationCanceledException)
        {
            // The test is over.
        }
    }

    private bool TryTakeFrame(out Frame? frame)
    {
        frame = null;
        Receive();
        int end = _received.IndexOf((byte)'\n');
        if (end < 0)
        {
            return false;
        }

        string[] words = Encoding.ASCII.GetString([.. _received[..end]]).Split(' ');
        int body = words[1] == "w" ? int.Parse(words[2], CultureInfo.InvariantCulture) : 0;
        Take(end + 1);
        frame = new Frame(words[1][0], words[2], int.Parse(words[3], CultureInfo.InvariantCulture), Take(body));
        return true;
    }

    private int TakeLineLength()
    {
        while (_received.IndexOf((byte)'\n') < 0)
        {
            _ready.Wait(_end.Token);
            Receive();
        }

        return _received.IndexOf((byte)'\n') + 1;
    }

    private byte[] Take(int count)
    {
        while (_received.Count < count)
        {
            _ready.Wait(_end.Token);
            Receive();
        }

        byte[] taken = [.. _received[..count]];
        _received.RemoveRange(0, count);
        return taken;
    }

    private void Receive()
    {
        byte[] buffer = new byte[4096];
        int count;
        while ((count = Console.Read(buffer)) > 0)
        {
            _received.AddRange(buffer.AsSpan(0, count));
        }
    }
}
