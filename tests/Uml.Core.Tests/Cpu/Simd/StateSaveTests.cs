using System.Runtime.Intrinsics;
using Iced.Intel;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.Semantics.Float;
using Uml.Core.Cpu.State;
using Uml.Core.Cpu;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Simd;

/// <summary>Images of FXSAVE and the XSAVE family, and the checks before them (Intel SDM vol. 1, chapters 10 and 13).</summary>
[TestFixture(CpuEngine.Interpreter)]
[TestFixture(CpuEngine.Jit)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class StateSaveTests : IDisposable
{
    private const ulong Area = BareGuest.Data;
    private const int Xstate = 512;
    private const ulong Compacted = 1UL << 63;

    private readonly BareGuest _machine;

    public StateSaveTests(CpuEngine engine)
    {
        _machine = new BareGuest(engine).Start64(hasHandlers: false);
        _machine.EnableVectors();
        CpuState* s = _machine.State;
        s->Gpr[7] = Area;
        s->Mxcsr = 0x1F80;
        s->Xcr0 = 3;
        SetMask(3);
        X87.Initialize(ref s->X87);
    }

    public void Dispose() => _machine.Dispose();

    [Test]
    public void Fxsave_lays_out_every_register()
    {
        FillState();
        Run(a => a.fxsave64(__[rdi]));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(_machine.Peek<ushort>(Area), Is.EqualTo(0x37F));
            Assert.That(_machine.Peek<ushort>(Area + 2), Is.EqualTo(7 << 11));
            Assert.That(_machine.Peek<byte>(Area + 4), Is.EqualTo(0x80));
            Assert.That(_machine.Peek<uint>(Area + 24), Is.EqualTo(0x1F80));
            Assert.That(_machine.Peek<uint>(Area + 28), Is.EqualTo(0xFFFF));
            Assert.That(_machine.Peek<ulong>(Area + 32), Is.EqualTo(0x8000_0000_0000_0000));
            Assert.That(_machine.Peek<ulong>(Area + 40), Is.EqualTo(0x3FFF));
            Assert.That(_machine.Peek<ulong>(Area + 160), Is.EqualTo(0x1000));
            Assert.That(_machine.Peek<ulong>(Area + 160 + (15 * 16) + 8), Is.EqualTo(0x200F));
        }
    }

    [Test]
    public void Fxrstor_brings_back_what_fxsave_wrote()
    {
        FillState();
        CpuState before = *_machine.State;
        Run(a => a.fxsave64(__[rdi]));
        Clear();
        Run(a => a.fxrstor64(__[rdi]));
        AssertRestored(&before);
    }

    [Test]
    public void Fxsave_needs_alignment_to_16_bytes()
    {
        _machine.State->Gpr[7] = Area + 8;
        Assert.That(Run(a => a.fxsave(__[rdi])), Is.EqualTo(ExceptionVector.GP));
    }

    [Test]
    public void Reserved_bits_of_MXCSR_fault_and_change_nothing()
    {
        FillState();
        Run(a => a.fxsave64(__[rdi]));
        _machine.Poke(Area + 24, 0x1_0000u);
        CpuState before = *_machine.State;
        Assert.That(Run(a => a.fxrstor64(__[rdi])), Is.EqualTo(ExceptionVector.GP));
        AssertRestored(&before);
        Assert.That(Run(a => a.ldmxcsr(__[rdi + 24])), Is.EqualTo(ExceptionVector.GP));
    }

    [Test]
    public void Xsave_and_xrstor_round_trip_and_mark_components_in_use()
    {
        FillState();
        _machine.Poke(Area + Xstate, 0xF0UL);
        CpuState before = *_machine.State;
        Run(a => a.xsave64(__[rdi]));

        // Bits that were not asked for stay as they were in the header.
        Assert.That(_machine.Peek<ulong>(Area + Xstate), Is.EqualTo(0xF3));
        _machine.Poke(Area + Xstate, 3UL);
        Clear();
        Run(a => a.xrstor64(__[rdi]));
        AssertRestored(&before);
    }

    [Test]
    public void Xsave_writes_components_in_their_initial_configuration_and_clears_their_bit()
    {
        _machine.Poke(Area + 160, ulong.MaxValue);
        Run(a => a.xsave64(__[rdi]));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(_machine.Peek<ulong>(Area + Xstate), Is.Zero);
            Assert.That(_machine.Peek<ulong>(Area + 160), Is.Zero);
        }
    }

    [Test]
    public void Xsaveopt_leaves_components_in_their_initial_configuration_unwritten()
    {
        _machine.Poke(Area, ulong.MaxValue);
        _machine.Poke(Area + 160, ulong.MaxValue);
        _machine.Poke(Area + Xstate, 3UL);
        Run(a => a.xsaveopt64(__[rdi]));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(_machine.Peek<ulong>(Area + Xstate), Is.Zero);
            Assert.That(_machine.Peek<ulong>(Area), Is.EqualTo(ulong.MaxValue));
            Assert.That(_machine.Peek<ulong>(Area + 160), Is.EqualTo(ulong.MaxValue));
            Assert.That(_machine.Peek<uint>(Area + 24), Is.EqualTo(0x1F80));
        }
    }

    [Test]
    public void Xsavec_marks_the_format_and_counts_another_MXCSR_as_use_of_SSE()
    {
        _machine.State->Mxcsr = 0x1FA0;
        Run(a => a.xsavec64(__[rdi]));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(_machine.Peek<ulong>(Area + Xstate), Is.EqualTo(2));
            Assert.That(_machine.Peek<ulong>(Area + Xstate + 8), Is.EqualTo(Compacted | 3));
            Assert.That(_machine.Peek<uint>(Area + 24), Is.EqualTo(0x1FA0));
        }
    }

    [Test]
    public void Only_requested_components_are_saved_and_restored()
    {
        FillState();
        SetMask(1);
        _machine.Poke(Area + 160, 0x5555UL);
        Run(a => a.xsave64(__[rdi]));
        Assert.That(_machine.Peek<ulong>(Area + 160), Is.EqualTo(0x5555));
        Run(a => a.xrstor64(__[rdi]));
        Assert.That(CpuState.At<ulong>(_machine.State, CpuState.VectorsOffset), Is.EqualTo(0x1000));
    }

    [Test]
    public void Xrstor_initialises_requested_components_that_the_image_lacks()
    {
        FillState();
        _machine.State->Mxcsr = 0x1FBF;
        _machine.Poke(Area + 24, 0x3F80u);
        Run(a => a.xrstor64(__[rdi]));
        using (Assert.EnterMultipleScope())
        {
            // The standard format always loads MXCSR with SSE; the compacted one treats it as part of the component.
            Assert.That(_machine.State->Mxcsr, Is.EqualTo(0x3F80));
            Assert.That(StateComponents.InUse(_machine.State), Is.Zero);
        }

        _machine.Poke(Area + Xstate + 8, Compacted | 3);
        Run(a => a.xrstor64(__[rdi]));
        Assert.That(_machine.State->Mxcsr, Is.EqualTo(0x1F80));
    }

    [TestCase(4UL, 0UL, 0UL, TestName = "A component that XCR0 does not enable")]
    [TestCase(0UL, 1UL, 0UL, TestName = "A compaction mask without the compacted bit")]
    [TestCase(0UL, 0UL, 1UL, TestName = "A reserved byte of a standard header")]
    [TestCase(1UL, Compacted, 0UL, TestName = "A component that the compaction mask lacks")]
    [TestCase(0UL, Compacted | 4, 0UL, TestName = "A compaction mask with a component that XCR0 does not enable")]
    [TestCase(0UL, Compacted | 3, 1UL, TestName = "A reserved byte of a compacted header")]
    public void Xrstor_refuses(ulong states, ulong compaction, ulong reserved)
    {
        FillState();
        _machine.Poke(Area + 24, 0x1F80u);
        _machine.Poke(Area + Xstate, states);
        _machine.Poke(Area + Xstate + 8, compaction);
        _machine.Poke(Area + Xstate + 56, reserved);
        CpuState before = *_machine.State;
        Assert.That(Run(a => a.xrstor64(__[rdi])), Is.EqualTo(ExceptionVector.GP));
        AssertRestored(&before);
    }

    [Test]
    public void The_area_needs_alignment_to_64_bytes()
    {
        _machine.State->Gpr[7] = Area + 16;
        Assert.That(Run(a => a.xsave(__[rdi])), Is.EqualTo(ExceptionVector.GP));
        Assert.That(Run(a => a.xrstor(__[rdi])), Is.EqualTo(ExceptionVector.GP));
    }

    [Test]
    public void A_page_that_cannot_be_written_behind_the_first_one_leaves_the_first_one_alone()
    {
        FillState();
        _machine.Map(Area + 0x1000, Area + 0x1000, flags: 5);
        _machine.State->Cr0 |= 1 << 16;
        _machine.State->Gpr[7] = Area + 0x1000 - 64;
        Assert.That(Run(a => a.xsave64(__[rdi])), Is.EqualTo(ExceptionVector.PF));
        Assert.That(_machine.Peek<ulong>(Area + 0x1000 - 64), Is.Zero);
    }

    [Test]
    public void Xcr0_is_read_and_written_by_the_rules()
    {
        CpuState* s = _machine.State;
        s->Gpr[1] = 0;
        SetMask(1);
        Run(a => a.xsetbv());
        Assert.That(s->Xcr0, Is.EqualTo(1));
        foreach (ulong invalid in new ulong[] { 0, 2, 5, 1UL << 63 | 1 })
        {
            SetMask(invalid);
            Assert.That(Run(a => a.xsetbv()), Is.EqualTo(ExceptionVector.GP), $"{invalid:X}");
        }

        Run(a => a.xgetbv());
        Assert.That((s->Gpr[0], s->Gpr[2]), Is.EqualTo((1UL, 0UL)));
        s->Gpr[1] = 2;
        Assert.That(Run(a => a.xgetbv()), Is.EqualTo(ExceptionVector.GP));
    }

    [Test]
    public void Without_OSXSAVE_the_family_does_not_exist()
    {
        _machine.State->Cr4 &= ~(1UL << 18);
        Mmu.UpdateMode(_machine.State);
        Assert.That(Run(a => a.xsave(__[rdi])), Is.EqualTo(ExceptionVector.UD));
        Assert.That(Run(a => a.xgetbv()), Is.EqualTo(ExceptionVector.UD));
    }

    private byte? Run(Action<Assembler> code) => _machine.Step(code);

    private void SetMask(ulong mask)
    {
        _machine.State->Gpr[0] = (uint)mask;
        _machine.State->Gpr[2] = mask >> 32;
    }

    /// <summary>1.0 in ST(0), and a different value in each half of each XMM register.</summary>
    private void FillState()
    {
        CpuState* s = _machine.State;
        X87.Initialize(ref s->X87);
        X87.LoadConstant(ref s->X87, 0);
        for (int i = 0; i < 16; i++)
        {
            CpuState.At<Vector128<ulong>>(s, CpuState.VectorsOffset + (32 * i)) = Vector128.Create(0x1000UL + (uint)i, 0x2000UL + (uint)i);
        }
    }

    private void Clear()
    {
        CpuState* s = _machine.State;
        s->X87 = default;
        s->Vectors = default;
        s->Mxcsr = 0x1F80;
    }

    private void AssertRestored(CpuState* before)
    {
        CpuState* s = _machine.State;
        int size = 32 * 16;
        ReadOnlySpan<byte> expected = new((byte*)before + CpuState.VectorsOffset, size);
        Assert.That(new ReadOnlySpan<byte>((byte*)s + CpuState.VectorsOffset, size).SequenceEqual(expected), "XMM registers");
        expected = new((byte*)before + CpuState.X87Offset, sizeof(X87State));
        Assert.That(new ReadOnlySpan<byte>((byte*)s + CpuState.X87Offset, sizeof(X87State)).SequenceEqual(expected), "x87 state");
        Assert.That(s->Mxcsr, Is.EqualTo(before->Mxcsr));
    }
}
