using Iced.Intel;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.Translate;
using static Iced.Intel.AssemblerRegisters;
using static Uml.Core.Tests.Cpu.Verify.CheckedTranslation;

namespace Uml.Core.Tests.Cpu.Verify;

/// <summary>The checker accepts what translations look like, and refuses each kind of code that could reach the host.</summary>
public sealed unsafe class CodeCheckerTests : CheckerFixture
{
    private const int ReadTag = TlbEntry.ReadTagOffset, WriteTag = TlbEntry.WriteTagOffset;

    [Test]
    public void An_operation_on_the_guests_registers_is_accepted() => Accepts((c, leave) =>
    {
        c.add(rax, rbx);
        c.mov(State(StateLayout.Gpr(15)), rcx);
        c.imul(r8, r9, 77);
    });

    [Test]
    public void An_access_behind_a_look_into_the_TLB_is_accepted() => Accepts((c, leave) =>
    {
        c.mov(r14, rbx);
        Probe(c, 8, WriteTag, leave);
        c.mov(__qword_ptr[r14], rax);
        c.mov(rcx, __qword_ptr[r14]);
        c.mov(eax, __dword_ptr[r14 + 4]);
    });

    [Test]
    public void An_access_with_any_other_register_as_its_base_is_refused([Values(Register.RAX, Register.RBX, Register.R12, Register.R13, Register.R15)] Register @base) =>
        Refuses("", (c, leave) => c.AddInstruction(Instruction.Create(Code.Mov_r32_rm32, Register.EAX, new MemoryOperand(@base))));

    [Test]
    public void Bytes_of_the_guest_as_they_are_are_refused() => Refuses("segment prefix", (c, leave) => c.db(0x40, 0x2E, 0x8B, 0x03));

    [Test]
    public void An_access_without_a_look_into_the_TLB_is_refused() => Refuses("not within guest memory", (c, leave) =>
    {
        c.mov(r14, rbx);
        c.mov(eax, __dword_ptr[r14]);
    });

    [Test]
    public void An_access_beyond_what_was_looked_up_is_refused([Values(-1, 1, 5, 0x1000)] int displacement) => Refuses("not within guest memory", (c, leave) =>
    {
        c.mov(r14, rbx);
        Probe(c, 4, ReadTag, leave);
        c.mov(eax, __dword_ptr[r14 + displacement]);
    });

    [Test]
    public void An_access_of_more_bytes_than_were_looked_up_is_refused() => Refuses("not within guest memory", (c, leave) =>
    {
        c.mov(r14, rbx);
        Probe(c, 4, ReadTag, leave);
        c.mov(rax, __qword_ptr[r14]);
    });

    [Test]
    public void A_write_to_what_was_looked_up_for_reading_is_refused() => Refuses("not within guest memory", (c, leave) =>
    {
        c.mov(r14, rbx);
        Probe(c, 4, ReadTag, leave);
        c.mov(__dword_ptr[r14], eax);
    });

    [Test]
    public void A_probe_whose_miss_is_not_acted_on_is_refused() => Refuses("does not take an entry", (c, leave) =>
    {
        c.mov(r14, rbx);
        c.rorx(r13d, r14d, Tlb.IndexShift);
        c.and(r13d, Tlb.IndexMask);
        c.sub(r14, __[r15 + r13 + ReadTag]);
        c.cmp(r14, 0xFFC);
        c.add(r14, __[r15 + r13 + TlbEntry.HostPageOffset]);
    });

    [Test]
    public void A_miss_that_is_looked_for_with_the_wrong_condition_is_refused() => Refuses("does not take an entry", (c, leave) =>
    {
        c.mov(r14, rbx);
        c.rorx(r13d, r14d, Tlb.IndexShift);
        c.and(r13d, Tlb.IndexMask);
        c.sub(r14, __[r15 + r13 + ReadTag]);
        c.cmp(r14, 0xFFC);
        c.jg(leave);
        c.add(r14, __[r15 + r13 + TlbEntry.HostPageOffset]);
    });

