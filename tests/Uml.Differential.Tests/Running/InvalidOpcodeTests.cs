using Iced.Intel;
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

    [Test]
    public void What_our_decoder_calls_invalid_is_an_invalid_opcode_to_the_processor()
    {
        if (!NativeExecutor.IsSupported)
        {
            Assert.Ignore("The host is not Linux on x86-64.");
        }

        using var native = new NativeExecutor(bitness);
        using var interpreter = new VirtualCpuExecutor(bitness);
        var differ = new Differ(native, interpreter);
        var failures = new List<string>();
        foreach (byte[] bytes in Candidates().Where(bytes => IsInvalid(bytes) && !IsVendorSpecific(bytes)))
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
        if (!NativeExecutor.IsSupported)
        {
            Assert.Ignore("The host is not Linux on x86-64.");
        }

        using var native = new NativeExecutor(bitness);
        using var interpreter = new VirtualCpuExecutor(bitness);
        byte[] bytes = [.. Enumerable.Repeat(prefix, count), 0x90];
        Assert.That(new Differ(native, interpreter).Run(CreateCase(bytes)), Is.Empty);
    }

    /// <summary>AMD's processors take LOCK MOV CR0 for MOV CR8, and do not mind LOCK VERW.</summary>
    private static bool IsVendorSpecific(byte[] bytes) => bytes is [0xF0, 0x0F, 0x20 or 0x22, ..] or [0xF0, 0x0F, 0x00, >= 0x28 and < 0x30, ..];

    private bool IsInvalid(byte[] bytes) => Decoder.Create(bitness, bytes).Decode().IsInvalid;

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
