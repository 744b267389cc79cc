using Uml.Core.Cpu;
using Uml.Differential.Tests.Engines;
using Uml.Differential.Tests.Generation;

namespace Uml.Differential.Tests.Running;

/// <summary>
/// Programs of arbitrary bytes in both engines, with memory of the host's at addresses that they know. <c>--bytes</c> of the soak front
/// end runs millions.
/// </summary>
[Platform("Linux")]
[CancelAfter(300_000)]
[TestFixture(64)]
[TestFixture(32)]
internal sealed class ByteTests(int bitness)
{
    private const int Programs = 3000;
    private const ulong Seed = 0x11;

    private readonly FormCatalog _catalog = FormCatalog.For(bitness);

    [Test]
    public void Arbitrary_bytes_do_the_same_and_reach_nothing_of_the_host(CancellationToken token)
    {
        using var canary = new HostCanary();
        using var interpreter = CreateExecutor(CpuEngine.Interpreter);
        using var jit = CreateExecutor(CpuEngine.Jit);
        using var run = new DifferentialRun(interpreter, jit, _catalog, canary);
        run.RunPrograms([ProgramKind.Bytes], Programs, Seed, token);
        run.AssertNothingFailed();
        token.ThrowIfCancellationRequested();
        TestContext.Out.WriteLine($"{run.CasesRun} programs, {run.ProgramsUndefined} of them undefined");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(jit.ProgramsChanged, Is.GreaterThan(Programs / 8), "programs that changed themselves");
            Assert.That(run.ProgramsUndefined, Is.LessThan(Programs / 10));
            Assert.That(run.Vectors, Is.SupersetOf(new[] { MachineSnapshot.Endless, MachineSnapshot.Completed, 6, 13, 14 }));
        }
    }

    /// <summary>What follows a repeated copy over its own bytes is undefined: the trace has to go the program's way.</summary>
    [Test]
    public void A_copy_over_its_own_bytes_is_traced_as_it_runs()
    {
        Assume.That(bitness, Is.EqualTo(64));
        using var canary = new HostCanary();
        using var interpreter = CreateExecutor(CpuEngine.Interpreter);
        using var jit = CreateExecutor(CpuEngine.Jit);
        using var run = new DifferentialRun(interpreter, jit, _catalog, canary);
        run.Replay(0x1a64b458e6674654, null, ProgramKind.Bytes);
        run.AssertNothingFailed();
    }

    /// <summary>A fuzzer that cannot see that a guest got out proves nothing.</summary>
    [TestCase(HostCanary.Low)]
    [TestCase(HostCanary.High)]
    [TestCase(Layout.Data)]
    public unsafe void What_is_written_to_the_host_is_noticed(ulong address)
    {
        using var canary = new HostCanary();
        Assert.That(canary.Check(), Is.Null);

        // SAFETY: memory of the canary's own.
        ((byte*)address)[100] ^= 1;
        Assert.That(canary.Check(), Does.Contain($"0x{address + 100:x}"));
        Assert.That(canary.Check(), Is.Null);
    }

    /// <summary>The same for what comes from the host.</summary>
    [Test]
    public unsafe void What_was_read_from_the_host_is_noticed()
    {
        using var canary = new HostCanary();
        byte[] memory = new byte[Layout.MemorySize];
        MachineSnapshot state = default;
        Assert.That(HostCanary.FindLeak(ref state, memory), Is.Null);

        // SAFETY: memory of the canary's own.
        state.Gprs[7] = *(uint*)HostCanary.High;
        Assert.That(HostCanary.FindLeak(ref state, memory), Does.StartWith("a register"));
        state = default;
        BitConverter.TryWriteBytes(memory.AsSpan(Layout.PageSize), *(uint*)Layout.Data);
        Assert.That(HostCanary.FindLeak(ref state, memory), Does.Contain($"0x{Layout.Data + Layout.PageSize:x}"));
    }

    private VirtualCpuExecutor CreateExecutor(CpuEngine engine) => new(bitness, engine, writableCode: true, VirtualCpuExecutor.Resumes);
}