    [Test]
    public void The_TLB_entry_of_another_address_is_refused() => Refuses("does not take an entry", (c, leave) =>
    {
        c.mov(r14, rbx);
        c.rorx(r13d, r14d, Tlb.IndexShift);
        c.and(r13d, Tlb.IndexMask);
        c.mov(r14, rcx);
        c.sub(r14, __[r15 + r13 + ReadTag]);
    });

    [Test]
    public void An_index_into_the_TLB_that_is_not_masked_is_refused() => Refuses("does not take an entry", (c, leave) =>
    {
        c.mov(r14, rbx);
        c.rorx(r13d, r14d, Tlb.IndexShift);
        c.sub(r14, __[r15 + r13 + ReadTag]);
    });

    [Test]
    public void An_address_that_is_checked_on_one_way_only_is_refused() => Refuses("not within guest memory", (c, leave) =>
    {
        Label join = c.CreateLabel();
        c.mov(r14, rbx);
        c.test(rax, rax);
        c.jz(join);
        Probe(c, 8, ReadTag, leave);
        c.Label(ref join);
        c.mov(rax, __qword_ptr[r14]);
    });

    [Test]
    public void An_address_of_the_host_in_a_register_of_the_guest_is_refused() => Refuses("for a value", (c, leave) =>
    {
        c.mov(r14, rbx);
        Probe(c, 8, ReadTag, leave);
        c.mov(rax, r14);
    });

    [Test]
    public void An_address_of_the_host_in_guest_memory_is_refused() => Refuses("for a value", (c, leave) =>
    {
        c.mov(r14, rbx);
        Probe(c, 8, WriteTag, leave);
        c.mov(__qword_ptr[r14], r14);
    });

    [Test]
    public void An_address_of_the_host_in_a_field_of_the_guest_is_refused() => Refuses("for a value", (c, leave) =>
    {
        c.mov(r13, State(StateLayout.JumpTable));
        c.mov(State(StateLayout.Gpr(12)), r13);
    });

    [Test]
    public void What_was_left_in_a_slot_by_others_is_not_the_guests() => Refuses("for a value", (c, leave) => c.mov(rax, State(StateLayout.Spill)));

    [Test]
    public void A_groups_address_comes_back_from_its_slot() => Accepts((c, leave) =>
    {
        c.mov(r14, rbx);
        Probe(c, 16, ReadTag, leave);
        c.mov(State(StateLayout.GroupAddress(1)), r14);
        c.mov(r14, rcx);
        c.mov(r14, State(StateLayout.GroupAddress(1)));
        c.mov(rax, __qword_ptr[r14 + 8]);
    });

    [TestCase(nameof(StateLayout.HostStack))]
    [TestCase(nameof(StateLayout.RamBase))]
    [TestCase(nameof(StateLayout.Tlb))]
    [TestCase(nameof(StateLayout.JumpTable))]
    public void Fields_with_addresses_of_the_host_are_refused(string field) => Refuses("may not access that part", (c, leave) =>
        c.mov(rax, State((int)typeof(StateLayout).GetField(field)!.GetValue(null)!)));

    [Test]
    public void Nothing_outside_of_the_state_is_accessed_through_its_pointer([Values(-0x1000, -8, 0x10000)] int displacement) =>
        Refuses("may not access that part", (c, leave) => c.mov(State(displacement), rax));

    [Test]
    public void The_CPL_is_not_written() => Refuses("may not access that part", (c, leave) => c.mov(__byte_ptr[rsp + StateLayout.Cpl], 0));

    [Test]
    public void The_state_is_not_indexed() => Refuses("is not known", (c, leave) => c.mov(rax, __qword_ptr[rsp + rax]));

    [Test]
    public void The_registers_that_all_depends_on_are_not_changed()
    {
        Refuses("not the guest's", (c, leave) => c.add(rsp, 8));
        Refuses("not the guest's", (c, leave) => c.mov(r15, rax));
        Refuses("not the guest's", (c, leave) => c.mov(rax, rsp));
        Refuses("not the guest's", (c, leave) => c.lea(rax, __[rsp + 8]));
    }

