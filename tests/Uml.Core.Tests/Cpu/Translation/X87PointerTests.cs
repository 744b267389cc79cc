using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>FIP, FDP and FOP: of the instruction that raised an unmasked exception, in both engines (docs/engine.md, "Choices").</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class X87PointerTests : IDisposable
{
    private const ulong Zero = BareGuest.Data, Control = BareGuest.Data + 0x40, Image = BareGuest.Data + 0x200;
    private const ushort AllMasked = 0x37F, DivisionUnmasked = 0x37B;

    private readonly EnginePair _pair = new();

    public void Dispose() => _pair.Dispose();

    private static IEnumerable<TestCaseData> Divisions()
    {
        yield return new TestCaseData((Action<Assembler>)(a => a.fdiv(__dword_ptr[(int)Zero])), (ushort)0x034, Zero).SetArgDisplayNames("fdiv m32fp");
        yield return new TestCaseData((Action<Assembler>)(a => a.fdiv(__qword_ptr[rbp])), (ushort)0x475, Zero).SetArgDisplayNames("fdiv m64fp");
        yield return new TestCaseData((Action<Assembler>)(a => a.fidiv(__word_ptr[r9])), (ushort)0x631, Zero).SetArgDisplayNames("rex fidiv m16int");
        yield return new TestCaseData((Action<Assembler>)(a => a.fdiv(st0, st1)), (ushort)0x0F1, 0UL).SetArgDisplayNames("fdiv st, st(1)");
    }

    [TestCaseSource(nameof(Divisions))]
    public void They_name_the_instruction_that_raised_an_unmasked_exception(Action<Assembler> division, ushort opcode, ulong data)
    {
        Load(division, out ulong rip);
        Run(DivisionUnmasked);
        Assert.Multiple(() =>
        {
            Assert.That(Read<ushort>(2) & 0x84, Is.EqualTo(0x84), "status word");
            Assert.That(Read<ushort>(6), Is.EqualTo(opcode), "FOP");
            Assert.That(Read<ulong>(8), Is.EqualTo(rip), "FIP");
            Assert.That(Read<ulong>(16), Is.EqualTo(data), "FDP");
        });
        _pair.AssertTranslated();
    }

    [TestCaseSource(nameof(Divisions))]
    public void They_stay_where_all_exceptions_are_masked(Action<Assembler> division, ushort opcode, ulong data)
    {
        Load(division, out _);
        Run(AllMasked);
        Assert.Multiple(() =>
        {
            Assert.That(Read<ushort>(2) & 0x84, Is.EqualTo(4), "status word");
            Assert.That((Read<ushort>(6), Read<ulong>(8), Read<ulong>(16)), Is.EqualTo(((ushort)0, 0UL, 0UL)));
        });
        _pair.AssertTranslated();
    }

    /// <summary>One is at the top and zero below: divided by ST(1) as by the zero in memory.</summary>
    private void Load(Action<Assembler> division, out ulong rip)
    {
        ulong at = 0;
        _pair.Load(a =>
        {
            a.fldz();
            a.fld1();
            a.fldcw(__word_ptr[(int)Control]);
            Label here = a.CreateLabel();
            a.Label(ref here);
            division(a);
            a.fxsave64(__[(int)Image]);
            a.hlt();
            using MemoryStream stream = new();
            at = a.Assemble(new StreamCodeWriter(stream), BareGuest.Code, BlockEncoderOptions.ReturnNewInstructionOffsets).GetLabelRIP(here);
        });
        rip = at;
    }

    private void Run(ushort control)
    {
        _pair.ResetRegisters();
        _pair.Set(5, Zero);
        _pair.Set(9, Zero);
        _pair.Each(machine =>
        {
            machine.Poke(Control, control);
            machine.Poke(Zero, 0UL);
        });
        _pair.Run();
    }

    private T Read<T>(ulong offset)
        where T : unmanaged => _pair.Jit.Peek<T>(Image + offset);
}
