using Uml.Differential.Tests.Engines;
using Uml.Differential.Tests.Native;

namespace Uml.Differential.Tests.Vectors;

/// <summary>A processor that is not there: says of recorded cases what it did.</summary>
internal sealed class RecordedProcessor(ProcessorVendor vendor) : IExecutor
{
    public string Name => "recorded";

    public ProcessorVendor Vendor => vendor;

    /// <summary>The case that is asked for.</summary>
    public RecordedVector? Current { get; set; }

    public void Execute(ref MachineSnapshot state, ReadOnlySpan<byte> code, Span<byte> memory)
    {
        if (Current is not { } vector || !code.SequenceEqual(vector.Test.Code) || state.Rflags != vector.Test.State.Rflags)
        {
            throw new InvalidOperationException("This case was not recorded.");
        }

        state = vector.Outcome.State;
        vector.Outcome.Memory.CopyTo(memory);
    }

    public void Dispose()
    {
    }
}
