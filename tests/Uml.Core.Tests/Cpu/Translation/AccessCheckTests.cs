using Iced.Intel;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>What translated accesses and jumps are checked for besides their page: alignment, breakpoints, canonical addresses.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class AccessCheckTests : IDisposable
{
    private const ulong LastPage = 0x7FFF_FFFF_F000, LastFrame = 0x1FF000;
    private const int UserFlags = 0x202;

    private readonly EnginePair _pair = new();

    public void Dispose() => _pair.Dispose();

    [Test]
    public void Alignment_is_checked_at_every_access_while_it_is_asked_for([Values] bool store)
    {
        _pair.Each(machine =>
        {
            machine.State->Cr0 |= 1 << 18;
            Uml.Core.Cpu.Paging.Mmu.UpdateMode(machine.State);
        });
        foreach (bool asked in new[] { false, true, false, true })
        {
            _pair.Load(a => BareGuest.GoToUser(a, flags: UserFlags | (asked ? (int)Flags.AC : 0)));
            _pair.Load(
                a =>
                {
                    Label again = a.CreateLabel();
                    a.mov(rbx, BareGuest.Data);
                    a.mov(r15d, 4);
                    a.Label(ref again);
                    a.mov(eax, __[rbx + 8]);
                    a.mov(__[rbx + 16], rax);
                    a.push(rax);
                    a.pop(rcx);
                    a.dec(r15d);
                    a.jnz(again);
                    a.inc(rbx);
                    if (store)
                    {
                        a.mov(__[rbx + 16], rax);
                    }
                    else
                    {
                        a.mov(eax, __[rbx + 8]);
                    }

                    a.hlt(); // #GP
                },
                BareGuest.UserCode);
            _pair.Each(machine =>
            {
                machine.State->Cpl = 0;
                machine.Rsp = BareGuest.Stack;
            });
            _pair.Run(what: $"alignment checks {asked}");
            Assert.That(_pair.Vector, Is.EqualTo(asked ? ExceptionVector.AC : ExceptionVector.GP));
        }

        _pair.AssertTranslated();
    }

    private static IEnumerable<TestCaseData> VectorOperands()
    {
        (string Name, bool Checked, Action<Assembler> Code)[] all =
        [
            ("16 bytes", false, a => a.movups(xmm1, __[rbx])),
            ("16 bytes by VEX", false, a => a.vpaddd(xmm1, xmm1, __xmmword_ptr[rbx])),
            ("32 bytes", false, a => a.vmovdqu(__[rbx], ymm1)),
            ("16 bytes under a mask", false, a => a.maskmovdqu(xmm1, xmm1)),
            ("8 bytes of half precision", false, a => a.vcvtph2ps(xmm1, __qword_ptr[rbx])),
            ("8 bytes of half precision, stored", false, a => a.vcvtps2ph(__qword_ptr[rbx], xmm1, 0)),
            ("8 bytes", true, a => a.movsd(xmm1, __[rbx])),
            ("8 bytes by VEX", true, a => a.vmovsd(xmm1, __[rbx])),
            ("4 bytes by VEX", true, a => a.vaddss(xmm1, xmm1, __dword_ptr[rbx])),
        ];
        foreach ((string name, bool isChecked, Action<Assembler> code) in all)
        {
            yield return new TestCaseData(isChecked, code).SetArgDisplayNames(name);
        }
    }

    /// <summary>Which operands are checked is the processor's choice from 16 bytes on (docs/engine.md).</summary>
    [TestCaseSource(nameof(VectorOperands))]
    public void Alignment_of_vector_operands_is_checked_as_on_Intel_processors(bool isChecked, Action<Assembler> code)
    {
        _pair.Each(machine =>
        {
            machine.State->Cr0 |= 1 << 18;
            Uml.Core.Cpu.Paging.Mmu.UpdateMode(machine.State);
        });
        _pair.Load(a => BareGuest.GoToUser(a, flags: UserFlags | (int)Flags.AC));
        _pair.Load(
            a =>
            {
                a.mov(rbx, BareGuest.Data + 1);
                a.mov(rdi, rbx);
                a.pcmpeqd(xmm1, xmm1);
                code(a);
                a.hlt(); // #GP
            },
            BareGuest.UserCode);
        _pair.Run();
        Assert.That(_pair.Vector, Is.EqualTo(isChecked ? ExceptionVector.AC : ExceptionVector.GP));
        _pair.AssertTranslated();
    }

    [Test]
    public void A_data_breakpoint_traps_behind_the_translated_access_that_hits_it([Values] bool write, [Values(0, 3, 7)] int offset)
    {
        const ulong watched = BareGuest.Data + 8;
        _pair.Load(a =>
        {
            Label again = a.CreateLabel(), keep = a.CreateLabel();
            a.mov(rbx, BareGuest.Data);
            a.mov(r15d, 6);
            a.Label(ref again);
            a.add(__[rbx], r15);
            if (write)
            {
                a.mov(__byte_ptr[rbx + 8 + offset], 5);
            }
            else
            {
                a.cmp(__byte_ptr[rbx + 8 + offset], 5);
            }

            a.add(__[rbx + 16], r15);
            a.cmp(r15d, 3);
            a.jne(keep);
            a.mov(rax, watched);
            a.mov(dr0, rax);
            a.mov(eax, write ? 0x9_0002 : 0xB_0002); // G0, eight bytes: written, or written and read
            a.mov(dr7, rax);
            a.Label(ref keep);
            a.dec(r15d);
            a.jnz(again);
            a.hlt();
        });
        _pair.Run();
        Assert.That(_pair.Vector, Is.EqualTo(ExceptionVector.DB));
        Assert.That(_pair.Jit.State->Gpr[15], Is.EqualTo(2UL), "the first round behind the setting of DR7");
        _pair.AssertTranslated();
    }

    [Test]
    public void An_instruction_breakpoint_in_the_middle_of_a_translated_block_faults_there()
    {
        const ulong function = BareGuest.Code + 0x800;
        _pair.Load(
            a =>
            {
                a.inc(rax); // three bytes each
                a.inc(rax);
                a.inc(rax);
                a.ret();
            },
            function);
        _pair.Load(a =>
        {
            Label again = a.CreateLabel(), keep = a.CreateLabel();
            a.xor(eax, eax);
            a.mov(r15d, 6);
            a.Label(ref again);
            a.call(function);
            a.cmp(r15d, 3);
            a.jne(keep);
            a.mov(rcx, function + 6);
            a.mov(dr0, rcx);
            a.mov(ecx, 2);
            a.mov(dr7, rcx);
            a.Label(ref keep);
            a.dec(r15d);
            a.jnz(again);
            a.hlt();
        });
        _pair.Run();
        Assert.That(_pair.Vector, Is.EqualTo(ExceptionVector.DB));
        Assert.That(_pair.FaultRip, Is.EqualTo(function + 6));
        Assert.That(_pair.Jit.Rax, Is.EqualTo(14UL));
        _pair.AssertTranslated();
    }

    [Test]
    public void Accesses_at_the_ends_of_the_canonical_halves_fault_as_in_the_interpreter([Values] bool store, [Values(1, 4, 8, 16)] int size)
    {
        MapLastPage();
        _pair.Load(a =>
        {
            a.add(rcx, rdx);
            switch (size, store)
            {
                case (1, false): a.mov(al, __[rbx]); break;
                case (1, true): a.mov(__[rbx], al); break;
                case (4, false): a.add(eax, __[rbx]); break;
                case (4, true): a.add(__[rbx], eax); break;
                case (8, false): a.push(__qword_ptr[rbx]); break;
                case (8, true): a.mov(__[rbx], rax); break;
                case (_, false): a.movups(xmm0, __[rbx]); break;
                default: a.movups(__[rbx], xmm0); break;
            }

            a.adc(rsi, 0);
            a.hlt();
        });
        HashSet<int> vectors = [];
        ulong[] ends = [0, 0x0000_8000_0000_0000, 0xFFFF_8000_0000_0000, 0x8000_0000_0000_0000];
        foreach (ulong end in ends)
        {
            for (int before = -1; before <= size; before++)
            {
                _pair.ResetRegisters();
                _pair.Set(3, end - (ulong)(long)before);
                _pair.Run(what: $"{before} bytes before {end:x}");
                vectors.Add(_pair.Vector);
            }
        }

        Assert.That(vectors, Is.SupersetOf(new[] { -1, (int)ExceptionVector.GP, ExceptionVector.PF }));
        _pair.AssertTranslated();
    }

    [Test]
    public void Code_that_runs_off_the_canonical_half_faults_as_in_the_interpreter([Values(0, 1, 2, 3)] int way)
    {
        MapLastPage();
        _pair.Load(a => Write(a), LastFrame);
        for (int pass = 0; pass < 3; pass++)
        {
            _pair.ResetRegisters();
            _pair.Run(LastPage, what: $"pass {pass}");
            Assert.That(_pair.Vector, Is.EqualTo(ExceptionVector.GP));
        }

        _pair.AssertTranslated();

        void Write(Assembler a)
        {
            Label again = a.CreateLabel();
            a.mov(ecx, 3);
            a.Label(ref again);
            a.dec(ecx);
            a.jnz(again);
            switch (way)
            {
                case 0: a.jmp(LastFrame + 0x1000); break;
                case 1: a.call(LastFrame + 0x1010); break;
                case 2:
                    a.test(ecx, ecx);
                    a.jz(LastFrame + 0x1000);
                    a.hlt();
                    break;
                default:
                    for (int i = 0; i < 0x1000 - 9; i++)
                    {
                        a.nop();
                    }

                    break;
            }
        }
    }

    /// <summary>Maps the last page of the lower half, through the tables that map the first 2 MiB.</summary>
    private void MapLastPage() => _pair.Each(machine =>
    {
        machine.Poke(BareGuest.PageTables + (255 * 8), 0x2000UL | 7);
        machine.Poke(0x2000 + (511 * 8), 0x3000UL | 7);
        machine.Poke(0x3000 + (511 * 8), BareGuest.PageTable | 7);
    });
}
