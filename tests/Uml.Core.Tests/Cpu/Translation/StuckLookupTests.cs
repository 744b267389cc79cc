using Uml.Core.Cpu;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Emit;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>Bad code that asks for the target of a jump again and again, and never takes it.</summary>
[Platform("Linux")]
public sealed unsafe class StuckLookupTests
{
    private const ulong Target = BareGuest.Code + 0x40;

    [Test]
    public void A_lookup_that_is_done_for_ever_ends_when_something_waits()
    {
        Assume.That(JitEngine.IsSupported);
        using BareGuest machine = new BareGuest(CpuEngine.Jit).Start64();
        machine.Load(a =>
        {
            a.mov(r10d, (int)Target);
            a.jmp(r10);
        });
        machine.Load(a => a.hlt(), Target);
        Assert.That(Go(machine), Is.EqualTo(RunResult.Halted));
        Plant(machine);
        CpuState* s = machine.State;
        bool stuck = false;
        var other = new Thread(() =>
        {
            ulong searches = Volatile.Read(ref s->Engine->Counters.JumpSearches);
            stuck = SpinWait.SpinUntil(() => Volatile.Read(ref s->Engine->Counters.JumpSearches) > searches + 1000, 30_000);
            Interlocked.Or(ref s->Engine->Poll, (int)Attention.Machine);
        });
        other.Start();
        RunResult result = Go(machine);
        other.Join();
        Assert.That(stuck, Is.True, "it tries again and again");
        Assert.That(result, Is.EqualTo(RunResult.Attention));
    }

    private static RunResult Go(BareGuest machine)
    {
        machine.State->Halted = false;
        machine.State->Rip = BareGuest.Code;
        return machine.Cpu.Run(10_000);
    }

    /// <summary>In place of the block: mov r14, target; call of the lookup; its site; jump to the start.</summary>
    private static void Plant(BareGuest machine)
    {
        JitEngine jit = machine.Cpu.Jit!;
        Block* block = machine.Cpu.Blocks.Find(machine.State, BareGuest.Code);
        int site = 0;
        while (jit.Sites.Sites[site].Block != block || jit.Sites.Sites[site].Form != Form.JumpIndirect)
        {
            site++;
        }

        byte* at = jit.Code.Writable;
        while (*(uint*)at != (0x0080_1F0F | ((uint)(byte)site << 24)) || at[-5] != 0xE8)
        {
            at++;
        }

        byte* stub = at + *(int*)(at - 4);
        byte* start = jit.Code.ToWritable(block->Translations[(int)Flavor.Integer].Body);
        HostAssembler code = new();
        code.Begin(start);
        code.MoveImmediate(GuestRegisters.Address, (long)Target);
        code.Call(stub);
        code.Annotation(site);
        code.Jump(start);
    }
}
