using Uml.Core.Machine;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Hosting.Tests.Robustness;

/// <summary>Code that changes under the guest's feet in ways only odd page tables allow.</summary>
[CancelAfter(30_000)]
public sealed class AliasedCodeTests
{
    private const ulong Linear = 0x4000_0000_0000, Physical = 0x80_0000;

    /// <summary>Two pages in a row are the same memory, and an instruction runs from the end of one over to the start of the next.</summary>
    [Test]
    public async Task An_instruction_that_runs_over_into_its_own_page_is_seen_to_change([Values(0, 1)] int writeThrough, CancellationToken token)
    {
        await using IVirtualMachine machine = FlatGuest.Build(a =>
        {
            a.mov(rax, FlatGuest.EndlessTables);
            a.mov(cr3, rax);
            a.mov(rbx, Linear);
            a.mov(r12, writeThrough == 0 ? Linear : Physical);
            a.mov(__byte_ptr[rbx + 0xFFF], 0xB0); // mov al, imm8
            a.mov(__byte_ptr[rbx], 1);
            a.mov(__byte_ptr[rbx + 1], 0xC3); // ret
            a.lea(rsi, __[rbx + 0xFFF]);
            a.xor(eax, eax);
            a.call(rsi);
            a.mov(__byte_ptr[r12], 2);
            a.call(rsi);
            a.movzx(eax, al);
            a.@out(FlatGuest.DebugExit, eax);
            a.hlt();
        });
        FlatGuest.WriteEndlessTables(machine);
        Span<ulong> pages = stackalloc ulong[512];
        pages.Fill(Physical | 7);
        FlatGuest.Write(machine, FlatGuest.EndlessTables + 0x5000, pages);
        pages.Fill((FlatGuest.EndlessTables + 0x5000) | 7);
        FlatGuest.Write(machine, FlatGuest.EndlessTables + 0x4000, pages);
        await machine.StartAsync(token);
        MachineExit exit = await machine.WaitForExitAsync(token);
        Assert.That((exit.Reason, exit.Status), Is.EqualTo((MachineExitReason.DebugExit, 2)));
    }
}
