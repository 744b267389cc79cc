using Iced.Intel;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>Rights of pages that change under the accesses of translated code, and the bits that these leave.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class PageRightsTests : IDisposable
{
    private readonly EnginePair _pair = new();

    public void Dispose() => _pair.Dispose();

    [Test]
    public void Write_protection_that_comes_and_goes_is_obeyed_by_translated_stores()
    {
        _pair.Load(a =>
        {
            Label again = a.CreateLabel();
            a.mov(rbx, BareGuest.Data);
            a.mov(r15d, 4);
            a.Label(ref again);
            a.mov(rax, cr0);
            a.btr(rax, 16);
            a.mov(cr0, rax);
            a.add(__[rbx], r15);
            a.bts(rax, 16);
            a.mov(cr0, rax);
            a.cmp(__[rbx], r15);
            a.dec(r15d);
            a.jnz(again);
            a.mov(__[rbx], r15);
            a.hlt();
        });
        _pair.Each(machine => machine.Map(BareGuest.Data, BareGuest.Data, 5));
        _pair.Run();
        Assert.That(_pair.Vector, Is.EqualTo(ExceptionVector.PF));
        Assert.That(_pair.Jit.Peek<ulong>(BareGuest.Data), Is.EqualTo(10UL));
        _pair.AssertTranslated();
    }

    [Test]
    public void A_page_entered_for_reading_gets_its_accessed_and_dirty_bits_as_in_the_interpreter()
    {
        const ulong entry = BareGuest.PageTable + ((BareGuest.Data >> 12) * 8);
        _pair.Load(a =>
        {
            Label again = a.CreateLabel();
            a.mov(rbx, BareGuest.Data);
            a.mov(r15d, 5);
            a.Label(ref again);
            a.mov(rax, __[rbx]);
            a.mov(r8, __[entry]);
            a.mov(__[rbx + 8], r8);
            a.inc(__qword_ptr[rbx + 16]);
            a.mov(r9, __[entry]);
            a.mov(__[rbx + 24], r9);
            a.and(__qword_ptr[entry], -0x61);
            a.invlpg(__byte_ptr[rbx]);
            a.dec(r15d);
            a.jnz(again);
            a.hlt();
        });
        _pair.Run();
        Assert.That(_pair.Vector, Is.EqualTo(-1));
        Assert.That(_pair.Jit.State->Gpr[8] & 0x60, Is.EqualTo(0x20UL), "read only");
        Assert.That(_pair.Jit.State->Gpr[9] & 0x60, Is.EqualTo(0x60UL), "written");
        _pair.AssertTranslated();
    }
}
