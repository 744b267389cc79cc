using Iced.Intel;
using Uml.Differential.Tests.Comparison;
using Uml.Differential.Tests.Engines;
using Uml.Differential.Tests.Generation;
using Uml.Differential.Tests.Native;

namespace Uml.Differential.Tests.Running;

/// <summary>Runs cases on two engines, the first being the reference, and explains what differs.</summary>
internal sealed class Differ(IExecutor reference, IExecutor subject)
{
    private const uint Ac = 0x4_0000;

    /// <summary>Choices of a processor that one case may come to, one behind the other.</summary>
    private const int MaximumChoices = 4;

    private readonly Outcome _expected = new(), _actual = new();

    public long CasesRun { get; private set; }

    /// <summary>Looks for traces of the host's memory in what the subject leaves, and of the subject in the host's memory; null when there are none.</summary>
    public Func<TestCase, Outcome, string?>? FindTrace { get; init; }

    /// <summary>Whether the last case left one.</summary>
    public bool LeftTrace { get; private set; }

    /// <summary>Number of the first stop that differed in the last case, of engines of ours.</summary>
    public int FirstDifferentStop =>
        reference is VirtualCpuExecutor expected && subject is VirtualCpuExecutor actual ? VirtualCpuExecutor.FirstDifferentStop(expected, actual) : 0;

    /// <summary>The exception that ended the last case in the reference, or <see cref="MachineSnapshot.Completed"/>.</summary>
    public int LastVector => _expected.State.Vector;

    /// <summary>Cases in which the reference gave another answer when it was asked again.</summary>
    public long Recantations { get; private set; }

    /// <summary>Runs a case on both.</summary>
    /// <returns>The differences, empty when the engines agree.</returns>
    /// <remarks>
    /// Where they differ the reference is asked again, and what it says then counts. A processor may be a virtual one: the hypervisor
    /// that maps the program's page when it is first run may emulate the instruction that stands there, and raise #UD for what its
    /// emulator does not know.
    /// </remarks>
    public List<string> Run(TestCase test)
    {
        CasesRun++;
        byte[] code = test.Code;
        Execute(reference, test, code, _expected);
        Execute(subject, test, code, _actual);
        string? trace = FindTrace?.Invoke(test, _actual);
        LeftTrace = trace is not null;
        List<string> differences = Compare(test, code);
        if (differences.Count == 0 && trace is null)
        {
            return differences;
        }

        Execute(reference, test, code, _expected);
        Execute(subject, test, code, _actual);
        List<string> again = Compare(test, code);
        Recantations += again.SequenceEqual(differences) ? 0 : 1;
        if (trace is not null)
        {
            again.Insert(0, trace);
        }

        return again;
    }

    private List<string> Compare(TestCase test, byte[] code)
    {
        List<string> differences = CompareOutcomes(test, code);
        for (int tries = 0; differences.Count > 0 && test.Kind != ProgramKind.Bytes && tries < MaximumChoices; tries++)
        {
            ulong stop = _expected.State.Rip;
            Explanation explanation = Explain(test, code);
            if (explanation == Explanation.None)
            {
                break;
            }

            if (explanation == Explanation.AlignmentChecked)
            {
                test = test.With(test.Steps);
                test.State.Rflags &= ~Ac;
                Execute(reference, test, code, _expected);
                Execute(subject, test, code, _actual);
            }
            else if (test.Form is null)
            {
                // What comes behind is another program's: both stop in front of it.
                code = CutAt(code, stop);
                Execute(reference, test, code, _expected);
                Execute(subject, test, code, _actual);
            }

            differences = CompareOutcomes(test, code);
        }

        return differences;
    }

    /// <summary>Asks the table about the instruction that the reference stopped at, or the only one that there is.</summary>
    private Explanation Explain(TestCase test, byte[] code)
    {
        ProcessorVendor vendor = reference.Vendor != ProcessorVendor.None ? reference.Vendor : subject.Vendor;
        ulong at = test.Form is null ? _expected.State.Rip - test.State.Rip : 0;
        if (vendor == ProcessorVendor.None || at >= (ulong)code.Length || (test.Form is null && _expected.State.Vector < 0))
        {
            return Explanation.None;
        }

        Instruction instruction = Disassembly.Decode(test.Bitness, code[(int)at..]).First();
        return ProcessorChoices.Adjust(vendor, new ChoiceCase(instruction, test.Bitness, test.State, test.Memory, _expected, _actual) { IsProgram = test.Form is null });
    }

    /// <summary>A program with UD2 in place of what is at an address.</summary>
    private static byte[] CutAt(byte[] code, ulong rip)
    {
        byte[] cut = [.. code];
        int offset = (int)(rip - Layout.Program);
        ReadOnlySpan<byte> invalid = [0x0F, 0x0B];
        invalid[..Math.Min(invalid.Length, cut.Length - offset)].CopyTo(cut.AsSpan(offset));
        return cut;
    }

    private List<string> CompareOutcomes(TestCase test, byte[] code)
    {
        List<string> differences = SnapshotComparer.Compare(_expected, _actual, test.Kind == ProgramKind.Bytes ? default : PrepareTolerance(test, code));
        if (reference is VirtualCpuExecutor expected && subject is VirtualCpuExecutor actual)
        {
            differences.AddRange(VirtualCpuExecutor.Compare(expected, actual));
        }

        return differences;
    }

    /// <summary>The report of a case that differs: how to replay it, program, input and differences.</summary>
    public string Explain(TestCase test, List<string> differences) =>
        CaseReport.Write(test, reference.Name, subject.Name, differences);

    private static void Execute(IExecutor engine, TestCase test, byte[] code, Outcome outcome)
    {
        outcome.State = test.State;
        test.Memory.CopyTo(outcome.Memory, 0);
        engine.Execute(ref outcome.State, code, outcome.Memory);
    }

    /// <summary>Combines what the instructions leave undefined, and blanks stored bytes that cannot be compared.</summary>
    private Tolerance PrepareTolerance(TestCase test, byte[] code)
    {
        Tolerance tolerance = default;
        foreach (Instruction instruction in Disassembly.Decode(test.Bitness, code))
        {
            Tolerance own = ProcessorChoices.ToleranceOf(instruction);
            own.AnyFault &= test.Form is not null;
            own.UndefinedStatusWord |= Undefined.StatusWord(instruction);
            tolerance |= own;
            if (test.Form is not null && _expected.State.Vector < 0)
            {
                tolerance.UndefinedFlags = Undefined.Flags(instruction, ref test.State);
            }

            foreach ((int from, int to) in own.IgnoredStore ?? [])
            {
                Blank(test, instruction, from, to);
            }
        }

        return tolerance;
    }

    private void Blank(TestCase test, in Instruction instruction, int from, int to)
    {
        ulong address = Operands.EffectiveAddress(instruction, test.Bitness, ref test.State);
        for (int i = from; i < to; i++)
        {
            int offset = Layout.OffsetOf(address + (ulong)i);
            if (offset >= 0)
            {
                _expected.Memory[offset] = 0;
                _actual.Memory[offset] = 0;
            }
        }
    }
}
