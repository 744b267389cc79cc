using Iced.Intel;
using Uml.Differential.Tests.Engines;
using Uml.Differential.Tests.Generation;

namespace Uml.Differential.Tests.Running;

/// <summary>The comparison itself: a test that cannot fail proves nothing.</summary>
[TestFixture]
internal sealed class DifferTests
{
    private VirtualCpuExecutor _interpreter = null!;

    [SetUp]
    public void SetUp() => _interpreter = new VirtualCpuExecutor();

    [TearDown]
    public void TearDown() => _interpreter.Dispose();

    [TestCase("rax", Code.Add_rm64_r64)]
    [TestCase("r15", Code.Movaps_xmm_xmmm128)]
    [TestCase("rflags", Code.Add_rm64_r64)]
    [TestCase("xmm9", Code.Paddb_xmm_xmmm128)]
    [TestCase("st(3)", Code.Fadd_st0_sti)]
    [TestCase("mxcsr", Code.Addps_xmm_xmmm128)]
    [TestCase("rip", Code.Nopd)]
    [TestCase("memory", Code.Add_rm64_r64)]
    public void One_wrong_bit_is_noticed(string where, Code form)
    {
        var differ = new Differ(_interpreter, new BitFlipper(_interpreter, where));
        TestCase test = new CaseGenerator(64).Create(form.ToOpCode(), 7);
        Assert.That(differ.Run(test), Has.Count.EqualTo(1).And.Some.StartsWith(where));
    }

    [Test]
    public void A_failing_sequence_shrinks_to_the_steps_that_matter()
    {
        TestCase test = new SequenceGenerator(FormCatalog.Mode64).Create(11);
        Step culprit = test.Steps.Skip(test.Steps.Count / 2).First(step => step.Group < 0);
        TestCase shrunk = Shrinker.Shrink(test, smaller => smaller.Steps.Any(step => step.Bytes == culprit.Bytes));
        Assert.Multiple(() =>
        {
            Assert.That(test.Steps, Has.Count.GreaterThan(1));
            Assert.That(shrunk.Steps.Select(step => step.Bytes), Is.EqualTo(new[] { culprit.Bytes }));
        });
    }

    /// <summary>A sequence in which the first instruction always faults would test nothing.</summary>
    [Test]
    public void Most_sequences_run_to_their_end()
    {
        var sequences = new SequenceGenerator(FormCatalog.Mode64);
        byte[] memory = new byte[Layout.MemorySize];
        int completed = 0;
        for (ulong seed = 1; seed <= 400; seed++)
        {
            TestCase test = sequences.Create(seed);
            MachineSnapshot state = test.State;
            test.Memory.CopyTo(memory, 0);
            _interpreter.Execute(ref state, test.Code, memory);
            completed += state.Vector == MachineSnapshot.Completed ? 1 : 0;
        }

        Assert.That(completed, Is.GreaterThan(200));
    }

    /// <summary>Runs on another engine and spoils one bit of the outcome.</summary>
    private sealed class BitFlipper(IExecutor inner, string where) : IExecutor
    {
        public string Name => "liar";

        public void Execute(ref MachineSnapshot state, ReadOnlySpan<byte> code, Span<byte> memory)
        {
            inner.Execute(ref state, code, memory);
            switch (where)
            {
                case "rax":
                    state.Gprs[0] ^= 1;
                    break;
                case "r15":
                    state.Gprs[15] ^= 1UL << 63;
                    break;
                case "rflags":
                    state.Rflags ^= StateGenerator.Of;
                    break;
                case "xmm9":
                    state.Xmm(9)[15] ^= 0x80;
                    break;
                case "st(3)":
                    state.St(3)[0] ^= 1;
                    break;
                case "mxcsr":
                    state.Mxcsr ^= 0x20;
                    break;
                case "rip":
                    state.Rip ^= 1;
                    break;
                default:
                    memory[^1] ^= 1;
                    break;
            }
        }

        public void Dispose() => inner.Dispose();
    }
}
