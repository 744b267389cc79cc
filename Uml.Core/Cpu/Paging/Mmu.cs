using Uml.Core.Cpu.Interpreter;

namespace Uml.Core.Cpu.Paging;

/// <summary>The slow paths behind <see cref="Access"/>, and everything that changes what translations are valid.</summary>
internal static unsafe partial class Mmu
{
    public static bool ReadSlow(CpuState* s, ulong linear, byte* buffer, int size, SegmentIndex segment) => throw new NotImplementedException();
    public static bool WriteSlow(CpuState* s, ulong linear, byte* buffer, int size, SegmentIndex segment) => throw new NotImplementedException();
    public static bool ReadForUpdateSlow(CpuState* s, ulong linear, byte* buffer, int size, SegmentIndex segment) => throw new NotImplementedException();
    public static void FinishUpdateSlow(CpuState* s, ulong linear, byte* buffer, int size) => throw new NotImplementedException();

    /// <summary>Reads at supervisor privilege whatever the CPL: descriptor tables, TSS, interrupt stacks (an implicit supervisor access).</summary>
    public static bool ReadSystem<T>(CpuState* s, ulong linear, out T value) where T : unmanaged => throw new NotImplementedException();

    /// <summary>Writes at supervisor privilege whatever the CPL.</summary>
    public static bool WriteSystem<T>(CpuState* s, ulong linear, T value) where T : unmanaged => throw new NotImplementedException();

    /// <summary>
    /// Recomputes everything derived from CPL, CR0, CR4, EFER, EFLAGS.AC and segment registers: <see cref="CpuState.Mode"/>,
    /// <see cref="CpuState.Cpl"/> (stays), <see cref="CpuState.IpMask"/>, <see cref="CpuState.StackMask"/>, <see cref="CpuState.Tlb"/>.
    /// Call after changing any of them.
    /// </summary>
    public static void UpdateMode(CpuState* s) => throw new NotImplementedException();

    /// <summary>Selects the address space of CR3 and CR4.PCIDE; <paramref name="keep"/> keeps its cached translations (CR3 bit 63).</summary>
    public static void SwitchAddressSpace(CpuState* s, bool keep) => throw new NotImplementedException();

    /// <summary>INVLPG.</summary>
    public static void InvalidatePage(CpuState* s, ulong linear) => throw new NotImplementedException();

    /// <summary>Drops all translations of one PCID (INVPCID type 1).</summary>
    public static void InvalidatePcid(CpuState* s, uint pcid) => throw new NotImplementedException();

    /// <summary>Drops one page of one PCID (INVPCID type 0).</summary>
    public static void InvalidatePcidPage(CpuState* s, uint pcid, ulong linear) => throw new NotImplementedException();

    /// <summary>Drops every translation, global ones too.</summary>
    public static void FlushAll(CpuState* s) => throw new NotImplementedException();
}