    [Test]
    public void Instructions_thatTranslations_do_not_have_are_refused([Values] Forbidden instruction) => Refuses("", (c, leave) =>
    {
        switch (instruction)
        {
            case Forbidden.Push: c.push(rax); break;
            case Forbidden.Pop: c.pop(rax); break;
            case Forbidden.Return: c.ret(); break;
            case Forbidden.SystemCall: c.syscall(); break;
            case Forbidden.Interrupt: c.@int(0x80); break;
            case Forbidden.Breakpoint: c.int3(); break;
            case Forbidden.Halt: c.hlt(); break;
            case Forbidden.Out: c.@out(0x80, al); break;
            case Forbidden.FarJump: c.jmp(__fword_ptr[rsp + StateLayout.Spill]); break;
            case Forbidden.ComputedJump: c.jmp(rax); break;
            case Forbidden.ComputedCall: c.call(rax); break;
            case Forbidden.String: c.movsb(); break;
            case Forbidden.RepeatedString: c.rep.stosq(); break;
            case Forbidden.Translate: c.xlatb(); break;
            case Forbidden.FsSegment: c.mov(rax, __qword_ptr.fs[rsp + StateLayout.FlagWord]); break;
            case Forbidden.GsSegment: c.mov(rax, __qword_ptr.gs[rsp + StateLayout.FlagWord]); break;
            case Forbidden.MoveToSegment: c.mov(ds, eax); break;
            case Forbidden.WriteFsBase: c.wrfsbase(rax); break;
            case Forbidden.WritePkru: c.wrpkru(); break;
            case Forbidden.LoadMxcsr: c.ldmxcsr(__dword_ptr[rsp + StateLayout.FlagWord]); break;
            case Forbidden.SaveState: c.xsave(__[rsp + StateLayout.FlagWord]); break;
            case Forbidden.DirectionFlag: c.std(); break;
            case Forbidden.PopFlags: c.popfq(); break;
            case Forbidden.Relative: c.db(0x8B, 0x05, 0x10, 0, 0, 0); break;
            case Forbidden.Absolute: c.mov(rax, __qword_ptr[0x1000]); break;
            case Forbidden.ShortAddress: c.AddInstruction(Instruction.Create(Code.Mov_r32_rm32, Register.EAX, new MemoryOperand(Register.R14D))); break;
            case Forbidden.BitString: c.bts(State(StateLayout.FlagWord), rax); break;
            case Forbidden.RelativeAddress: c.db(0x48, 0x8D, 0x05, 0, 0, 0, 0); break; // lea rax, [rip]
            case Forbidden.PrefixedJump: c.db(0x66, 0xE9, 0, 0, 0, 0); break;
            case Forbidden.PrefixedBranch: c.db(0x66, 0x0F, 0x84, 0, 0, 0, 0); break;
            case Forbidden.Prefetch: c.prefetcht0(__byte_ptr[rax]); break;
            case Forbidden.Undefined: c.db(0x06); break;
            case Forbidden.Evex: c.db(0x62, 0xF1, 0x7C, 0x48, 0x58, 0xC0); break;
        }
    });

    [Test]
    public void A_control_word_that_may_unmask_exceptions_is_refused()
    {
        Translation.Flavor = Flavor.X87;
        Refuses("may unmask", (c, leave) =>
        {
            c.mov(r14d, eax);
            c.mov(State(StateLayout.Spill), r14);
            c.fldcw(__word_ptr[rsp + StateLayout.Spill]);
        });
        Accepts((c, leave) =>
        {
            c.mov(r14d, eax);
            c.or(r14d, 0x3F);
            c.mov(State(StateLayout.Spill), r14);
            c.fldcw(__word_ptr[rsp + StateLayout.Spill]);
        });
    }

    [Test]
    public void A_control_word_comes_from_the_start_of_a_masked_slot_only()
    {
        Translation.Flavor = Flavor.X87;
        Refuses("may unmask", (c, leave) =>
        {
            c.mov(r14, rbx);
            Probe(c, 2, ReadTag, leave);
            c.fldcw(__word_ptr[r14]);
        });
        Refuses("may unmask", (c, leave) =>
        {
            c.mov(r14d, eax);
            c.or(r14d, 0x3F);
            c.mov(State(StateLayout.Spill), r14);
            c.fldcw(__word_ptr[rsp + StateLayout.Spill + 2]);
        });
    }

