using Iced.Intel;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>32-bit code under a 64-bit system: changes between the two, what the upper halves do, and the end of its address space.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class CompatibilityModeTests : IDisposable
{
    private const ulong Code32 = BareGuest.UserCode, Top = 0xFFFF_F000, TopPhysical = 0x8_0000, Tables = 0xA000;

    private readonly EnginePair _pair = new();

    public CompatibilityModeTests() => _pair.Each(machine =>
    {
        // The last page below 4 GiB, so that code and data can run over the end.
        machine.Poke(0x2000 + (3 * 8), Tables | 7UL);
        machine.Poke(Tables + (511 * 8), (Tables + 0x1000) | 7UL);
        machine.Poke(Tables + 0x1000 + (511 * 8), TopPhysical | 7UL);
        foreach (SegmentIndex segment in new[] { SegmentIndex.Ds, SegmentIndex.Es, SegmentIndex.Ss })
        {
            machine.State->Segments[(int)segment] = new SegmentRegister { Selector = BareGuest.Data0, Limit = uint.MaxValue, Attributes = 0xC093 };
        }
    });

    public void Dispose() => _pair.Dispose();

    /// <summary>The same bytes in both modes: INC RAX in one, DEC EAX and INC EAX in the other.</summary>
    [Test]
    public void The_same_bytes_mean_what_they_mean_in_each_mode()
    {
        Load32(a =>
        {
            Label next = a.CreateLabel();
            a.db(0x48, 0xFF, 0xC0);
            a.db(0x40, 0x90); // REX and NOP, or INC EAX and NOP
            a.jmp(next);
            a.nop();
            a.Label(ref next);
        });
        LoadLoop(20, a =>
        {
            CallFar(a, BareGuest.Code32);
            CallFar(a, BareGuest.Code64);
        });
        Run(() => _pair.Set(0, 0x1_FFFF_FFF0));
        Assert.That(_pair.Vector, Is.EqualTo(-1));

        // Each round adds one and one; the eighth goes beyond 32 bits, which 32-bit code clears in the ninth.
        Assert.That(_pair.Jit.Rax, Is.EqualTo(24));
    }

    [Test]
    public void Upper_halves_have_no_part_in_addresses_and_are_cleared_by_writes()
    {
        const ulong upper = 0x1234_5678UL << 32;
        Run32(
            a =>
            {
                a.mov(eax, __[ebx]);
                a.mov(__[ebx + ecx * 4 + 8], eax);
                a.mov(edx, __[esi + 4]);
                a.mov(dl, 7);
                a.push(ebx);
                a.pop(ebp);
                a.lea(edi, __[edi + edi]);
                a.call(__dword_ptr[ebx + 0x100]);
            },
            () =>
            {
                _pair.Each(machine => machine.Poke(BareGuest.Data + 0x100, (uint)BareGuest.Code + 0x800));
                _pair.Load(a => a.ret(), BareGuest.Code + 0x800, bitness: 32);
                _pair.Set(3, upper | BareGuest.Data);
                _pair.Set(1, upper | 3);
                _pair.Set(6, upper | (BareGuest.Data + 0x40));
            });
        Assert.That(_pair.Vector, Is.EqualTo(-1));
    }

    /// <summary>The pages that all 64 bits lead to are there as well, and in the TLB.</summary>
    [Test]
    public void Upper_halves_have_no_part_in_the_addresses_of_strings([Values] bool moves)
    {
        const ulong upper = 1UL << 32, source = BareGuest.Data, destination = BareGuest.Data + 0x1000;
        _pair.Each(machine =>
        {
            machine.Poke(source, 0x1122_3344_5566_7788UL);

            // With their upper halves the pointers lead to other memory.
            machine.Poke(0x2000 + (4 * 8), (Tables + 0x2000) | 7UL);
            machine.Poke(Tables + 0x2000, (Tables + 0x3000) | 7UL);
            machine.Poke(Tables + 0x3000 + (source >> 12 << 3), TopPhysical | 7UL);
            machine.Poke(Tables + 0x3000 + (destination >> 12 << 3), (TopPhysical + 0x1000) | 7UL);
        });
        Run32(
            a =>
            {
                a.mov(eax, 0x5566_7788);
                a.mov(ecx, 4);
                StringTests.Repeat(a, 4, moves);
            },
            beforeCall: a =>
            {
                a.mov(rsi, upper | source);
                a.mov(rdi, upper | destination);
                a.mov(rax, __[rsi]);
                a.mov(__[rdi], rax);
            });
        Assert.Multiple(() =>
        {
            Assert.That(_pair.Vector, Is.EqualTo(-1));
            Assert.That(_pair.Jit.Peek<uint>(destination), Is.EqualTo(0x5566_7788));
            Assert.That(_pair.Jit.State->Gpr[7], Is.EqualTo(destination + 16));
        });
    }

    [Test]
    public void Data_that_runs_over_the_end_of_the_address_space_goes_on_at_its_start()
    {
        Run32(a =>
        {
            a.mov(ebx, -2);
            a.mov(__dword_ptr[ebx], 0x1122_3344);
            a.mov(eax, __[ebx]);
            a.add(__[ebx - 1], eax);
            a.mov(ecx, __[ebx + 2]);
            a.mov(edx, __[ebx + 0x80]);
        });
        Assert.Multiple(() =>
        {
            Assert.That(_pair.Jit.Rax, Is.EqualTo(0x1122_3344));
            Assert.That(_pair.Vector, Is.EqualTo(-1));
        });
    }

    [Test]
    public void A_stack_that_runs_over_the_end_of_the_address_space_goes_on_at_its_start()
    {
        Run32(a =>
        {
            a.mov(ebp, esp);
            a.mov(esp, 6);
            a.push(eax);
            a.push(ecx);
            a.push(edx);
            a.pop(esi);
            a.pop(edi);
            a.pop(ebx);
            a.mov(eax, esp);
            a.mov(esp, ebp);
        });
        Assert.That(_pair.Jit.Rax, Is.EqualTo(6));
    }

    [Test]
    public void Strings_up_to_the_end_of_the_address_space_leave_their_pointers_at_its_start([Values] bool moves)
    {
        Run32(a =>
        {
            a.mov(esi, -0x200);
            a.mov(edi, -0x100);
            a.mov(edx, __[esi]);
            a.mov(__[edi], edx);
            a.mov(ecx, 0x40);
            StringTests.Repeat(a, 4, moves);
        });
        Assert.That(_pair.Jit.State->Gpr[7], Is.Zero);
    }

    /// <summary>A jump forward, a call back, and an instruction that begins in the last page and ends in the first.</summary>
    [Test]
    public void Code_runs_over_the_end_of_the_address_space()
    {
        const ulong crossing = TopPhysical + 0xFFD;
        _pair.Each(machine =>
        {
            // MOV EAX, 44332211H over the end, then INC EBX and RET.
            machine.Poke(crossing, (byte)0xB8);
            machine.Poke(crossing + 1, (ushort)0x2211);
            machine.Poke(0, (ushort)0x4433);
            machine.Poke(2, (ushort)0xC343);

            // ADD ESI, 3 and a JMP to 2.
            machine.Poke(TopPhysical + 0xF00, 0xE9_03_C6_83U);
            machine.Poke(TopPhysical + 0xF04, unchecked(2U - (0xFFFF_FF00 + 8)));
        });
        Run32(a =>
        {
            a.call(Top + 0xFFD);
            a.mov(edi, unchecked((int)0xFFFF_FF00));
            a.call(edi);
            a.call(Top + 0xF00);
        });
        Assert.Multiple(() =>
        {
            Assert.That(_pair.Vector, Is.EqualTo(-1));
            Assert.That(_pair.Jit.Rax, Is.EqualTo(0x4433_2211));
        });
    }

    [Test]
    public void Faults_are_precise()
    {
        Run32(a =>
        {
            a.cmp(eax, ebx);
            a.mov(edx, 0x40_0000);
            a.inc(esi);
            a.mov(__[edx], eax);
        });
        Assert.Multiple(() =>
        {
            Assert.That(_pair.Vector, Is.EqualTo(ExceptionVector.PF));
            Assert.That(_pair.Jit.State->Cr2, Is.EqualTo(0x40_0000UL));
        });
    }

    private static void CallFar(Assembler a, ushort selector)
    {
        // Without REX.W words of four bytes are pushed, as RETF pops them in either mode.
        Label pointer = a.CreateLabel(), over = a.CreateLabel();
        a.jmp(over);
        a.Label(ref pointer);
        a.dd((uint)Code32);
        a.dw(selector);
        a.Label(ref over);
        a.call(__fword_ptr[pointer]);
    }

    /// <summary>An operand that begins below 4 GiB in a segment ends at address 0, as in protected mode.</summary>
    [Test]
    public void A_store_under_a_mask_wraps_around_at_4_GiB()
    {
        _pair.Each(machine => machine.SetDescriptor(BareGuest.Scratch, BareGuest.Descriptor(0x1000, 0xFFFFF, 0x93, 0xC)));
        Run32(
            a =>
            {
                a.mov(eax, BareGuest.Scratch);
                a.mov(ds, ax);
                a.mov(edi, (uint)Top - 0x1000 + 0xFFC);
                a.pcmpeqd(xmm1, xmm1);
                a.maskmovdqu(xmm1, xmm1);
            },
            () => _pair.Each(machine => machine.Poke(0, 0UL)));
        Assert.That(_pair.Vector, Is.EqualTo(-1));
        Assert.That(_pair.Jit.Peek<uint>(TopPhysical + 0xFFC), Is.EqualTo(uint.MaxValue));
        Assert.That(_pair.Jit.Peek<ulong>(0), Is.EqualTo(ulong.MaxValue));
    }

    /// <summary>Runs 32-bit code some times over, called from 64-bit code.</summary>
    private void Run32(Action<Assembler> code, Action? prepare = null, Action<Assembler>? beforeCall = null)
    {
        Load32(code);
        LoadLoop(10, a =>
        {
            beforeCall?.Invoke(a);
            CallFar(a, BareGuest.Code32);
        });
        Run(prepare);
    }

    /// <summary>Puts a procedure where far calls lead to.</summary>
    private void Load32(Action<Assembler> code) => _pair.Load(
        a =>
        {
            code(a);
            a.db(0xCB); // retf
        },
        Code32,
        bitness: 32);

    private void LoadLoop(int passes, Action<Assembler> body) => _pair.Load(a =>
    {
        Label again = a.CreateLabel();
        a.mov(r8d, passes);
        a.Label(ref again);
        body(a);
        a.dec(r8d);
        a.jnz(again);
        a.hlt();
    });

    private void Run(Action? prepare = null)
    {
        _pair.ResetRegisters();
        prepare?.Invoke();
        _pair.Run();
        _pair.AssertTranslated();
    }
}
