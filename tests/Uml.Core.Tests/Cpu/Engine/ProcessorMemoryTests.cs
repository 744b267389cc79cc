using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;

namespace Uml.Core.Tests.Cpu.Engine;

/// <summary>Every part of a processor's memory is where the part in front of it says.</summary>
[TestFixture]
public sealed unsafe class ProcessorMemoryTests
{
    [Test]
    public void Parts_follow_each_other_without_gaps()
    {
        // SAFETY: addresses are computed and never followed.
        ProcessorMemory parts;
        ProcessorMemory* memory = &parts;
        CpuState* s = &memory->Cpu;
        Assert.Multiple(() =>
        {
            Assert.That((nint)s, Is.EqualTo((nint)memory));
            Assert.That((nint)s->Engine, Is.EqualTo((nint)(&memory->Engine)));
            Assert.That((nint)PagingState.Of(s), Is.EqualTo((nint)(&memory->Paging)));
            Assert.That((nint)BlockState.Of(s), Is.EqualTo((nint)(&memory->Blocks)));
        });
    }

    [Test]
    public void Nothing_is_in_front_of_the_general_registers_where_signal_frames_go()
    {
        Assert.Multiple(() =>
        {
            Assert.That(CpuState.Measure(static s => s->Gpr), Is.EqualTo(CpuState.GprStart));
            Assert.That(CpuState.GprStart, Is.Zero);
            Assert.That(sizeof(CpuState) % 32, Is.Zero, "vectors of what lies behind");
            Assert.That(StateLayout.Gpr(12), Is.Zero);
        });
    }

    [Test]
    public void The_words_that_translated_code_uses_most_are_within_a_byte_of_its_stack_pointer()
    {
        int first = CpuState.Measure(static s => &s->Hot) - StateLayout.Bias;
        Assert.That((first, first + sizeof(HotWords) - sizeof(ulong)), Is.EqualTo((32, 120)));
    }

    [Test]
    public void Vectors_are_aligned_for_the_host()
    {
        Assert.Multiple(() =>
        {
            Assert.That(CpuState.VectorsOffset % 32, Is.Zero);
            Assert.That(CpuState.Measure(static s => &s->Engine->AccessBuffer) % 32, Is.Zero);
        });
    }
}
