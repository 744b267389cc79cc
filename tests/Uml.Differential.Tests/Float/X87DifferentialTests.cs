using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Uml.Core.Cpu.Semantics;

namespace Uml.Differential.Tests.Float;

/// <summary>The model's x87 against the CPU the test runs on: the whole FNSAVE image but the pointers, memory operand, AX and EFLAGS.</summary>
[NonParallelizable]
public sealed class X87DifferentialTests
{
    private const ulong ComparedFlags = 0x45;

    [SetUp]
    public void RequireHardware()
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64 || !OperatingSystem.IsLinux())
        {
            Assert.Ignore("Compares with the real CPU: needs Linux on an x64 processor.");
        }
    }

    [TestCaseSource(typeof(X87Forms), nameof(X87Forms.All))]
    public void Model_equals_the_processor(object parameter)
    {
        int failures = CountDifferences((X87Form)parameter, report: true);
        Assert.That(failures, Is.Zero, "cases where the model and the processor differ; see the output");
    }

    [Test]
    public void A_wrong_model_is_noticed()
    {
        X87Form[] forms = [.. X87Forms.All()];
        X87Form wrong = forms.First(f => f.Name == "fadd st0,st1") with { Model = forms.First(f => f.Name == "fsub st0,st1").Model };
        Assert.That(CountDifferences(wrong, report: false), Is.Not.Zero);
    }

    private static int CountDifferences(X87Form form, bool report)
    {
        Random random = DifferentialSettings.CreateRandom(form.Name);
        using var thunk = new X87Thunk(form.Emit);
        int failures = 0;
        for (int i = 0; i < DifferentialSettings.Count && failures < 6; i++)
        {
            X87Frame input = X87Inputs.Create(form.Memory, random);
            X87Frame native = input;
            thunk.Run(ref native);
            X87Frame model = RunModel(form, input);
            if (!Same(native, model))
            {
                failures++;
                if (report)
                {
                    TestContext.Out.WriteLine(
                        $"case {i}\n input {Show(input.Before, input)}\n cpu   {Show(native.After, native)}\n model {Show(model.After, model)}");
                }
            }
        }

        return failures;
    }

    private static X87Frame RunModel(X87Form form, X87Frame input)
    {
        X87State state = default;
        X87.Restore(ref state, X87ImageFormat.Protected32, MemoryMarshal.CreateReadOnlySpan(ref input.Before[0], 108));
        form.Model(ref state, ref input);
        X87.Save(ref state, X87ImageFormat.Protected32, MemoryMarshal.CreateSpan(ref input.After[0], 108));
        return input;
    }

    private static bool Same(X87Frame native, X87Frame model)
    {
        ReadOnlySpan<byte> cpu = MemoryMarshal.CreateReadOnlySpan(ref native.After[0], 108);
        ReadOnlySpan<byte> ours = MemoryMarshal.CreateReadOnlySpan(ref model.After[0], 108);

        // Bytes 12 to 27 are FIP, FCS, FOP, FDP and FDS, which processors keep differently.
        return cpu[..12].SequenceEqual(ours[..12]) && cpu[28..].SequenceEqual(ours[28..]) && native.Memory == model.Memory
            && native.Rax == model.Rax && (native.Flags & ComparedFlags) == (model.Flags & ComparedFlags);
    }

    private static string Show(X87Image image, X87Frame frame)
    {
        ReadOnlySpan<byte> bytes = MemoryMarshal.CreateReadOnlySpan(ref image[0], 108);
        string text = $"cw={BinaryPrimitives.ReadUInt16LittleEndian(bytes):X4} sw={BinaryPrimitives.ReadUInt16LittleEndian(bytes[4..]):X4} "
            + $"tw={BinaryPrimitives.ReadUInt16LittleEndian(bytes[8..]):X4} mem={frame.Memory:X32} rax={frame.Rax:X} f={frame.Flags & ComparedFlags:X}";
        for (int i = 0; i < 8; i++)
        {
            ReadOnlySpan<byte> register = bytes[(28 + (10 * i))..];
            text += $" {BinaryPrimitives.ReadUInt16LittleEndian(register[8..]):X4}:{BinaryPrimitives.ReadUInt64LittleEndian(register):X16}";
        }

        return text;
    }
}
