using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Uml.Core.Cpu.Semantics.Float;
using Uml.Differential.Tests.Comparison;
using Uml.Differential.Tests.Native;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Differential.Tests.Float;

/// <summary>The model's SSE arithmetic against the CPU the test runs on: results, MXCSR, EFLAGS and whether #XM is raised.</summary>
[NonParallelizable]
public sealed class SseDifferentialTests
{
    private const ulong ComparedFlags = 0x8D5 | 0x800;

    [SetUp]
    public void RequireHardware()
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64 || !OperatingSystem.IsLinux() || !Sse41.IsSupported)
        {
            Assert.Ignore("Compares with the real CPU: needs Linux on an x64 processor with SSE4.1.");
        }
    }

    [TestCaseSource(typeof(SseForms), nameof(SseForms.All))]
    public void Model_equals_the_processor(object parameter)
    {
        int failures = CountDifferences((SseForm)parameter, report: true, out _);
        Assert.That(failures, Is.Zero, "cases where the model and the processor differ; see the output");
    }

    [Test]
    public void A_wrong_model_is_noticed_and_unmasked_exceptions_are_met()
    {
        SseForm add = SseForms.All().First(f => f.Name == "addps");
        SseForm sub = SseForms.All().First(f => f.Name == "subps");
        Assert.That(CountDifferences(add with { Model = sub.Model }, report: false, out int faults), Is.Not.Zero);
        Assert.That(faults, Is.Not.Zero);
    }

    [Test]
    public void Approximations_are_within_the_specified_error_of_the_processors()
    {
        using var rcp = new SseThunk(a => a.rcpps(xmm0, xmm1), false);
        using var rsqrt = new SseThunk(a => a.rsqrtps(xmm0, xmm1), false);
        Random random = DifferentialSettings.CreateRandom("rcpps/rsqrtps");
        for (int i = 0; i < DifferentialSettings.Count; i++)
        {
            SseFrame frame = CreateInput(SseOperands.Single, random);
            SseFrame native = frame;
            rcp.Run(ref native);
            AssertClose(native.Destination.AsSingle(), SseFloat.RcpPs(frame.Source.AsSingle()), frame.Source.AsSingle());
            native = frame;
            rsqrt.Run(ref native);
            AssertClose(native.Destination.AsSingle(), SseFloat.RsqrtPs(frame.Source.AsSingle()), frame.Source.AsSingle());
        }
    }

    private static int CountDifferences(SseForm form, bool report, out int faults)
    {
        Random random = DifferentialSettings.CreateRandom(form.Name);
        bool usesMmx = form.Operands is SseOperands.MmxSingle or SseOperands.MmxInteger or SseOperands.MmxDouble;
        using var thunk = new SseThunk(form.Emit, usesMmx);
        bool comparesFlags = form.Name.Contains("comi", StringComparison.Ordinal);
        int failures = 0;
        faults = 0;
        for (int i = 0; i < DifferentialSettings.Count && (failures < 5 || !report); i++)
        {
            SseFrame input = CreateInput(form.Operands, random);
            SseFrame native = input;
            thunk.Run(ref native);
            SseFrame model = input;
            model.Faulted = form.Model(ref model) ? 0u : 1u;
            faults += (int)native.Faulted;
            if (form.Name.StartsWith("dpp", StringComparison.Ordinal) && HostProcessor.Vendor == ProcessorVendor.Intel)
            {
                Outcomes.TakeOtherNan(Bytes(ref native), Bytes(ref model), isDouble: form.Operands == SseOperands.Double);
            }

            if (native.Faulted != model.Faulted || native.Mxcsr != model.Mxcsr || native.Destination != model.Destination
                || native.Gpr != model.Gpr || native.Mmx != model.Mmx
                || (comparesFlags && native.Faulted == 0 && (native.Flags & ComparedFlags) != model.Flags))
            {
                failures++;
                if (report)
                {
                    TestContext.Out.WriteLine($"case {i}\n input {Show(input)}\n cpu   {Show(native)}\n model {Show(model)}");
                }
            }
        }

        return failures;
    }

    private static Span<byte> Bytes(ref SseFrame frame) => MemoryMarshal.AsBytes(new Span<Vector128<ulong>>(ref frame.Destination));

    private static void AssertClose(Vector128<float> native, Vector128<float> model, Vector128<float> source)
    {
        // Each side may be off by 1.5 * 2^-12.
        const double tolerance = 3.0 / 4096;
        for (int lane = 0; lane < 4; lane++)
        {
            uint expected = native.AsUInt32()[lane];
            uint actual = model.AsUInt32()[lane];
            if (float.IsFinite(native[lane]) && native[lane] != 0 && model[lane] != 0)
            {
                Assert.That(
                    (double)model[lane], Is.EqualTo(native[lane]).Within(tolerance * Math.Abs(native[lane])), $"of {source[lane]:R}");
            }
            else if (!(Math.Abs(source[lane]) > 8e37f))
            {
                // Just below the guaranteed tiny range processors may flush or not.
                Assert.That(actual, Is.EqualTo(expected), $"of {source.AsUInt32()[lane]:X8}");
            }
        }
    }

    private static SseFrame CreateInput(SseOperands operands, Random random)
    {
        SseFrame frame = default;
        frame.Destination = CreateVector(operands, random);
        frame.Source = random.Next(16) == 0 ? frame.Destination : CreateVector(operands, random);
        frame.Gpr = FloatOperands.NextInteger(random);
        frame.Mmx = FloatOperands.NextInteger(random);
        frame.Mxcsr = CreateMxcsr(random);
        return frame;
    }

    /// <summary>All masks set half of the time; PE sticky and the default mode often, so that the fast paths are met too.</summary>
    private static uint CreateMxcsr(Random random)
    {
        if (random.Next(3) == 0)
        {
            return 0x1F80 | 0x20;
        }

        uint sticky = random.Next(3) == 0 ? (uint)random.Next(64) : 0;
        uint masks = random.Next(2) == 0 ? 0x1F80 : (uint)random.Next(64) << 7;
        uint rounding = (uint)random.Next(4) << 13;
        uint flush = random.Next(3) == 0 ? 0x8000u : 0;
        uint zeros = random.Next(3) == 0 ? 0x40u : 0;

        // A sticky flag whose exception is unmasked raises nothing by itself in MXCSR.
        return sticky | masks | rounding | flush | zeros;
    }

    private static Vector128<ulong> CreateVector(SseOperands operands, Random random) => operands switch
    {
        SseOperands.Double or SseOperands.MmxDouble => Vector128.Create(FloatOperands.Next64(random), FloatOperands.Next64(random)),
        SseOperands.Integer => Vector128.Create(FloatOperands.NextInteger(random), FloatOperands.NextInteger(random)),
        _ => Vector128.Create(
            FloatOperands.Next32(random), FloatOperands.Next32(random), FloatOperands.Next32(random), FloatOperands.Next32(random)).AsUInt64(),
    };

    private static string Show(SseFrame f) =>
        $"d={f.Destination[1]:X16}_{f.Destination[0]:X16} s={f.Source[1]:X16}_{f.Source[0]:X16} rax={f.Gpr:X16} mm0={f.Mmx:X16} "
        + $"mxcsr={f.Mxcsr:X4} flags={f.Flags & ComparedFlags:X} faulted={f.Faulted}";
}
