using Uml.Core.Sandbox;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Hosting.Tests.Robustness;

/// <summary>Code in the sandbox that would go on for ever.</summary>
[CancelAfter(30_000)]
public sealed class SandboxTests
{
    [Test]
    public void Exceptions_that_retire_no_instruction_use_up_the_budget()
    {
        // The stack has room for what two runs push.
        using var sandbox = new CodeSandbox(new CodeSandboxOptions { MemorySize = 64 << 20 });
        sandbox.Registers.Rsp = 63 << 20;
        const ulong table = CodeSandbox.DataAddress, pointer = CodeSandbox.DataAddress + 0x1000;
        for (ulong vector = 0; vector < 32; vector++)
        {
            // A 64-bit interrupt gate to 40_0000_0000H, where nothing is mapped: its first instruction faults, over and over.
            ulong gate = 0x8E00_0000_0000 | ((ulong)sandbox.Registers.Cs.Selector << 16);
            sandbox.Memory.TryWrite(new(table + (vector * 16)), BitConverter.GetBytes(gate));
            sandbox.Memory.TryWrite(new(table + (vector * 16) + 8), BitConverter.GetBytes(0x40UL));
        }

        sandbox.Memory.TryWrite(new(pointer), [0xFF, 0x01, .. BitConverter.GetBytes(table)]);
        CodeResult result = sandbox.Run(a =>
        {
            a.lidt(__[(int)pointer]);
            a.ud2();
        });
        Assert.That(result.Reason, Is.EqualTo(CodeStopReason.BudgetExhausted));
        Assert.That(sandbox.Registers.Cr2, Is.EqualTo(0x40_0000_0000));
    }
}
