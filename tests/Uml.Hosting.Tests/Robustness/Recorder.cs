using System.Globalization;
using System.Text;
using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Devices.Consoles;

namespace Uml.Hosting.Tests.Robustness;

/// <summary>A console that writes down what came when, in guest time.</summary>
internal sealed class Recorder() : StatelessDevice("recorder"), IConsoleChannel
{
    private readonly StringBuilder _text = new();
    private readonly StringBuilder _bytes = new();
    private IMachineClock? _clock;

    /// <summary>What came, without when.</summary>
    public string Bytes => _bytes.ToString();

    public override void Attach(IMachineContext machine) => _clock = machine.Clock;

    public void Attach(Action ready)
    {
    }

    public int Read(Span<byte> destination) => 0;

    public int Write(ReadOnlySpan<byte> source)
    {
        _bytes.Append(Convert.ToHexString(source));
        _text.Append(CultureInfo.InvariantCulture, $"{_clock!.Nanoseconds}: {Convert.ToHexString(source)}\n");
        return source.Length;
    }

    public override string ToString() => _text.ToString();
}
