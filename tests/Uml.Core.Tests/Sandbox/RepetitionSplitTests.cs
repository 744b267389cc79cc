using Uml.Core.Cpu;
using Uml.Core.Memory;
using Uml.Core.Sandbox;

namespace Uml.Core.Tests.Sandbox;

/// <summary>
/// However a budget is cut, a program with repeated instructions does the same: random ones over ends of pages and of memory, both ways,
/// overlapping, and over the program's own bytes, which stay what they are.
/// </summary>
[TestFixture(CpuEngine.Interpreter)]
[TestFixture(CpuEngine.Jit)]
public class RepetitionSplitTests(CpuEngine engine)
{
    private const ulong Data = 0x10_0000, DataBytes = 0x1_0000, Budget = 60_000;
    private const uint Code = (uint)CodeSandbox.CodeAddress, BehindCode = Code + 0x700, EndOfMemory = 0x100_0000;
    private const byte Cld = 0xFC, Std = 0xFD;

    private static readonly byte[][] Moves = [[0xF3, 0xA4], [0xF3, 0xA5], [0xF3, 0x48, 0xA5], [0xF3, 0x66, 0xA5], [0xF3, 0x67, 0xA4], [0xA4]];

    private static readonly byte[][] Others =
    [
        [0xF3, 0xAA], [0xF3, 0x48, 0xAB], [0xF3, 0x67, 0xAB], [0xAA], [0xF3, 0xAC], [0xF3, 0xA6], [0xF2, 0xA6], [0xF3, 0xAE], [0xF2, 0xAF],
        [0xF3, 0x6C], [0xF3, 0x6D], [0x6C], [0xF3, 0x6E], [0xF3, 0x6F], [0x6E],
    ];

    private static readonly byte[][] Fillers = [[0x90], [0x48, 0xFF, 0xC0], [0xFF, 0xC3]]; // nop, inc rax, inc ebx

    [Test]
    public void Programs_do_the_same_however_their_budget_is_cut([Range(1, 20)] int seed)
    {
        Random random = new(seed);
        byte[] program = Write(random, isHot: seed % 2 == 0);
        string whole = Run(program, () => (long)Budget);

        Assert.That(Run(program, () => random.Next(1, 12)), Is.EqualTo(whole));
        Assert.That(Run(program, () => random.Next(1, 9000)), Is.EqualTo(whole));
    }

    private static byte[] Write(Random random, bool isHot)
    {
        List<byte> program = [0x41, 0xB8, .. BitConverter.GetBytes(random.Next(isHot ? 400 : 1, isHot ? 3000 : 40))]; // mov r8d, loops
        int loop = program.Count;
        for (int i = random.Next(1, 6); i > 0; i--)
        {
            program.Add(random.Next(4) == 0 ? Std : Cld);
            bool moves = random.Next(2) == 0, isDown = program[^1] == Std;
            uint destination = (uint)random.Next(4) switch
            {
                0 => moves && !isDown ? Code + (uint)random.Next(0x60) : BehindCode,
                1 => (uint)Data + 0x1000 - (uint)random.Next(40),
                2 => EndOfMemory - (uint)random.Next(1, 32),
                _ => (uint)Data + 0x4000 + (uint)random.Next(64),
            };
            uint source = destination < Data ? destination : random.Next(2) == 0 ? destination - (uint)random.Next(16) : (uint)Data + 0x8000;
            int most = destination < Data ? 24 : random.Next(3) switch { 0 => 3, 1 => 64, _ => isHot ? 100 : 5000 };
            program.AddRange([0xBF, .. BitConverter.GetBytes(destination), 0xBE, .. BitConverter.GetBytes(source)]);
            program.AddRange([0xB9, .. BitConverter.GetBytes(random.Next(most))]);
            Fill(program, random);
            program.AddRange(moves ? random.GetItems(Moves, 1)[0] : random.GetItems(Others, 1)[0]);
            Fill(program, random);
        }

        program.AddRange([0x41, 0xFF, 0xC8, 0x0F, 0x85, .. BitConverter.GetBytes(loop - (program.Count + 9))]); // dec r8d; jnz loop
        return [.. program];
    }

    private static void Fill(List<byte> program, Random random) =>
        program.AddRange(random.GetItems(Fillers, random.Next(5)).SelectMany(filler => filler));

    private string Run(byte[] program, Func<long> cut)
    {
        using CodeSandbox sandbox = new(new CodeSandboxOptions { Engine = engine });
        byte[] data = new byte[DataBytes];
        new Random(1).NextBytes(data);
        sandbox.Load(program);
        sandbox.Memory.TryWrite(new GuestPhysicalAddress(Data), data);
        sandbox.Registers.Rdx = 0x3000;
        ulong retired = 0;
        CodeResult result;
        do
        {
            ulong budget = Math.Min((ulong)cut(), Budget - retired);
            result = sandbox.Run((long)budget);
            retired += result.InstructionsRetired;
            Assert.That(
                result.InstructionsRetired, result.Reason == CodeStopReason.BudgetExhausted ? Is.EqualTo(budget) : Is.LessThanOrEqualTo(budget));
        }
        while (result.Reason == CodeStopReason.BudgetExhausted && retired < Budget);

        sandbox.Memory.TryRead(new GuestPhysicalAddress(Data), data);
        ProcessorRegisters at = sandbox.Registers;
        return $"{result.Reason} {result.Vector} after {retired} at {at.Rip:x}: rax {at.Rax:x} rbx {at.Rbx:x} rcx {at.Rcx:x} rsi {at.Rsi:x} "
            + $"rdi {at.Rdi:x} r8 {at.R8:x} rflags {at.Rflags:x} memory {Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(data))}";
    }
}
