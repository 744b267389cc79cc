using Iced.Intel;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>Memory accesses of translated code at each place around the end of a page, whatever the two pages are.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class AccessFaultTests : IDisposable
{
    private const ulong Boundary = 0x22000, Landing = BareGuest.Code + 0x800;
    private const ulong ReadWrite = 7, ReadOnly = 5, Missing = 0, Supervisor = 3;

    private static readonly (ulong First, ulong Second)[] Pages =
    [
        (ReadWrite, ReadWrite), (ReadWrite, Missing), (Missing, ReadWrite), (ReadWrite, ReadOnly), (ReadOnly, ReadWrite), (ReadOnly, ReadOnly),
        (Supervisor, Missing), (Missing, Missing),
    ];

    private readonly EnginePair _pair = new();

    public void Dispose() => _pair.Dispose();

    private static IEnumerable<TestCaseData> Accesses()
    {
        (string Name, int Size, Action<Assembler> Code)[] all =
        [
            ("load of 8 bytes", 8, a => a.mov(rax, __[rbx])),
            ("load of 4 bytes", 4, a => a.mov(eax, __[rbx])),
            ("load of 2 bytes", 2, a => a.movzx(eax, __word_ptr[rbx])),
            ("store of 8 bytes", 8, a => a.mov(__[rbx], rax)),
            ("store of an immediate", 4, a => a.mov(__dword_ptr[rbx], 0x11223344)),
            ("store of 2 bytes", 2, a => a.mov(__[rbx], ax)),
            ("add to memory", 8, a => a.add(__[rbx], rax)),
            ("add with carry to memory", 4, a => a.adc(__[rbx], eax)),
            ("add of memory with borrow", 8, a => a.sbb(rax, __[rbx])),
            ("increment", 8, a => a.inc(__qword_ptr[rbx])),
            ("shift of memory", 4, a => a.shl(__dword_ptr[rbx], 1)),
            ("exchange", 8, a => a.xchg(__[rbx], rax)),
            ("compare and exchange", 8, a => a.cmpxchg(__[rbx], rcx)),
            ("exchange and add", 4, a => a.xadd(__[rbx], ecx)),
            ("compare", 8, a => a.cmp(__[rbx], rax)),
            ("bit string", 8, a => a.bts(__qword_ptr[rbx], 5)),
            ("unaligned vector load", 16, a => a.movups(xmm1, __[rbx])),
            ("unaligned vector store", 16, a => a.movdqu(__[rbx], xmm0)),
            ("aligned vector load", 16, a => a.movaps(xmm1, __[rbx])),
            ("aligned vector store", 16, a => a.movaps(__[rbx], xmm0)),
            ("vector operation on memory", 16, a => a.paddd(xmm0, __[rbx])),
            ("unaligned YMM load", 32, a => a.vmovdqu(ymm1, __[rbx])),
            ("unaligned YMM store", 32, a => a.vmovups(__[rbx], ymm0)),
            ("aligned YMM load", 32, a => a.vmovdqa(ymm1, __[rbx])),
            ("aligned YMM store", 32, a => a.vmovaps(__[rbx], ymm0)),
            ("streaming YMM store", 32, a => a.vmovntdq(__[rbx], ymm0)),
            ("YMM operation on memory", 32, a => a.vpaddd(ymm0, ymm1, __[rbx])),
            ("aligned load by VEX", 16, a => a.vmovdqa(xmm1, __[rbx])),
            ("VEX operation on memory", 16, a => a.vaddpd(xmm0, xmm1, __[rbx])),
            ("extraction of half a YMM register", 16, a => a.vextracti128(__[rbx], ymm0, 1)),
            ("broadcast", 8, a => a.vbroadcastsd(ymm0, __[rbx])),
            ("scalar load", 8, a => a.movsd(xmm1, __[rbx])),
            ("x87 load of 10 bytes", 10, a => a.fld(__tbyte_ptr[rbx])),
            ("x87 store of 8 bytes", 8, a => a.fst(__qword_ptr[rbx])),
            ("x87 store of 10 bytes", 10, a => a.fstp(__tbyte_ptr[rbx])),
            ("x87 integer load", 8, a => a.fild(__qword_ptr[rbx])),
            ("x87 decimal store", 10, a => a.fbstp(__tbyte_ptr[rbx])),
            ("MMX store", 8, a => a.movq(__[rbx], mm0)),
            ("MMX store of 4 bytes", 4, a => a.movd(__dword_ptr[rbx], mm0)),
            ("half-precision store", 8, a => a.vcvtps2ph(__qword_ptr[rbx], xmm0, 0)),
            ("half-precision store of 16 bytes", 16, a => a.vcvtps2ph(__xmmword_ptr[rbx], ymm0, 0)),
            ("division by memory", 8, a => a.div(__qword_ptr[rbx])),
            ("push of memory", 8, a => a.push(__qword_ptr[rbx])),
            ("pop to memory", 8, a => a.pop(__qword_ptr[rbx])),
            ("call through memory", 8, a => a.call(__qword_ptr[rbx])),
            ("jump through memory", 8, a => a.jmp(__qword_ptr[rbx])),
        ];
        foreach ((string name, int size, Action<Assembler> code) in all)
        {
            yield return new TestCaseData(size, code).SetArgDisplayNames(name);
        }
    }

    private static IEnumerable<TestCaseData> StackAccesses()
    {
        (string Name, int Below, Action<Assembler> Code)[] all =
        [
            ("push", 8, a => a.push(rax)),
            ("push of an immediate", 8, a => a.push(-5)),
            ("push of RSP", 8, a => a.push(rsp)),
            ("pop", 0, a => a.pop(rax)),
            ("pop of RSP", 0, a => a.pop(rsp)),
            ("leave", 0, a => a.leave()),
            ("call", 8, a => a.call(Landing)),
            ("indirect call", 8, a => a.call(r11)),
            ("return", 0, a => a.ret()),
            ("return that drops arguments", 0, a => a.ret(24)),
            ("push of flags", 8, a => a.pushfq()),
        ];
        foreach ((string name, int below, Action<Assembler> code) in all)
        {
            yield return new TestCaseData(below, code).SetArgDisplayNames(name);
        }
    }

    [TestCaseSource(nameof(Accesses))]
    public void An_access_at_any_byte_around_a_page_end_does_what_it_does_in_the_interpreter(int size, Action<Assembler> code)
    {
        Write(code);
        int faults = RunAll(size, before => _pair.Set(3, Boundary - (ulong)before));
        Assert.That(faults, Is.GreaterThan(2 * size), "accesses that faulted");
        _pair.AssertTranslated();
    }

    [TestCaseSource(nameof(StackAccesses))]
    public void A_stack_access_at_any_byte_around_a_page_end_does_what_it_does_in_the_interpreter(int below, Action<Assembler> code)
    {
        // Faults are delivered on a stack of their own.
        _pair.Each(machine => machine.SetGate64(ExceptionVector.PF, BareGuest.Handlers + (ExceptionVector.PF * 16), ist: 1));
        Write(code);
        int faults = RunAll(8, before =>
        {
            _pair.Set(4, Boundary - (ulong)before + (ulong)below);
            _pair.Set(5, Boundary - (ulong)before);
            _pair.Set(11, Landing);
        });
        Assert.That(faults, Is.GreaterThan(16), "accesses that faulted");
        _pair.AssertTranslated();
    }

    [TestCase(true)]
    [TestCase(false)]
    public void A_string_move_that_faults_in_the_middle_goes_on_where_it_was(bool faultsOnRead)
    {
        ulong source = Boundary - 40, destination = 0x26000 - 40UL, missing = faultsOnRead ? Boundary : 0x26000;
        _pair.Each(machine =>
        {
            for (ulong i = 0; i < 100; i++)
            {
                machine.Poke(source + i, (byte)(i + 1));
            }

            machine.Map(missing, 0, Missing);
        });
        _pair.Load(a =>
        {
            a.add(rdx, rax);
            a.rep.movsb();
            a.adc(rdx, 0);
            a.hlt();
        });
        _pair.ResetRegisters();
        _pair.Set(6, source);
        _pair.Set(7, destination);
        _pair.Set(1, 100);
        _pair.Run();
        Assert.Multiple(() =>
        {
            Assert.That(_pair.Vector, Is.EqualTo(ExceptionVector.PF));
            Assert.That(_pair.Jit.State->Gpr[1], Is.EqualTo(60UL));
            Assert.That(_pair.Jit.State->Cr2, Is.EqualTo(missing));
        });
        ulong rip = _pair.FaultRip;
        _pair.Each(machine =>
        {
            machine.Map(missing, missing, ReadWrite);
            machine.Rsp = BareGuest.Stack;
        });
        _pair.Run(rip);
        Assert.That(_pair.Vector, Is.EqualTo(-1));
        Assert.That(_pair.Jit.Peek<byte>(destination + 99), Is.EqualTo(faultsOnRead ? _pair.Jit.Peek<byte>(source + 99) : 100));
    }

    /// <summary>An instruction that takes flags as they are and leaves them: a shift by nothing, over the end of a page.</summary>
    [Test]
    public void Flags_are_what_they_were_behind_a_store_that_is_not_plain()
    {
        _pair.Load(a =>
        {
            Label again = a.CreateLabel(), skip = a.CreateLabel();
            a.mov(r15d, 20);
            a.Label(ref again);
            a.mov(rcx, BareGuest.Data + 0xFFE);
            a.cmp(ah, dl);
            a.sar(__dword_ptr[rcx], 0);
            a.jp(skip);
            a.inc(ebx);
            a.Label(ref skip);
            a.add(eax, 0x1234567);
            a.dec(r15d);
            a.jnz(again);
            a.hlt();
        });
        _pair.ResetRegisters();
        _pair.Run();
        Assert.That(_pair.Vector, Is.EqualTo(-1));
        _pair.AssertTranslated();
    }

    [Test]
    public void Division_faults_before_it_changes_anything([Values] bool signed, [Values] bool wide, [Values] bool fromMemory)
    {
        const ulong address = 0x20100;
        _pair.Load(a =>
        {
            a.add(r8, r9);
            AssemblerMemoryOperand memory = wide ? __qword_ptr[rsi] : __dword_ptr[rsi];
            Divide(a, memory, signed, wide, fromMemory);
            a.cmp(r10, 0); // a quotient leaves flags undefined
            a.hlt();
        });
        (ulong High, ulong Low, ulong Divisor)[] cases =
        [
            (0, 7, 2), (0, 7, 0), (ulong.MaxValue, ulong.MaxValue - 6, 2), (ulong.MaxValue, wide ? 1UL << 63 : 0x8000_0000, ulong.MaxValue),
            (5, 5, 5), (5, 5, 6), (0, 100, ulong.MaxValue), (ulong.MaxValue, ulong.MaxValue, ulong.MaxValue), (0, 0, 1), (0, 1UL << 63, 1),
        ];
        foreach ((ulong high, ulong low, ulong divisor) in cases)
        {
            _pair.ResetRegisters();
            (int Register, ulong Value)[] values = [(0, low), (2, high), (3, divisor), (6, address), (8, ulong.MaxValue), (9, 1)];
            foreach ((int register, ulong value) in values)
            {
                _pair.Set(register, value);
            }

            _pair.Each(machine => machine.Poke(address, divisor));
            string what = $"{high:x}:{low:x} / {divisor:x}";
            _pair.Run(what: what);
            Assert.That(_pair.Vector == ExceptionVector.DE, Is.EqualTo(IsDivideError(high, low, divisor, signed, wide)), what);
        }

        _pair.AssertTranslated();
    }

    /// <summary>Intel SDM vol. 2, DIV and IDIV: the divisor is zero, or the quotient does not fit.</summary>
    private static bool IsDivideError(ulong high, ulong low, ulong divisor, bool signed, bool wide)
    {
        int bits = wide ? 64 : 32;
        UInt128 dividend = wide ? new UInt128(high, low) : ((high & uint.MaxValue) << 32) | (low & uint.MaxValue);
        divisor = wide ? divisor : (uint)divisor;
        if (divisor == 0 || !signed)
        {
            return divisor == 0 || dividend / divisor >= UInt128.One << bits;
        }

        Int128 number = wide ? (Int128)dividend : (long)dividend;
        Int128 by = wide ? (long)divisor : (int)divisor;
        bool isMostNegative = number == Int128.MinValue && by == -1;
        Int128 quotient = isMostNegative ? 0 : number / by;
        return isMostNegative || quotient >= Int128.One << (bits - 1) || quotient < -(Int128.One << (bits - 1));
    }

    private static void Divide(Assembler a, AssemblerMemoryOperand memory, bool signed, bool wide, bool fromMemory)
    {
        switch ((signed, fromMemory))
        {
            case (true, true): a.idiv(memory); break;
            case (false, true): a.div(memory); break;
            case (true, false) when wide: a.idiv(rbx); break;
            case (true, false): a.idiv(ebx); break;
            case (false, false) when wide: a.div(rbx); break;
            default: a.div(ebx); break;
        }
    }

    /// <summary>The instruction between one that leaves flags and one that takes them.</summary>
    private void Write(Action<Assembler> code)
    {
        _pair.Load(a =>
        {
            a.add(rdx, rsi);
            code(a);
            a.adc(r8, 0);
            a.hlt();
        });
        _pair.Load(a => a.hlt(), Landing);
    }

    /// <summary>Runs at all places and kinds of pages.</summary>
    /// <returns>How many raised an exception.</returns>
    private int RunAll(int size, Action<int> aim)
    {
        int faults = 0;
        foreach ((ulong first, ulong second) in Pages)
        {
            for (int before = 0; before <= size; before++)
            {
                _pair.Each(machine =>
                {
                    machine.Map(Boundary - 0x1000, Boundary - 0x1000, first);
                    machine.Map(Boundary, Boundary, second);
                    machine.Poke(Boundary - 16, 0x4000_0000_0000_0001UL);
                    machine.Poke(Boundary - 8, 0x3FF0_1234_0000_0001UL);
                    machine.Poke(Boundary, 0x4001_1234_0000_4001UL);
                    machine.Poke(Boundary + 8, 0x4001_1234_0000_4001UL);
                    machine.Poke(Boundary - (ulong)before, Landing);
                    X87Start(machine);
                });
                _pair.ResetRegisters();
                _pair.Set(2, 0);
                _pair.Set(6, ulong.MaxValue);
                aim(before);
                _pair.Run(what: $"{before} bytes before the end, pages {first} and {second}");
                faults += _pair.Vector >= 0 ? 1 : 0;
            }
        }

        return faults;
    }

    private static void X87Start(BareGuest machine)
    {
        Uml.Core.Cpu.Semantics.Float.X87.Initialize(ref machine.State->X87);
        machine.State->X87.ValidTags = 0xFF;
        machine.State->X87.St(0).Significand = 0xC000_0000_0000_0000;
        machine.State->X87.St(0).SignExponent = 0x4000;
    }
}
