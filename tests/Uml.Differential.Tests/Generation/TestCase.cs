using Iced.Intel;
using Uml.Differential.Tests.Engines;

namespace Uml.Differential.Tests.Generation;

/// <summary>A program with the state it starts from.</summary>
internal sealed class TestCase
{
    public required int Bitness { get; init; }

    public required ulong Seed { get; init; }

    /// <summary>The form of a single-instruction case, null for a sequence.</summary>
    public required Code? Form { get; init; }

    /// <summary>The prefixes that a single instruction got in place of its own, or null.</summary>
    public byte[]? Prefixes { get; init; }

    /// <summary>Which programs a sequence is one of.</summary>
    public ProgramKind Kind { get; set; }

    public IReadOnlyList<Step> Steps { get; set; } = [];

    /// <summary>The data windows; whoever makes the case fills them.</summary>
    public byte[] Memory { get; init; } = GC.AllocateUninitializedArray<byte>(Layout.MemorySize);

    public MachineSnapshot State;

    /// <summary>The linked program; empty when it cannot be linked.</summary>
    public byte[] Code => Step.TryLink(Steps, out byte[] code) ? code : [];

    /// <summary>Bytes of a window, when <paramref name="address"/> lies in one and the length fits.</summary>
    public bool TryGetMemory(ulong address, int length, out Span<byte> bytes)
    {
        int offset = Layout.OffsetOf(address);
        if (offset < 0 || Layout.OffsetOf(address + (ulong)length - 1) != offset + length - 1)
        {
            bytes = default;
            return false;
        }

        bytes = Memory.AsSpan(offset, length);
        return true;
    }

    /// <summary>The same start for another program.</summary>
    public TestCase With(IReadOnlyList<Step> steps)
    {
        var copy = new TestCase { Bitness = Bitness, Seed = Seed, Form = Form, Prefixes = Prefixes, Kind = Kind, Steps = steps, Memory = [.. Memory] };
        copy.State = State;
        return copy;
    }
}
