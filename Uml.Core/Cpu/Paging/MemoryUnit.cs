using System.Runtime.CompilerServices;
using Uml.Core.Bus;
using Uml.Core.Cpu.State;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Paging;

/// <summary>What a virtual CPU's accesses reach: address spaces, guest RAM, and devices behind the bus.</summary>
/// <param name="processor">Who accesses.</param>
/// <param name="ram">Guest RAM.</param>
/// <param name="bus">Everything else.</param>
/// <param name="spaces">The TLBs.</param>
/// <param name="isAlignmentExempt">Whether the instruction that runs accesses memory without an alignment check.</param>
// SAFETY: Of takes the state of a live processor, whose handle Owned keeps; the function pointer is that of a static method.
internal sealed unsafe class MemoryUnit(
    IProcessor processor, GuestRam ram, MachineBus bus, AddressSpaces spaces, delegate*<CpuState*, bool> isAlignmentExempt)
{
    private readonly delegate*<CpuState*, bool> _isAlignmentExempt = isAlignmentExempt;

    public IProcessor Processor => processor;

    public GuestRam Ram => ram;

    public MachineBus Bus => bus;

    public AddressSpaces Spaces => spaces;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static MemoryUnit Of(CpuState* s) => Owned.Get<MemoryUnit>(s->Engine->Memory);

    public bool IsAlignmentExempt(CpuState* s) => _isAlignmentExempt(s);
}
