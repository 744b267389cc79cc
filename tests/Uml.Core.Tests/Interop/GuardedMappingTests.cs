using System.Diagnostics;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;
using Uml.Core.Cpu;
using Uml.Core.Interop;
using Uml.Core.Memory;

namespace Uml.Core.Tests.Interop;

/// <summary>What a machine maps lies between guards, away from what the host's other addresses look like, and goes with the machine.</summary>
[Platform("Linux")]
public sealed unsafe class GuardedMappingTests
{
    [Test]
    public void All_memory_of_a_machine_lies_between_guards_that_a_displacement_cannot_leave([Values] CpuEngine engine)
    {
        Assume.That(engine != CpuEngine.Jit || JitEngine.IsSupported);
        IReadOnlyList<HostMapping> before = Collected();
        using BareGuest machine = new(engine);
        IReadOnlyList<HostMapping> after = HostMapping.All();
        List<HostMapping> own = [.. after.Where(mapping => IsAccessible(mapping) && IsInOurRange(mapping.Start)).Except(before)];
        Assert.That(own, Has.Count.GreaterThanOrEqualTo(engine == CpuEngine.Jit ? 13 : 8));
        foreach (HostMapping mapping in own)
        {
            AssertGuarded(after, mapping, GuardedMapping.GuardBefore, GuardedMapping.GuardBehind);
        }

        CpuState* s = machine.State;
        AssertOneHas(own, (byte*)s - EngineState.SignalStack, (byte*)s + sizeof(ProcessorMemory));
        AssertOneHas(own, machine.Cpu.Ram.Base, machine.Cpu.Ram.Base + machine.Cpu.Ram.Size);
        AssertOneHas(own, (byte*)s->Engine->Pages, (byte*)(s->Engine->Pages + (machine.Cpu.Ram.Size / GuestRam.PageSize)));
        AssertOneHas(own, (byte*)PagingState.Of(s)->Tlb, (byte*)PagingState.Of(s)->Tlb + 1);
        AssertOneHas(own, (byte*)BlockState.Of(s)->JumpCache, (byte*)BlockState.Of(s)->JumpCache + 1);
        AssertOneHas(own, (byte*)PagingState.Of(s)->LargePages, (byte*)(PagingState.Of(s)->LargePages + 2));
        if (engine == CpuEngine.Jit)
        {
            AssertOneHas(own, s->Hot.JumpTable, s->Hot.JumpTable + 1);
            AssertOneHas(own, PagingState.Of(s)->Walks, PagingState.Of(s)->Walks + 1);
            AssertOneHas(own, (byte*)machine.Cpu.Jit!.Sites.Sites, (byte*)machine.Cpu.Jit.Sites.Sites + 1);
            Assert.That(own.Where(mapping => mapping.Access is "r-xs"), Has.One.Items, "code to run");
            Assert.That(own.Where(mapping => mapping.Access is "rw-s"), Has.One.Items, "code to write");
        }
    }

    [TestCase(1UL)]
    [TestCase(4096UL)]
    [TestCase(4097UL)]
    [TestCase((2UL << 20) - 1)]
    [TestCase(5UL << 20)]
    public void Memory_of_any_size_is_zeroed_and_has_its_guards(ulong size)
    {
        using HostMemory memory = new(size);
        AssertGuarded(memory, GuardedMapping.GuardBefore, GuardedMapping.GuardBehind);
        Assert.That(new ReadOnlySpan<byte>(memory.Pointer, (int)size).IndexOfAnyExcept((byte)0), Is.EqualTo(-1));
        new Span<byte>(memory.Pointer, (int)size).Fill(0xA5);
    }

    [Test]
    public void Large_memory_begins_where_a_huge_page_can()
    {
        using HostMemory memory = new(64UL << 20);
        Assert.That((ulong)memory.Pointer % (2UL << 20), Is.Zero);
    }

    [Test]
    public void Memory_that_is_discarded_reads_as_zero_and_keeps_its_guards()
    {
        using HostMemory memory = new(3 * 4096);
        new Span<byte>(memory.Pointer, 3 * 4096).Fill(0xA5);
        memory.Discard(4096, 4096);
        Assert.That(new ReadOnlySpan<byte>(memory.Pointer + 4096, 4096).IndexOfAnyExcept((byte)0), Is.EqualTo(-1));
        Assert.That(memory.Pointer[4095] + memory.Pointer[8192], Is.EqualTo(2 * 0xA5));
        AssertGuarded(memory, GuardedMapping.GuardBefore, GuardedMapping.GuardBehind);
    }

    [Test]
    public void Addresses_differ_from_machine_to_machine_and_do_not_follow_from_each_other()
    {
        HashSet<long> distances = [];
        HashSet<nint> addresses = [];
        for (int i = 0; i < 16; i++)
        {
            using BareGuest machine = new(CpuEngine.Interpreter);
            addresses.Add((nint)machine.Cpu.Ram.Base);
            distances.Add((byte*)machine.State - machine.Cpu.Ram.Base);
            Assert.That(IsInOurRange((ulong)machine.Cpu.Ram.Base) && IsInOurRange((ulong)machine.State));
        }

        Assert.That(addresses, Has.Count.EqualTo(16));
        Assert.That(distances, Has.Count.EqualTo(16));
    }

