using Iced.Intel;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.Translate;
using static Iced.Intel.AssemblerRegisters;
using static Uml.Core.Tests.Cpu.Verify.CheckedTranslation;

namespace Uml.Core.Tests.Cpu.Verify;

/// <summary>What the checker takes to be true behind calls of stubs, and of the budget, is what they leave.</summary>
public sealed unsafe class CodeCheckerStubTests : CheckerFixture
{
    /// <summary>A walk that succeeds has put the host's address in the address register, whatever the code does then.</summary>
    [Test]
    public void What_a_walk_leaves_is_an_address_of_the_host_until_it_is_known_to_have_failed()
    {
        Refuses("for a value", (c, leave) =>
        {
            CallWalk(c);
            c.mov(rax, r14);
        });
        Refuses("for a value", (c, leave) =>
        {
            CallWalk(c);
            c.jne(leave);
            c.mov(rax, r14);
        });
        Refuses("for a value", (c, leave) =>
        {
            CallWalk(c);
            c.jb(leave);
            c.mov(rax, r14);
        });
        Accepts((c, leave) =>
        {
            CallWalk(c);
            c.je(leave);
            c.mov(rax, r14);
        });
    }

    private void CallWalk(Assembler c)
    {
        c.mov(r14, rbx);
        Translation.Call(c, Translation.Stubs.Walk(write: false));
    }

    /// <summary>REP MOVS keeps the host's address of its destination in the first spill.</summary>
    [Test]
    public void What_a_string_stub_leaves_in_the_spills_is_not_the_guests()
    {
        Accepts((c, leave) => c.mov(rax, Spilled(c, StateLayout.Spill)));
        foreach (int spill in (int[])[StateLayout.Spill, StateLayout.SecondSpill])
        {
            Refuses("for a value", (c, leave) =>
            {
                AssemblerMemoryOperand slot = Spilled(c, spill);
                Translation.Call(c, Translation.Stubs.String(moves: true, size: 8, isLong: true));
                c.mov(rax, slot);
            });
        }
    }

    private static AssemblerMemoryOperand Spilled(Assembler c, int spill)
    {
        c.mov(State(spill), rbx);
        return State(spill);
    }

    /// <summary>When a call's push has dropped its own block, the runtime goes on at the address in the second spill.</summary>
    [Test]
    public void Where_a_computed_call_goes_on_is_no_address_of_the_host()
    {
        Accepts((c, leave) => CommitCall(c, leave, r14));
        Refuses("contract", (c, leave) => CommitCall(c, leave, r13));
    }

    /// <summary>The handler of a block's first operation would take the fields of another for its own, an immediate for a link among them.</summary>
    [Test]
    public void Only_the_first_operation_goes_to_the_first_operations_handler()
    {
        Translation.Count = Translation.BlockCount = 2;
        Accepts((c, leave) => Translation.Call(c, Translation.Stubs.Interpret, Translation.AddSite(default)));
        Refuses("contract", (c, leave) => Translation.Call(c, Translation.Stubs.Interpret, Translation.AddSite(new Site { OpIndex = 1 })));
    }

    private void CommitCall(Assembler c, Label leave, AssemblerRegister64 kept)
    {
        FindCode(c, leave);
        c.mov(State(StateLayout.SecondSpill), kept);
        Translation.Call(c, Translation.Stubs.Commit(Flavor.Integer), Translation.AddSite(new Site { Form = Form.CallIndirect }));
    }

    /// <summary>Code is dropped by what the interpreter does; a push only makes the target's entry lead elsewhere.</summary>
    [Test]
    public void Code_that_was_found_is_kept_over_a_push_only()
    {
        Accepts((c, leave) => JumpByKept(c, leave, Translation.Stubs.Commit(Flavor.Integer)));
        Refuses("is not known", (c, leave) => JumpByKept(c, leave, Translation.Stubs.CallHandler(Flavor.Integer, sharesX87: false)));
    }

    private void JumpByKept(Assembler c, Label leave, byte* stub)
    {
        FindCode(c, leave);
        c.mov(State(StateLayout.Spill), r13);
        Translation.Call(c, stub, Translation.AddSite(default));
        c.jmp(State(StateLayout.Spill));
    }

    private static void FindCode(Assembler c, Label leave)
    {
        CompareJump(c);
        c.jne(leave);
        c.mov(r13, __qword_ptr[r13 + JumpTables.CodeOffset(Flavor.Integer)]);
    }

    /// <summary>Of a group of accesses the one that is aligned need not be the first.</summary>
    [Test]
    public void Flags_tell_of_an_operand_behind_a_host_address_where_it_is_in_its_page()
    {
        Accepts((c, leave) => TestBehind(c, leave, 15));
        Refuses("for a value", (c, leave) => TestBehind(c, leave, 0x1000));
    }

    private static void TestBehind(Assembler c, Label leave, int mask)
    {
        c.mov(r14, rbx);
        Probe(c, 32, TlbEntry.ReadTagOffset, leave);
        c.lea(r13, __[r14 + 8]);
        c.test(r13, mask);
        c.jnz(leave);
    }

