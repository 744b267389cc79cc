using System.Globalization;
using System.Runtime.InteropServices;
using Iced.Intel;
using Uml.Differential.Tests.Comparison;
using Uml.Differential.Tests.Engines;
using Uml.Differential.Tests.Generation;

namespace Uml.Differential.Tests.Vectors;

/// <summary>
/// What a processor made of one instruction, from a file of such lines: width, form, bytes, then what it started from and what it left, as
/// far as that is neither zero nor what the others start from. <c>#14:7:21002000</c> is an exception with error code and CR2.
/// </summary>
internal sealed class RecordedVector
{
    private static readonly string[] s_registers =
        ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];

    private RecordedVector(TestCase test, Outcome outcome) => (Test, Outcome) = (test, outcome);

    public TestCase Test { get; }

    /// <summary>What the processor left.</summary>
    public Outcome Outcome { get; }

    /// <summary>The vectors of a file that is embedded in this assembly; lines that begin with # are comments.</summary>
    public static IEnumerable<RecordedVector> Read(string name)
    {
        using Stream stream = typeof(RecordedVector).Assembly.GetManifestResourceStream(name)
            ?? throw new FileNotFoundException($"There is no embedded resource {name}.");
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } line)
        {
            if (line.Length > 0 && line[0] != '#')
            {
                yield return Parse(line);
            }
        }
    }

    /// <summary>A state with nothing in it.</summary>
    private static MachineSnapshot Start() => new()
    {
        Rip = Layout.Program,
        Rflags = 0x202,
        Mxcsr = 0x1F80,
        ControlWord = 0x37F,
        Vector = MachineSnapshot.Completed,
    };

    private static RecordedVector Parse(string line)
    {
        string[] parts = line.Split('|');
        string[] head = parts[0].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        int bitness = int.Parse(head[0], CultureInfo.InvariantCulture);
        byte[] code = Convert.FromHexString(head[2]);
        var test = new TestCase { Bitness = bitness, Seed = 0, Form = Enum.Parse<Code>(head[1]), Steps = [new Step(code)] };
        test.Memory.AsSpan().Clear();
        test.State = Start();
        Apply(parts[1], ref test.State, test.Memory);
        var outcome = new Outcome { State = test.State };
        test.Memory.CopyTo(outcome.Memory, 0);
        outcome.State.Rip += (ulong)code.Length;
        outcome.State.Ds = outcome.State.Es = bitness == 32 ? Layout.UserData : (ushort)0;
        Apply(parts[2], ref outcome.State, outcome.Memory);
        return new RecordedVector(test, outcome);
    }

    private static void Apply(string text, ref MachineSnapshot state, byte[] memory)
    {
        foreach (string field in text.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            if (field[0] == '#')
            {
                string[] exception = field[1..].Split(':');
                state.Vector = int.Parse(exception[0], CultureInfo.InvariantCulture);
                state.ErrorCode = (uint)Number(exception[1]);
                state.Cr2 = Number(exception[2]);
                state.Rip = Layout.Program;
                continue;
            }

            string[] pair = field.Split('=');
            if (pair[0][0] == '[')
            {
                Convert.FromHexString(pair[1]).CopyTo(memory, Layout.OffsetOf(Number(pair[0][1..^1])));
            }
            else
            {
                Set(pair[0], pair[1], ref state);
            }
        }
    }

    private static void Set(string name, string value, ref MachineSnapshot state)
    {
        int register = Array.IndexOf(s_registers, name);
        if (register >= 0)
        {
            state.Gprs[register] = Number(value);
            return;
        }

        if (name.StartsWith("ymm", StringComparison.Ordinal))
        {
            // From the highest byte on, as registers are written.
            byte[] bytes = Convert.FromHexString(value);
            bytes.AsSpan().Reverse();
            int slot = int.Parse(name[3..], CultureInfo.InvariantCulture);
            bytes.AsSpan(0, 16).CopyTo(state.Xmm(slot));
            bytes.AsSpan(16).CopyTo(state.UpperYmm(slot));
            return;
        }

        if (name.StartsWith("st", StringComparison.Ordinal))
        {
            Span<byte> st = state.St(name[2] - '0');
            MemoryMarshal.Write(st[8..], (ushort)Number(value[..4]));
            MemoryMarshal.Write(st, Number(value[4..]));
            return;
        }

        ulong number = Number(value);
        switch (name)
        {
            case "rip": state.Rip = number; break;
            case "rflags": state.Rflags = number; break;
            case "gs": state.GsBase = number; break;
            case "es": state.Es = (ushort)number; break;
            case "ds": state.Ds = (ushort)number; break;
            case "mxcsr": state.Mxcsr = (uint)number; break;
            case "fcw": state.ControlWord = (ushort)number; break;
            case "fsw": state.StatusWord = (ushort)number; break;
            case "tags": state.Tags = (byte)number; break;
            default: throw new FormatException($"A vector has no {name}.");
        }
    }

    private static ulong Number(string text) => ulong.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