    [Test]
    public void What_BSF_may_leave_as_it_was_is_not_the_guests() => Refuses("for a value", (c, leave) =>
    {
        c.bsf(r13, rax);
        c.mov(rax, r13);
    });

    [Test]
    public void Flags_tell_nothing_of_the_page_of_a_host_address()
    {
        Accepts((c, leave) => TestFound(c, leave, 15));
        Refuses("for a value", (c, leave) => TestFound(c, leave, 0x10000));
        Refuses("for a value", (c, leave) => TestFound(c, leave, -16));
    }

    private static void TestFound(Assembler c, Label leave, int mask)
    {
        c.mov(r14, rbx);
        Probe(c, 16, ReadTag, leave);
        c.test(r14, mask);
        c.jnz(leave);
    }

    [Test]
    public void The_budget_is_not_the_guests_to_set()
    {
        Refuses("give back", (c, leave) => c.mov(State(StateLayout.Remaining), rax));
        Refuses("give back", (c, leave) => c.add(State(StateLayout.Remaining), 2));
        Accepts((c, leave) => c.add(State(StateLayout.Remaining), 1));
    }

    [Test]
    public void A_loop_that_is_not_counted_is_refused()
    {
        Refuses("not counted", (c, leave) =>
        {
            Label again = c.CreateLabel();
            c.Label(ref again);
            c.dec(rax);
            c.jnz(again);
        });
        Accepts((c, leave) =>
        {
            Label again = c.CreateLabel();
            c.Label(ref again);
            c.mov(r14, rax);
            int site = Translation.AddSite(default);
            Translation.Call(c, Translation.Stubs.Lookup(Flavor.Integer), site);
            c.test(rax, rax);
            c.jnz(again);
            Translation.Sites.Sites[site].Unlinked = Translation.ToExecutable(Translation.Start + Measure(c));
        });
    }

    [Test]
    public void A_budget_that_is_used_up_leads_to_the_runtime()
    {
        Translation.SkipsRefill = true;
        Refuses("not counted", (c, leave) => c.nop());
    }

    [TestCase(0)]
    [TestCase(65)]
    public void An_operand_is_no_larger_than_the_buffer_that_stands_in_for_it(byte size) => Refuses("larger than any", (c, leave) =>
    {
        c.mov(r14, rbx);
        Translation.Call(c, Translation.Stubs.Access(Flavor.Integer), Translation.AddSite(new Site { Size = size }));
    });

    [Test]
    public void What_the_runtime_would_point_a_jump_back_to_is_where_it_leads() => Refuses("no jump of its own", (c, leave) =>
    {
        Label link = c.CreateLabel();
        c.jmp(link);
        int site = Translation.AddSite(new Site { Jump = Translation.Start + JumpAt(c) + 1, Unlinked = Translation.Start });
        c.Label(ref link);
        Translation.Call(c, Translation.Stubs.Link(Flavor.Integer), site);
    });

    /// <summary>Where the jump begins that was written last.</summary>
    private static int JumpAt(Assembler c) => Measure(c) - 5;

    [Test]
    public void Only_a_gate_changes_the_flavor() => Refuses("changes the flavor", (c, leave) =>
    {
        Translation.Call(c, Translation.Stubs.LoadVectors);
        c.jne(leave);
    });

    [Test]
    public void Vector_registers_are_not_used_where_they_are_the_hosts()
    {
        Refuses("registers that are not the guest's", (c, leave) => c.addps(xmm0, xmm1));
        Translation.Flavor = Flavor.Vector;
        Accepts((c, leave) => c.addps(xmm0, xmm1));
        Refuses("registers that are not the guest's", (c, leave) => c.fadd(st0, st1));
    }

    [Test]
    public void A_jump_to_anywhere_else_is_refused()
    {
        Refuses("where none may", (c, leave) => c.jmp((ulong)Translation.Start - 64));
        Refuses("where none may", (c, leave) => c.jz((ulong)Translation.Stubs.Access(Flavor.Integer)));
        Refuses("where none may", (c, leave) => c.jmp((ulong)Translation.Start + 1));
    }

