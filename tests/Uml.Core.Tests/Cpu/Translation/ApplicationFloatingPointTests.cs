using Iced.Intel;
using Uml.Core.Bus;
using Uml.Core.Cpu;
using Uml.Core.Memory;
using Uml.Core.Sandbox;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>The floating-point settings of the application's thread and those of the guest have nothing to do with each other.</summary>
[Platform("Linux")]
public sealed class ApplicationFloatingPointTests : IDisposable
{
    private const ulong Device = 0xE000_0000;
    private const uint SemanticBits = 0xFFC0;
    private static readonly FloatingPointControl.Words Unusual = new(FloatingPointControl.UnusualMxcsr, FloatingPointControl.UnusualControlWord);

    private readonly FloatingPointControl _control = new();

    [OneTimeSetUp]
    public void SetUp() => Assume.That(JitEngine.IsSupported);

    [OneTimeTearDown]
    public void Dispose() => _control.Dispose();

    [Test]
    public void An_application_has_its_own_settings_after_translated_code_ran([Values] bool vectors, [Values] bool x87, [Values] bool fault)
    {
        using CodeSandbox sandbox = new();
        FloatingPointControl.Words after = _control.With(Unusual, () => sandbox.Run(a => Compute(a, vectors, x87, fault)));
        Assert.That(sandbox.GetCpuStatistics().BlocksTranslated, Is.Positive);
        Assert.That(after, Is.EqualTo(Unusual));
    }

    [Test]
    public void A_guest_computes_the_same_under_any_settings_of_the_application([Values(1, 200)] int rounds)
    {
        byte[] expected = [], actual = [];
        _control.With(FloatingPointControl.Default, () => expected = Results(rounds));
        _control.With(Unusual, () => actual = Results(rounds));
        Assert.That(actual, Is.EqualTo(expected));
    }

    [Test]
    public void A_device_that_translated_code_calls_sees_what_libraries_count_on_and_an_empty_x87_stack([Values] bool x87)
    {
        using CodeSandbox sandbox = new();
        Probe probe = new(_control);
        sandbox.Bus.MapMemory(new GuestPhysicalAddress(Device), 0x1000, probe);
        FloatingPointControl.Words after = _control.With(Unusual, () => sandbox.Run(a => CallDevice(a, x87)));
        Assert.That(after, Is.EqualTo(Unusual));
        Assert.That(probe.Seen, Is.EqualTo(new[] { FloatingPointControl.Default with { Mxcsr = FloatingPointControl.Default.Mxcsr & SemanticBits } }));
        Assert.That(probe.Sums, Is.EqualTo(new[] { 5.0 }), "what the device computed");
        if (x87)
        {
            for (int i = 0; i < 8; i++)
            {
                Assert.That(sandbox.Registers.St[i], Is.EqualTo(8.0 - i), $"st({i}) of the guest");
            }
        }
    }

    /// <param name="rounds">One is interpreted, many are translated.</param>
    private static byte[] Results(int rounds)
    {
        using CodeSandbox sandbox = new();
        sandbox.Run(a => Compute(a, vectors: true, x87: true, fault: false, rounds));
        byte[] results = new byte[512];
        sandbox.Memory.TryRead(new GuestPhysicalAddress(CodeSandbox.DataAddress), results);
        return results;
    }

    /// <summary>Results that depend on rounding, precision and denormals, of translated instructions and of those that handlers run.</summary>
    private static void Compute(Assembler a, bool vectors, bool x87, bool fault, int rounds = 200)
    {
        Label again = a.CreateLabel();
        a.mov(rdi, CodeSandbox.DataAddress);
        a.mov(__dword_ptr[rdi], 0x3F80_0001);
        a.mov(__dword_ptr[rdi + 4], 3);
        a.mov(__dword_ptr[rdi + 8], 0x0080_0001); // close to the smallest normal number
        a.mov(ecx, rounds);
        a.Label(ref again);
        if (vectors)
        {
            a.movss(xmm0, __dword_ptr[rdi]);
            a.cvtsi2ss(xmm1, __dword_ptr[rdi + 4]);
            a.divss(xmm0, xmm1);
            a.movss(__dword_ptr[rdi + 16], xmm0);
            a.sqrtss(xmm2, xmm1);
            a.movss(__dword_ptr[rdi + 20], xmm2);
            a.movss(xmm3, __dword_ptr[rdi + 8]);
            a.divss(xmm3, xmm1);
            a.movss(__dword_ptr[rdi + 24], xmm3);
            a.rcpps(xmm4, xmm1);
            a.movups(__xmmword_ptr[rdi + 32], xmm4);
        }

        if (x87)
        {
            a.fld1();
            a.fidiv(__dword_ptr[rdi + 4]);
            a.fstp(__qword_ptr[rdi + 64]);
            a.fldpi();
            a.fsin();
            a.fstp(__tbyte_ptr[rdi + 80]);
        }

        if (fault)
        {
            a.str(eax);
        }

        a.dec(ecx);
        a.jnz(again);
        if (fault)
        {
            a.ud2();
        }
    }

    private static void CallDevice(Assembler a, bool x87)
    {
        Label again = a.CreateLabel();
        a.mov(rdi, Device);
        a.mov(rsi, CodeSandbox.DataAddress);
        a.mov(__dword_ptr[rsi], 0xFFC0); // the guest's own settings
        a.ldmxcsr(__dword_ptr[rsi]);
        if (x87)
        {
            for (int i = 1; i <= 8; i++)
            {
                a.mov(__dword_ptr[rsi], i);
                a.fild(__dword_ptr[rsi]);
            }

            a.mov(__dword_ptr[rsi], 0x0C7F);
            a.fldcw(__word_ptr[rsi]);
        }

        a.mov(ecx, 200);
        a.Label(ref again);
        a.mov(eax, __dword_ptr[rdi]);
        a.addps(xmm0, xmm1);
        if (x87)
        {
            a.fxch(st0, st1);
            a.fxch(st0, st1);
        }

        a.mov(__dword_ptr[rdi + 4], eax);
        a.dec(ecx);
        a.jnz(again);
    }

    private sealed class Probe(FloatingPointControl control) : IBusDevice
    {
        public HashSet<FloatingPointControl.Words> Seen { get; } = [];

        public HashSet<double> Sums { get; } = [];

        public ulong Read(IProcessor processor, ulong offset, int size)
        {
            Look();
            return 0;
        }

        public void Write(IProcessor processor, ulong offset, int size, ulong value) => Look();

        private void Look()
        {
            FloatingPointControl.Words words = control.Current;
            Seen.Add(words with { Mxcsr = words.Mxcsr & SemanticBits });
            Sums.Add(control.AddTwo(3));
        }
    }
}