    [Test]
    public void Two_hundred_machines_at_once_have_all_their_guards_and_leave_no_mapping_behind([Values] CpuEngine engine)
    {
        Assume.That(engine != CpuEngine.Jit || JitEngine.IsSupported);
        HashSet<HostMapping> before = [.. Collected()];
        List<BareGuest> machines = [];
        try
        {
            for (int i = 0; i < 200; i++)
            {
                machines.Add(new BareGuest(engine));
            }

            IReadOnlyList<HostMapping> during = HostMapping.All();
            foreach (BareGuest machine in machines)
            {
                HostMapping ram = during.Single(mapping => mapping.Start == (ulong)machine.Cpu.Ram.Base);
                AssertGuarded(during, ram, GuardedMapping.GuardBefore, GuardedMapping.GuardBehind);
            }
        }
        finally
        {
            machines.ForEach(machine => machine.Dispose());
        }

        IEnumerable<HostMapping> left = HostMapping.All().Where(mapping => IsInOurRange(mapping.Start) && !before.Contains(mapping) && !mapping.Access.StartsWith("---"));
        Assert.That(left, Is.Empty);
    }

    [Test]
    public void A_machine_that_was_forgotten_leaves_no_mapping_behind()
    {
        nint address = Forget();
        Collected();
        Assert.That(HostMapping.All().Where(mapping => mapping.Start <= (ulong)address && (ulong)address < mapping.End), Is.Empty);

        static nint Forget() => (nint)new HostMemory(1 << 20).Pointer;
    }

    [Test]
    public void More_memory_than_there_are_addresses_is_an_error_that_says_what_to_do([Values(1UL << 45, 1UL << 47, 1UL << 60, ulong.MaxValue)] ulong size)
    {
        // The host may give 32 TiB of addresses or not.
        try
        {
            new HostMemory(size).Dispose();
            Assert.That(size, Is.EqualTo(1UL << 45));
        }
        catch (InsufficientMemoryException error)
        {
            Assert.That(error.Message, Does.StartWith($"The host would not map {size >> 20} MiB: ").And.Contain("ulimit -v"));
        }
    }

    [Test]
    public void Under_a_limit_of_the_address_space_guards_are_small_and_only_memory_itself_can_fail()
    {
        HostMemory fits;
        InsufficientMemoryException? refused = null;
        using (new HostLimit(Libc.LimitAddressSpace, VirtualSize() + (1UL << 30)))
        {
            fits = new HostMemory(64UL << 20);
            try
            {
                new HostMemory(4UL << 30).Dispose();
            }
            catch (InsufficientMemoryException e)
            {
                refused = e;
            }
        }

        Assert.That(refused, Has.Message.StartsWith("The host would not map 4096 MiB: ").And.Message.Contain("Give the machine less memory, or raise the limit (ulimit -v"));
        AssertGuarded(fits, GuardedMapping.SmallGuard, GuardedMapping.SmallGuard);
        Assert.That(IsInOurRange((ulong)fits.Pointer));
        fits.Dispose();
    }

    /// <summary>The mappings after all that was forgotten has been freed.</summary>
    private static IReadOnlyList<HostMapping> Collected()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return HostMapping.All();
    }

    private static ulong VirtualSize() => (ulong)Process.GetCurrentProcess().VirtualMemorySize64;

    private static bool IsAccessible(HostMapping mapping) => !mapping.Access.StartsWith("---", StringComparison.Ordinal);

    private static bool IsInOurRange(ulong address) => address is >= GuardedMapping.LowestAddress and < GuardedMapping.HighestAddress;

    private static void AssertGuarded(HostMemory memory, ulong before, ulong behind)
    {
        IReadOnlyList<HostMapping> mappings = HostMapping.All();
        HostMapping own = mappings.Single(mapping => mapping.Start == (ulong)memory.Pointer);
        Assert.That(own.End - own.Start, Is.EqualTo((memory.Size + 4095) & ~4095UL), "whole pages, and no more");
        AssertGuarded(mappings, own, before, behind);
    }

    /// <summary>Adjacent guards of two mappings are one line.</summary>
    private static void AssertGuarded(IReadOnlyList<HostMapping> mappings, HostMapping mapping, ulong before, ulong behind)
    {
        HostMapping? lower = mappings.SingleOrDefault(other => other.End == mapping.Start), upper = mappings.SingleOrDefault(other => other.Start == mapping.End);
        Assert.That(lower?.Access, Is.EqualTo("---p"), $"in front of 0x{mapping.Start:x}");
        Assert.That(upper?.Access, Is.EqualTo("---p"), $"behind 0x{mapping.End:x}");
        Assert.That(lower!.End - lower.Start, Is.GreaterThanOrEqualTo(before));
        Assert.That(upper!.End - upper.Start, Is.GreaterThanOrEqualTo(behind));
    }

    private static void AssertOneHas(List<HostMapping> own, byte* first, byte* end) =>
        Assert.That(own.Any(mapping => mapping.Start <= (ulong)first && (ulong)end <= mapping.End), $"0x{(ulong)first:x}");
}
