using Uml.Core.Cpu;
using Uml.Core.Memory;
using Uml.Core.Sandbox;

namespace Uml.Core.Tests.Sandbox;

/// <summary>Each repetition of a REP instruction is an instruction of the budget, whoever carries it out.</summary>
[TestFixture(CpuEngine.Interpreter)]
[TestFixture(CpuEngine.Jit)]
public class RepetitionBudgetTests(CpuEngine engine)
{
    private const ulong Data = 0x10_0000, NoMemory = 1UL << 30;

    private static readonly object[] Repeated =
    [
        new object[] { "movsb", new byte[] { 0xF3, 0xA4 } },
        new object[] { "movsq", new byte[] { 0xF3, 0x48, 0xA5 } },
        new object[] { "stosb", new byte[] { 0xF3, 0xAA } },
        new object[] { "stosd", new byte[] { 0xF3, 0xAB } },
        new object[] { "lodsb", new byte[] { 0xF3, 0xAC } },
        new object[] { "cmpsb", new byte[] { 0xF3, 0xA6 } },
        new object[] { "scasw", new byte[] { 0xF3, 0x66, 0xAF } },
        new object[] { "insb", new byte[] { 0xF3, 0x6C } },
        new object[] { "outsb", new byte[] { 0xF3, 0x6E } },
    ];

    [TestCaseSource(nameof(Repeated))]
    public void A_budget_ends_within_a_repeated_instruction(string name, byte[] code)
    {
        using CodeSandbox sandbox = Create(code, Data, 1UL << 32);
        CodeResult result = sandbox.Run(20);
        Assert.That(result.Reason, Is.EqualTo(CodeStopReason.BudgetExhausted), name);
        Assert.That(result.InstructionsRetired, Is.EqualTo(20));
        Assert.That(sandbox.Registers.Rcx, Is.EqualTo((1UL << 32) - 20));
        Assert.That(sandbox.Registers.Rip, Is.EqualTo(CodeSandbox.CodeAddress));
    }

    [TestCaseSource(nameof(Repeated))]
    public void A_budget_ends_within_a_repeated_instruction_where_no_memory_is(string name, byte[] code)
    {
        using CodeSandbox sandbox = Create(code, NoMemory, 1UL << 32);
        sandbox.Registers.Rax = ulong.MaxValue; // what is read there
        Assert.That(sandbox.Run(20).InstructionsRetired, Is.EqualTo(20), name);
        Assert.That(sandbox.Registers.Rcx, Is.EqualTo((1UL << 32) - 20));
    }

    [TestCaseSource(nameof(Repeated))]
    public void Runs_of_any_length_add_up(string name, byte[] code)
    {
        using CodeSandbox sandbox = Create(code, Data, 5000);
        ulong retired = 0;
        CodeResult result;
        long budget = 1;
        do
        {
            result = sandbox.Run(budget);
            Assert.That(result.InstructionsRetired, Is.LessThanOrEqualTo((ulong)budget), name);
            retired += result.InstructionsRetired;
            Assert.That(sandbox.Registers.Rcx, Is.EqualTo(retired < 5000 ? 5000 - retired : 0));
            budget = (budget * 3) + 1;
        }
        while (result.Reason == CodeStopReason.BudgetExhausted);
        Assert.That(result.Reason, Is.EqualTo(CodeStopReason.Halt));
        Assert.That(retired, Is.EqualTo(5001), "the repetitions and HLT");
    }

    [TestCase(0UL, 1UL)]
    [TestCase(1UL, 1UL)]
    [TestCase(2UL, 2UL)]
    [TestCase(300UL, 300UL)]
    public void A_repeated_instruction_counts_its_repetitions_and_one_without_any_counts_once(ulong repetitions, ulong counted)
    {
        foreach (object[] repeated in Repeated)
        {
            using CodeSandbox sandbox = Create((byte[])repeated[1], Data, repetitions);
            Assert.That(sandbox.Run().InstructionsRetired, Is.EqualTo(counted + 1), (string)repeated[0]);
        }
    }

    [Test]
    public void Comparisons_that_end_early_count_what_they_compared()
    {
        using CodeSandbox sandbox = Create([0xF2, 0xAE], Data, 1000); // repne scasb
        sandbox.Memory.TryWrite(new GuestPhysicalAddress(Data + 36), [0x55]);
        sandbox.Registers.Rax = 0x55;
        Assert.That(sandbox.Run().InstructionsRetired, Is.EqualTo(37 + 1));
    }

    [TestCase(new byte[] { 0xF3, 0x48, 0xAB }, 100UL)]
    [TestCase(new byte[] { 0xF3, 0x48, 0xAB }, 0UL)]
    [TestCase(new byte[] { 0xF3, 0xA4 }, 4096UL)]
    [TestCase(new byte[] { 0xF3, 0xA4 }, 1UL)]
    public void A_loop_that_runs_often_counts_exactly(byte[] code, ulong repetitions)
    {
        const uint loops = 3000;
        byte[] loop =
        [
            0x41, 0xB8, .. BitConverter.GetBytes(loops),       // mov r8d, loops
            0xBF, .. BitConverter.GetBytes((uint)Data),        // next: mov edi, data
            0xBE, .. BitConverter.GetBytes((uint)Data + 0x8000), // mov esi, data + 8000h
            0xB9, .. BitConverter.GetBytes((uint)repetitions), // mov ecx, repetitions
            .. code,
            0x41, 0xFF, 0xC8,                                  // dec r8d
            0x75, (byte)-(15 + code.Length + 5),               // jnz next
        ];
        using var sandbox = new CodeSandbox(new CodeSandboxOptions { Engine = engine });
        ulong expected = 1 + (loops * (5 + Math.Max(repetitions, 1))) + 1;
        sandbox.Load(loop);
        Assert.That(sandbox.Run(long.MaxValue).InstructionsRetired, Is.EqualTo(expected));

        // In parts of a prime number, too.
        sandbox.Load(loop);
        ulong retired = 0;
        CodeResult result;
        do
        {
            result = sandbox.Run(7919);
            Assert.That(result.InstructionsRetired, result.Reason == CodeStopReason.BudgetExhausted ? Is.EqualTo(7919) : Is.LessThanOrEqualTo(7919));
            retired += result.InstructionsRetired;
        }
        while (result.Reason == CodeStopReason.BudgetExhausted);
        Assert.That(retired, Is.EqualTo(expected));
    }

    private CodeSandbox Create(byte[] code, ulong address, ulong repetitions)
    {
        var sandbox = new CodeSandbox(new CodeSandboxOptions { Engine = engine });
        sandbox.Load(code);
        sandbox.Registers.Rcx = repetitions;
        sandbox.Registers.Rsi = sandbox.Registers.Rdi = address;
        return sandbox;
    }
}
