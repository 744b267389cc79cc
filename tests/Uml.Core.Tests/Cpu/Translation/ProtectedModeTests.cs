using Iced.Intel;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>32-bit code in protected mode: what it has that 64-bit mode has not, segments, and the paging structures of its own.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class ProtectedModeTests : IDisposable
{
    private const uint Data = (uint)BareGuest.Data;

    private readonly EnginePair _pair = new(bitness: 32);

    public ProtectedModeTests() => _pair.Each(machine =>
    {
        for (ulong i = 0; i < 0x3000; i += 8)
        {
            machine.Poke(BareGuest.Data + i, (i + 1) * 0x9E37_79B9_7F4A_7C15);
        }
    });

    public void Dispose() => _pair.Dispose();

    [Test]
    public void Increments_of_one_byte_count_and_keep_the_carry()
    {
        Repeat(a =>
        {
            a.db(0xF9); // stc
            a.db(0x40, 0x41, 0x4A, 0x4B, 0x45, 0x4E, 0x47); // inc eax, inc ecx, dec edx, dec ebx, inc ebp, dec esi, inc edi
            a.adc(eax, 0);
            a.db(0x66, 0x41, 0x66, 0x4B); // inc cx, dec bx
            a.setc(dl);
        });
    }

    [Test]
    public void The_accumulator_is_moved_to_and_from_absolute_addresses()
    {
        Repeat(a =>
        {
            a.db(0xA1); // mov eax, [Data]
            a.dd(Data);
            a.db(0xA3); // mov [Data + 0x104], eax
            a.dd(Data + 0x104);
            a.db(0xA0); // mov al, [Data + 9]
            a.dd(Data + 9);
            a.db(0xA2); // mov [Data + 0x10B], al
            a.dd(Data + 0x10B);
            a.db(0x66, 0xA1); // mov ax, [Data + 0x11]
            a.dd(Data + 0x11);
            a.db(0x66, 0xA3); // mov [Data + 0x111], ax
            a.dd(Data + 0x111);
            a.add(ecx, __dword_ptr[Data + 0x104]);
            a.add(__[Data + 0x120], eax);
        });
    }

    [Test]
    public void The_stack_moves_by_words_of_four_bytes()
    {
        Repeat(a =>
        {
            Label function = a.CreateLabel(), end = a.CreateLabel();
            a.push(eax);
            a.push(0x1234_5678);
            a.push(-3);
            a.push(__dword_ptr[Data]);
            a.pushfd();
            a.pop(ebx);
            a.push(esp);
            a.pop(edx);
            a.call(function);
            a.mov(eax, esp);
            a.pop(ecx);
            a.lea(esp, __[esp + 8]);
            a.pop(edi);
            a.jmp(end);
            a.Label(ref function);
            a.push(ebp);
            a.mov(ebp, esp);
            a.sub(esp, 0x20);
            a.mov(__[ebp - 8], ecx);
            a.mov(__[esp + 4], edx);
            a.xor(esi, __[ebp - 8]);
            a.leave();
            a.ret(4);
            a.Label(ref end);

            // Two words more than were left.
            a.push(esi);
        });
    }

    [Test]
    public void Computed_jumps_and_calls_take_targets_of_four_bytes()
    {
        _pair.Load(
            a =>
            {
                a.inc(esi);
                a.ret();
            },
            BareGuest.UserCode);
        _pair.Load(
            a =>
            {
                a.push((int)BareGuest.UserCode);
                a.ret();
            },
            BareGuest.UserCode + 0x10);
        _pair.Each(machine => machine.Poke(BareGuest.Data, (uint)BareGuest.UserCode));
        Repeat(a =>
        {
            a.mov(eax, (int)BareGuest.UserCode);
            a.call(eax);
            a.call(__dword_ptr[Data]);
            a.call(BareGuest.UserCode + 0x10);
        });
    }

    [Test]
    public void A_bit_string_reaches_both_ways()
    {
        Repeat(a =>
        {
            a.mov(ebx, (int)Data + 0x400);
            a.mov(eax, -0x333);
            a.bt(__dword_ptr[ebx], eax);
            a.adc(ecx, ecx);
            a.mov(eax, 0x777);
            a.bt(__dword_ptr[ebx], eax);
            a.adc(ecx, ecx);
            a.mov(eax, 0x155);
            a.bts(__dword_ptr[ebx], eax);
            a.adc(edx, edx);
        });
    }

    [Test]
    public void Addresses_wrap_at_4_GiB()
    {
        Repeat(a =>
        {
            a.mov(ebx, -16);
            a.mov(eax, __[ebx + (int)Data + 0x20]);
            a.mov(esi, (int)Data + 0x40);
            a.mov(edi, 0x4000_0000);
            a.add(eax, __[esi + edi * 4 + 8]);
            a.mov(ebp, (int)Data + 0x1000);
            a.add(eax, __[ebp + ebx * 8 + 4]);
            a.lea(ecx, __[ebx + ebx + 7]);
            a.mov(__[ebp + ebx], eax);
        });
    }

    [Test]
    public void Pages_are_filled_and_copied_by_counted_strings([Values(1, 2, 4)] int size)
    {
        Repeat(a =>
        {
            a.mov(ecx, 0x100 / size);
            a.mov(edi, (int)Data + 0x800);
            StringTests.Repeat(a, size, moves: false);
            a.add(eax, edi);
            a.mov(ecx, 0x180 / size);
            a.mov(esi, (int)Data + 0x780);
            a.mov(edi, (int)Data + 0x1FF0);
            StringTests.Repeat(a, size, moves: true);
            a.add(eax, esi);
            a.sub(eax, edi);
        });
        byte[] memory = _pair.Jit.ReadMemory();
        Assert.That(memory[((int)Data + 0x1FF0)..((int)Data + 0x2170)], Is.EqualTo(memory[((int)Data + 0x780)..((int)Data + 0x900)]));
    }

    /// <summary>The data segment begins elsewhere for a while: code that was translated for a flat one may not be used then.</summary>
    [Test]
    public void A_segment_that_begins_elsewhere_is_heeded()
    {
        _pair.Each(machine => machine.SetDescriptor(BareGuest.Scratch, BareGuest.Descriptor(0x1000, 0xFFFFF, 0x93, 0xC)));
        Repeat(a =>
        {
            a.mov(eax, BareGuest.Scratch);
            a.mov(ds, ax);
            a.mov(ebx, __[Data + 0x10]);
            a.mov(ecx, __dword_ptr.cs[Data + 0x10]);
            a.mov(edx, BareGuest.Data0);
            a.mov(ds, dx);
            a.mov(edi, __[Data + 0x10]);
            a.mov(eax, ebx);
            a.sub(eax, edi);
        });
        Assert.That(_pair.Jit.State->Gpr[3], Is.Not.EqualTo(_pair.Jit.State->Gpr[7]));
        Assert.That(_pair.Jit.State->Gpr[1], Is.EqualTo(_pair.Jit.State->Gpr[7]));
    }

    /// <summary>As thread-local storage has it: at negative offsets from a segment of 4 GiB.</summary>
    [Test]
    public void Segments_of_4_GiB_are_added_to_addresses([Values] bool useFs)
    {
        _pair.Each(machine => machine.SetDescriptor(BareGuest.Scratch, BareGuest.Descriptor(Data + 0x800, 0xFFFFF, 0x93, 0xC)));
        Repeat(a =>
        {
            a.mov(eax, BareGuest.Scratch);
            if (useFs)
            {
                a.mov(fs, ax);
                a.mov(ebx, __dword_ptr.fs[0xFFFF_FFFC]);
                a.add(__dword_ptr.fs[0x10], ebx);
                a.mov(ecx, -8);
                a.push(__dword_ptr.fs[ecx]);
            }
            else
            {
                a.mov(gs, ax);
                a.mov(ebx, __dword_ptr.gs[0xFFFF_FFFC]);
                a.add(__dword_ptr.gs[0x10], ebx);
                a.mov(ecx, -8);
                a.push(__dword_ptr.gs[ecx]);
            }

            a.pop(esi);
        });
        Assert.That(_pair.Jit.State->Gpr[3], Is.EqualTo(_pair.Jit.Peek<uint>(BareGuest.Data + 0x7FC)));
    }

    [TestCase(0xFFEu, ExceptionVector.GP)]
    [TestCase(0xFF8u, -1)]
    public void Segments_with_a_limit_end_there(uint offset, int vector)
    {
        _pair.Each(machine => machine.SetDescriptor(BareGuest.Scratch, BareGuest.Descriptor(Data, 0xFFF, 0x93, 0x4)));
        _pair.Load(a =>
        {
            a.mov(eax, BareGuest.Scratch);
            a.mov(fs, ax);
            a.mov(ebx, __dword_ptr.fs[offset]);
            a.hlt();
        });
        Run();
        Assert.That(_pair.Vector, Is.EqualTo(vector));
    }

    [Test]
    public void Without_a_selector_a_segment_cannot_be_used()
    {
        _pair.Load(a =>
        {
            a.xor(eax, eax);
            a.mov(gs, ax);
            a.mov(ebx, __dword_ptr.gs[Data]);
            a.hlt();
        });
        Run();
        Assert.That(_pair.Vector, Is.EqualTo(ExceptionVector.GP));
    }

    /// <summary>Two levels of tables, or three: the emitted walk of 64-bit mode has four.</summary>
    [Test]
    public void The_tables_of_legacy_paging_are_walked([Values] bool physicalAddressExtension)
    {
        const uint directory = 0xA000, table = 0xB000, pointers = 0xC000, linear = 0x0060_0000;
        _pair.Each(machine =>
        {
            if (physicalAddressExtension)
            {
                machine.Poke(pointers, directory | 1UL);
                machine.Poke(directory, 0x87UL); // 2 MiB at 0
                machine.Poke(directory + 24, table | 7UL);
                machine.Poke(table, Data | 7UL);
                machine.Poke(table + 8, Data | 5UL);
            }
            else
            {
                machine.Poke(directory, 0x87U); // 4 MiB at 0
                machine.Poke(directory + 4, table | 7U);
                machine.Poke(table + 0x800, Data | 7U);
                machine.Poke(table + 0x804, Data | 5U);
            }
        });
        _pair.Load(a =>
        {
            Label again = a.CreateLabel();
            a.mov(eax, physicalAddressExtension ? 0x6B0 : 0x690);
            a.mov(cr4, eax);
            a.mov(eax, (int)(physicalAddressExtension ? pointers : directory));
            a.mov(cr3, eax);
            a.mov(eax, cr0);
            a.or(eax, unchecked((int)0x8001_0000)); // PG, WP
            a.mov(cr0, eax);
            a.mov(ecx, 20);
            a.Label(ref again);
            a.mov(eax, __[linear + 0x10]);
            a.add(__[linear + 0x14], eax);
            a.add(edx, __[linear + 0x1014]);
            a.sub(edx, __[linear + 0xFFE]);
            a.dec(ecx);
            a.jnz(again);
            a.mov(__[linear + 0x1000], eax);
            a.hlt();
        });
        Run();
        Assert.Multiple(() =>
        {
            Assert.That(_pair.Vector, Is.EqualTo(ExceptionVector.PF));
            Assert.That(_pair.Jit.State->Cr2, Is.EqualTo((ulong)linear + 0x1000));
            Assert.That(_pair.Jit.State->Gpr[1], Is.Zero);
        });
        _pair.AssertTranslated();
    }

    [Test]
    public void User_code_comes_back_through_gates()
    {
        _pair.Each(machine => machine.SetGate32(0x80, (uint)BareGuest.Code + 0x800, type: 0xEE));
        _pair.Load(
            a =>
            {
                a.add(ebx, eax);
                a.iretd();
            },
            BareGuest.Code + 0x800);
        _pair.Load(
            a =>
            {
                Label again = a.CreateLabel();
                a.mov(ecx, 30);
                a.Label(ref again);
                a.mov(eax, ecx);
                a.@int(0x80);
                a.dec(ecx);
                a.jnz(again);
                a.cli();
            },
            BareGuest.UserCode);
        _pair.Load(a =>
        {
            a.mov(eax, BareGuest.UserData);
            a.mov(ds, ax);
            a.mov(es, ax);
            a.push(BareGuest.UserData);
            a.push((int)BareGuest.Stack);
            a.push(0x202);
            a.push(BareGuest.User32);
            a.push((int)BareGuest.UserCode);
            a.iretd();
        });
        Run();
        Assert.That(_pair.Vector, Is.EqualTo(ExceptionVector.GP));
        Assert.That((uint)_pair.Jit.State->Gpr[3], Is.EqualTo(0x0404_0404 + (30u * 31 / 2)));
        _pair.AssertTranslated();
    }

    /// <summary>Runs code some times over, so that it runs translated and with its jumps linked.</summary>
    private void Repeat(Action<Assembler> code)
    {
        const uint count = Data + 0x2FF0;
        _pair.Each(machine => machine.Poke(count, 20));
        _pair.Load(a =>
        {
            Label again = a.CreateLabel();
            a.Label(ref again);
            code(a);
            a.dec(__dword_ptr[count]);
            a.jnz(again);
            a.hlt();
        });
        Run();
        Assert.That(_pair.Vector, Is.EqualTo(-1));
        Assert.That(_pair.Jit.Peek<uint>(count), Is.Zero);
        _pair.AssertTranslated();
    }

    private void Run()
    {
        _pair.ResetRegisters();
        for (int i = 0; i < 8; i++)
        {
            _pair.Set(i, i == 4 ? BareGuest.Stack : 0x0101_0101u * (ulong)(i + 1));
        }

        _pair.Run(budget: 100_000);
    }
}
