using Iced.Intel;
using Uml.Differential.Tests.Comparison;
using Uml.Differential.Tests.Engines;
using Uml.Differential.Tests.Generation;
using Uml.Differential.Tests.Native;

namespace Uml.Differential.Tests.Running;

/// <summary>
/// Bytes that our decoder calls no instruction, run on both engines: the processor must not know better. Every opcode of the four maps
/// with every ModRM extension, register and memory operand, and the prefixes that select instructions.
/// </summary>
[TestFixture(64)]
[TestFixture(32)]
[Platform("Linux")]
internal sealed class InvalidOpcodeTests(int bitness)
{
    private static readonly byte[][] s_maps = [[], [0x0F], [0x0F, 0x38], [0x0F, 0x3A]];
    private static readonly byte[][] s_prefixes = [[], [0x66], [0xF3], [0xF2], [0xF0]];

    [SetUp]
    public void SetUp() => NativeExecutor.Require(bitness);

    [Test]
    public void What_our_decoder_calls_invalid_is_an_invalid_opcode_to_the_processor()
    {
        using var native = new NativeExecutor(bitness);
        using var interpreter = new VirtualCpuExecutor(bitness);
        var differ = new Differ(native, interpreter);
        var failures = new List<string>();
        foreach (byte[] bytes in Candidates().Where(IsInvalid))
        {
            TestCase test = CreateCase(bytes);
            if (differ.Run(test) is { Count: > 0 } differences)
            {
                failures.Add($"{Convert.ToHexStringLower(bytes)}: {differences[0]}");
            }
        }

        TestContext.Out.WriteLine($"{differ.CasesRun} encodings");
        Assert.That(failures, Is.Empty, string.Join('\n', failures.Take(400)));
    }

    /// <summary>
    /// The same for VEX: three maps, each opcode with each selecting prefix, W and L, with vvvv in use and not. What the interpreter
    /// leaves out but decodes, such as instructions on general registers, is the form catalogue's matter.
    /// </summary>
    [Test]
    public void What_our_decoder_calls_invalid_behind_a_VEX_prefix_is_an_invalid_opcode_to_the_processor()
    {
        if (!HostProcessor.HasAvx)
        {
            Assert.Ignore("The host has no AVX.");
        }

        using var native = new NativeExecutor(bitness);
        using var interpreter = new VirtualCpuExecutor(bitness);
        var differ = new Differ(native, interpreter);
        var failures = new List<string>();
        foreach (byte[] bytes in VexCandidates().Where(IsInvalid))
        {
            if (differ.Run(CreateCase(bytes)) is { Count: > 0 } differences)
            {
                failures.Add($"{Convert.ToHexStringLower(bytes)}: {differences[0]}");
            }
        }

        TestContext.Out.WriteLine($"{differ.CasesRun} encodings");
        Assert.That(failures, Is.Empty, string.Join('\n', failures.Take(400)));
    }

    /// <summary>66, F2, F3, LOCK and REX may not stand before VEX (Intel SDM vol. 2, 2.3.2 to 2.3.4); outside 64-bit mode 48 is DEC EAX.</summary>
    [TestCase(0x66)]
    [TestCase(0xF2)]
    [TestCase(0xF3)]
    [TestCase(0xF0)]
    [TestCase(0x48)]
    public void Prefixes_before_VEX_are_what_they_are_to_the_processor(byte prefix)
    {
        if (!HostProcessor.HasAvx)
        {
            Assert.Ignore("The host has no AVX.");
        }

        using var native = new NativeExecutor(bitness);
        using var interpreter = new VirtualCpuExecutor(bitness);
        var differ = new Differ(native, interpreter);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(differ.Run(CreateCase([prefix, 0xC5, 0xF0, 0x58, 0xC2])), Is.Empty); // VADDPS XMM0, XMM1, XMM2
            Assert.That(differ.Run(CreateCase([prefix, 0xC4, 0xE2, 0x71, 0x00, 0xC2])), Is.Empty); // VPSHUFB XMM0, XMM1, XMM2
        }
    }

    private static IEnumerable<byte[]> VexCandidates()
    {
        byte[] modRms = [0x00, 0x04, 0x08, 0x10, 0x18, 0x20, 0x28, 0x30, 0x38, 0xC1, 0xC9, 0xD1, 0xD9, 0xE1, 0xE9, 0xF1, 0xF9];
        for (int map = 0; map < 5; map++)
        {
            for (int tail = 0; tail < 16; tail++)
            {
                byte last = (byte)(((tail & 8) << 4) | (tail & 7));
                for (int opcode = 0; opcode < 256; opcode++)
                {
                    foreach (byte modRm in modRms)
                    {
                        yield return [0xC4, (byte)(0xE0 | map), (byte)(last | 0x78), (byte)opcode, modRm, 0, 0, 0, 0, 0, 0, 0];
                        yield return [0xC4, (byte)(0xE0 | map), (byte)(last | 0x60), (byte)opcode, modRm, 0, 0, 0, 0, 0, 0, 0];
                    }
                }
            }
        }
    }

    private static IEnumerable<byte[]> Candidates()
    {
        foreach (byte[] prefix in s_prefixes)
        {
            foreach (byte[] map in s_maps)
            {
                for (int opcode = 0; opcode < 256; opcode++)
                {
                    for (int modRm = 0; modRm < 256; modRm += 8)
                    {
                        // Memory at [rAX] and a register, for each of the eight extensions.
                        if (modRm is < 0x40 or >= 0xC0)
                        {
                            yield return [.. prefix, .. map, (byte)opcode, (byte)modRm, 0, 0, 0, 0, 0, 0, 0, 0];
                        }
                    }
                }
            }
        }
    }

    /// <summary>Sixteen bytes are too many whatever they would mean (Intel SDM vol. 2, 2.3.11): #GP, not #UD.</summary>
    [TestCase(0x66, 15)]
    [TestCase(0x2E, 15)]
    [TestCase(0x66, 30)]
    [TestCase(0x3E, 14)]
    [TestCase(0xF3, 15)]
    public void Too_many_prefixes_raise_the_exception_the_processor_raises(byte prefix, int count)
    {
        using var native = new NativeExecutor(bitness);
        using var interpreter = new VirtualCpuExecutor(bitness);
        byte[] bytes = [.. Enumerable.Repeat(prefix, count), 0x90];
        Assert.That(new Differ(native, interpreter).Run(CreateCase(bytes)), Is.Empty);
    }

    /// <summary>Candidates have one prefix at most.</summary>
    private bool IsInvalid(byte[] bytes)
    {
        int prefixes = PrefixPatterns.IsLegacy(bytes[0]) ? 1 : 0;
        return Decoder.Create(bitness, bytes).Decode().IsInvalid && !EncodingChoices.IsValidToSome(bytes.AsSpan(0, prefixes), bytes.AsSpan(prefixes));
    }

    /// <summary>All registers point into a window, so that whatever the processor makes of the bytes does no harm.</summary>
    private TestCase CreateCase(byte[] bytes)
    {
        var test = new TestCase { Bitness = bitness, Seed = 0, Form = null, Steps = [new Step(bytes)] };
        test.Memory.AsSpan().Clear();
        test.State = new MachineSnapshot { Rip = Layout.Program, Rflags = 0x202, Mxcsr = 0x1F80, ControlWord = 0x37F };
        test.State.Gprs[..(bitness == 64 ? 16 : 8)].Fill(Layout.Data + 0x800);
        test.State.Gprs[4] = Layout.Stack + 0x800;
        return test;
    }
}
