using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Contract;

/// <summary>
/// Displacements of fields as emitted code addresses them: from its stack pointer, which points to R12, the first of the guest's registers
/// that are kept in memory.
/// </summary>
/// <remarks>
/// Calls of stubs push their return addresses into the slots of the registers below R12, which are all in host registers while translated
/// code runs. A signal frame skips the 128 bytes below the stack pointer (System V ABI for x86-64, 3.2.2), and so goes into the room below
/// the state (<see cref="EngineState.SignalStack"/>).
/// </remarks>
// SAFETY: addresses are computed by CpuState.Measure and never followed.
internal static unsafe class StateLayout
{
    /// <summary>From the start of <see cref="CpuState"/> to where the state register points: R12.</summary>
    public const int Bias = CpuState.GprStart + (12 * sizeof(ulong));

    public static readonly int Remaining = Field(static s => &s->Hot.Remaining);
    public static readonly int Reserve = Field(static s => &s->Engine->Reserve);
    public static readonly int Poll = Field(static s => &s->Engine->Poll);
    public static readonly int Exit = Field(static s => &s->Engine->Exit);
    public static readonly int Rip = Field(static s => &s->Rip);
    public static readonly int HostStack = Field(static s => &s->Engine->HostStack);
    public static readonly int Tlb = Field(static s => &PagingState.Of(s)->Tlb);
    public static readonly int PageRip = Field(static s => &s->Hot.PageRip);
    public static readonly int FlagWord = Field(static s => &s->Hot.FlagWord);
    public static readonly int JumpTable = Field(static s => &s->Hot.JumpTable);
    public static readonly int Spill = Field(static s => &s->Hot.Spill);
    public static readonly int SecondSpill = Field(static s => &s->Hot.SecondSpill);
    public static readonly int KeptFirst = Field(static s => &s->Hot.KeptFirst);
    public static readonly int KeptSecond = Field(static s => &s->Hot.KeptSecond);
    public static readonly int NextOp = Field(static s => &BlockState.Of(s)->NextOp);
    public static readonly int CommitSize = Field(static s => &s->Engine->CommitSize);
    public static readonly int Mxcsr = Field(static s => &s->Mxcsr);
    public static readonly int HostMxcsr = Field(static s => &s->Engine->HostMxcsr);
    public static readonly int X87Image = Field(static s => &s->Engine->X87Image);
    public static readonly int X87Left = Field(static s => &s->Engine->X87Left);
    public static readonly int WalkMask = Field(static s => &PagingState.Of(s)->WalkMask);
    public static readonly int WalkWant = Field(static s => &PagingState.Of(s)->WalkWant);
    public static readonly int WalkReserved = Field(static s => &PagingState.Of(s)->WalkReserved);
    public static readonly int Walks = Field(static s => &PagingState.Of(s)->Walks);
    public static readonly int LargePages = Field(static s => &PagingState.Of(s)->LargePages);
    public static readonly int Cr3 = Field(static s => &s->Cr3);
    public static readonly int RamBase = Field(static s => &s->Engine->RamBase);
    public static readonly int RamLowEnd = Field(static s => &s->Engine->RamLowEnd);
    public static readonly int RamHighEnd = Field(static s => &s->Engine->RamHighEnd);
    public static readonly int Pages = Field(static s => &s->Engine->Pages);
    public static readonly int SystemFlags = Field(static s => &s->SystemFlags);
    public static readonly int InterruptLine = Field(static s => &s->Engine->InterruptLine);
    public static readonly int Cpl = Field(static s => &s->Cpl);
    public static readonly int KernelGsBase = Field(static s => &s->KernelGsBase);
    public static readonly int TscAux = Field(static s => &s->TscAux);
    public static readonly int TscAdjust = Field(static s => &s->TscAdjust);
    public static readonly int TimeStampBase = Field(static s => &s->Engine->TimeStamps.Base);
    public static readonly int TimeStampLimit = Field(static s => &s->Engine->TimeStamps.Limit);
    public static readonly int TimeStampMultiplier = Field(static s => &s->Engine->TimeStamps.Multiplier);
    public static readonly int TimeStampValue = Field(static s => &s->Engine->TimeStamps.Value);
    public static readonly int TlbMisses = Field(static s => &s->Engine->Counters.TlbMisses);
    private static readonly int GroupAddresses = Field(static s => &s->Hot.GroupAddresses);
    private static readonly int Vectors = Field(static s => &s->Vectors);
    private static readonly int Segments = Field(static s => &s->Segments);

    public static int Gpr(int number) => CpuState.GprOffset(number) - Bias;

    public static int GroupAddress(int slot) => GroupAddresses + (slot * sizeof(ulong));

    public static int Vector(int number) => Vectors + (number * 32);

    public static int SegmentBase(SegmentIndex segment) => Segments + ((int)segment * sizeof(SegmentRegister));

    public static int SegmentSelector(SegmentIndex segment) => SegmentBase(segment) + SegmentRegister.SelectorOffset;

    private static int Field(CpuState.FieldAddress field) => CpuState.Measure(field) - Bias;
}
