namespace Uml.Core.Cpu.State;

/// <summary>Numbers of model-specific registers (Intel SDM vol. 4, table 2-2).</summary>
internal static class MsrNumber
{
    public const uint TimeStampCounter = 0x10, PlatformId = 0x17, FeatureControl = 0x3A, TscAdjust = 0x3B, UpdateTrigger = 0x79, UpdateSignature = 0x8B,
        PlatformInfo = 0xCE, MtrrCap = 0xFE, ArchCapabilities = 0x10A;

    public const uint SysenterCs = 0x174, SysenterEsp = 0x175, SysenterEip = 0x176;

    public const uint McgCap = 0x179, McgStatus = 0x17A, MiscEnable = 0x1A0, DebugCtl = 0x1D9;

    /// <summary>The MTRRs and, among them, <see cref="Pat"/>.</summary>
    public const uint FirstMemoryType = 0x200, LastMemoryType = 0x2FF;

    public const uint MtrrPhysBase0 = 0x200, MtrrFix64K00000 = 0x250, MtrrFix16K80000 = 0x258, MtrrFix16KA0000 = 0x259, MtrrFix4KC0000 = 0x268,
        MtrrFix4KF8000 = 0x26F, Pat = 0x277, MtrrDefType = 0x2FF;

    public const uint TscDeadline = 0x6E0;

    public const uint Efer = 0xC0000080, Star = 0xC0000081, LStar = 0xC0000082, CStar = 0xC0000083, FMask = 0xC0000084;

    public const uint FsBase = 0xC0000100, GsBase = 0xC0000101, KernelGsBase = 0xC0000102, TscAux = 0xC0000103;
}