    [Test]
    public void Flags_tell_nothing_of_where_code_is() => Refuses("for a value", (c, leave) =>
    {
        FindCode(c, leave);
        c.test(r13, 0xFFF);
        c.jnz(leave);
    });

    /// <summary>All that was counted at the entry is given back, again and again: the budget is never used up.</summary>
    [Test]
    public void A_loop_through_the_entry_that_gives_back_all_it_took_is_refused()
    {
        Translation.Count = Translation.BlockCount = 4;
        Accepts((c, leave) =>
        {
            c.add(State(StateLayout.Remaining), 3);
            c.jmp((ulong)Translation.Start);
        });
        Refuses("gives back", (c, leave) =>
        {
            c.add(State(StateLayout.Remaining), 4);
            c.jmp((ulong)Translation.Start);
        });
        Refuses("gives back", (c, leave) =>
        {
            c.add(State(StateLayout.Remaining), 2);
            c.add(State(StateLayout.Remaining), 2);
            c.jmp((ulong)Translation.Start);
        });
    }

    [Test]
    public void A_jump_to_another_block_that_gives_back_all_that_was_counted_is_refused()
    {
        Translation.Count = Translation.BlockCount = 2;
        Accepts((c, leave) => LinkAfter(c, given: 1));
        Refuses("no jump of its own", (c, leave) => LinkAfter(c, given: 2));
        Accepts((c, leave) => JumpAfter(c, leave, given: 1));
        Refuses("gives back", (c, leave) => JumpAfter(c, leave, given: 2));
    }

    private void LinkAfter(Assembler c, int given)
    {
        c.add(State(StateLayout.Remaining), given);
        Label link = c.CreateLabel();
        c.jmp(link);
        int length = Measure(c);
        byte* unlinked = Translation.Start + length;
        int site = Translation.AddSite(new Site { Jump = unlinked - sizeof(int), Unlinked = unlinked });
        c.Label(ref link);
        Translation.Call(c, Translation.Stubs.Link(Flavor.Integer), site);
    }

    private static void JumpAfter(Assembler c, Label leave, int given)
    {
        c.add(State(StateLayout.Remaining), given);
        FindCode(c, leave);
        c.mov(State(StateLayout.Spill), r13);
        c.jmp(State(StateLayout.Spill));
    }

    /// <summary>A loop ends by asking the runtime for the way on, not by any other call of it.</summary>
    [Test]
    public void A_loop_that_only_writes_to_the_guest_is_refused() => Refuses("not counted", (c, leave) =>
    {
        Label again = c.CreateLabel();
        c.Label(ref again);
        Translation.Call(c, Translation.Stubs.Commit(Flavor.Integer), Translation.AddSite(default));
        c.jmp(again);
    });

    [Test]
    public void A_loop_that_asks_for_a_betterTranslation_each_time_is_refused() => Refuses("not counted", (c, leave) =>
    {
        Label rest = c.CreateLabel();
        c.jmp(rest);
        byte* behind = Translation.Start + Measure(c);
        int first = Translation.AddSite(new Site { Jump = behind - sizeof(int), Unlinked = behind });
        Translation.AddSite(new Site { Jump = behind - sizeof(int), Unlinked = behind, HasDirect = true });
        c.Label(ref rest);
        Translation.Call(c, Translation.Stubs.Specialize(Flavor.Integer), first);
        c.jmp(rest);
    });

    [Test]
    public void A_loop_by_the_way_on_that_the_runtime_takes_is_refused() => Refuses("not counted", (c, leave) =>
    {
        byte* again = Translation.ToExecutable(Translation.Start + Measure(c));
        c.mov(r14, rax);
        Translation.Call(c, Translation.Stubs.Lookup(Flavor.Integer), Translation.AddSite(new Site { Unlinked = again }));
        c.ud2();
    });

    /// <summary>They round as MXCSR says, which is the host's, and leave its status flags set.</summary>
    [Test]
    public void Conversions_that_go_by_MXCSR_are_refused_where_it_is_the_hosts([Values] bool loaded)
    {
        Translation.Flavor = loaded ? Flavor.Vector : Flavor.Integer;
        Code[] codes =
        [
            Code.Cvtss2si_r32_xmmm32, Code.Cvttss2si_r64_xmmm32, Code.Cvtsd2si_r64_xmmm64, Code.Cvttsd2si_r32_xmmm64,
            Code.VEX_Vcvtss2si_r32_xmmm32, Code.VEX_Vcvttss2si_r64_xmmm32, Code.VEX_Vcvtsd2si_r64_xmmm64, Code.VEX_Vcvttsd2si_r32_xmmm64,
        ];
        foreach (Code code in codes)
        {
            Register destination = code.ToOpCode().GetOpKind(0) == OpCodeOperandKind.r64_reg ? Register.RAX : Register.EAX;
            string? defect = Translation.Check((c, leave) =>
                c.AddInstruction(Instruction.Create(code, destination, new MemoryOperand(Register.RSP, StateLayout.FlagWord, 8))));
            Assert.That(defect, loaded ? Is.Null : Does.Contain("registers that are not the guest's"), code.ToString());
        }
    }
}