    [Test]
    public void Code_that_runs_on_behind_its_end_is_refused() => Refuses("runs on behind its end", (c, leave) =>
        Translation.LastStub = Translation.Stubs.Commit(Flavor.Integer));

    [Test]
    public void A_call_of_what_is_no_stub_is_refused() => Refuses("no stub", (c, leave) => c.call((ulong)Translation.Stubs.Access(Flavor.Integer) + 1));

    [Test]
    public void A_stub_of_another_flavor_is_refused() =>
        Refuses("contract", (c, leave) => Translation.Call(c, Translation.Stubs.Commit(Flavor.Vector), Translation.AddSite(default)));

    [Test]
    public void A_call_without_the_number_of_a_site_is_refused()
    {
        Refuses("number of a site", (c, leave) => Translation.Call(c, Translation.Stubs.Commit(Flavor.Integer)));
        Refuses("number of a site", (c, leave) => Translation.Call(c, Translation.Stubs.Commit(Flavor.Integer), site: 0x1234));
    }

    [Test]
    public void An_operand_that_the_runtime_has_found_is_as_large_as_its_site_says()
    {
        Accepts((c, leave) => UseFound(c, 8));
        Refuses("not within guest memory", (c, leave) => UseFound(c, 4));
    }

    private void UseFound(Assembler c, byte size)
    {
        c.mov(r14, rbx);
        Translation.Call(c, Translation.Stubs.Access(Flavor.Integer), Translation.AddSite(new Site { Size = size, Use = OperandUse.Update }));
        c.mov(__qword_ptr[r14], rax);
    }

    [Test]
    public void A_walk_says_nothing_of_bytes_beyond_a_page_unless_that_was_looked_at()
    {
        Accepts((c, leave) => UseWalk(c, leave, looks: true));
        Refuses("not within guest memory", (c, leave) => UseWalk(c, leave, looks: false));
    }

    private void UseWalk(Assembler c, Label leave, bool looks)
    {
        c.mov(r14, rbx);
        if (looks)
        {
            c.lea(r13, __[r14 + 7]);
            c.AddInstruction(Instruction.Create(Code.Xor_r64_rm64, Register.R13, Register.R14));
            c.cmp(r13, 0x1000);
            c.jae(leave);
        }

        Translation.Call(c, Translation.Stubs.Walk(write: true));
        c.jne(leave);
        c.mov(__qword_ptr[r14], rax);
    }

    [Test]
    public void A_computed_jump_goes_by_a_match_in_the_jump_table_only()
    {
        Accepts((c, leave) => JumpByTable(c, leave, looks: true, Flavor.Integer));
        Refuses("is not known", (c, leave) => JumpByTable(c, leave, looks: false, Flavor.Integer));
        Refuses("is not known", (c, leave) => JumpByTable(c, leave, looks: true, Flavor.Vector));
    }

    private static void JumpByTable(Assembler c, Label leave, bool looks, Flavor flavor)
    {
        CompareJump(c);
        if (looks)
        {
            c.jne(leave);
        }

        c.jmp(__qword_ptr[r13 + JumpTables.CodeOffset(flavor)]);
    }

    [Test]
    public void What_the_runtime_would_patch_has_to_be_a_jump()
    {
        int site = Translation.AddSite(new Site { Jump = Translation.Start + 3, Unlinked = Translation.Start });
        Refuses("no jump of its own", (c, leave) => Translation.Call(c, Translation.Stubs.Link(Flavor.Integer), site));
    }

    [Test]
    public void A_block_that_is_not_counted_is_refused()
    {
        Translation.Count = 2;
        Refuses("not counted", (c, leave) => c.nop());
    }

    /// <summary>Instructions that no translation has.</summary>
    public enum Forbidden
    {
        Push, Pop, Return, SystemCall, Interrupt, Breakpoint, Halt, Out, FarJump, ComputedJump, ComputedCall, String, RepeatedString, Translate, FsSegment,
        GsSegment, MoveToSegment, WriteFsBase, WritePkru, LoadMxcsr, SaveState, DirectionFlag, PopFlags, Relative, Absolute, ShortAddress, BitString,
        RelativeAddress, PrefixedJump, PrefixedBranch, Prefetch, Undefined, Evex,
    }
}
