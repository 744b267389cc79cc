namespace Uml.Core.Boot;

/// <summary>The CPU mode in which a loaded image is entered.</summary>
public enum BootEntryKind
{
    /// <summary>
    /// Linux's 64-bit boot protocol (Documentation/arch/x86/boot.rst): long mode, paging on with an identity
    /// map, interrupts off, RSI = boot_params, flat segments from the GDT.
    /// </summary>
    Linux64,

    /// <summary>
    /// The Xen PVH entry (Xen docs/misc/pvh.pandoc): 32-bit protected mode, paging off, CR0 = PE|ET, CR4 = 0,
    /// EBX = hvm_start_info, flat segments with limit 4 GiB, TR a 32-bit TSS with limit 0x67, interrupts off.
    /// </summary>
    Pvh32,

    /// <summary>
    /// Multiboot 1 (specification 0.6.96, section 3.2): 32-bit protected mode, paging off,
    /// EAX = 0x2BADB002, EBX = multiboot information, flat segments with limit 4 GiB, interrupts off.
    /// </summary>
    Multiboot32,

    /// <summary>
    /// Real mode: segment bases are selectors times 16, limits 64 KiB, interrupts off. CS is 0 for a binary below 64 KiB, else
    /// the paragraph of its first byte; the other segments are 0.
    /// </summary>
    Flat16,

    /// <summary>32-bit protected mode, paging off, flat segments with limit 4 GiB.</summary>
    Flat32,

    /// <summary>Long mode, paging on with an identity map, flat segments.</summary>
    Flat64,

    /// <summary>
    /// Linux's 32-bit boot protocol (Documentation/arch/x86/boot.rst): 32-bit protected mode, paging off, ESI = boot_params, flat segments
    /// with limit 4 GiB, interrupts off.
    /// </summary>
    Linux32,
}

/// <summary>
/// The state in which the first virtual CPU starts once an image is loaded. General registers that
/// are not named here are zero, RFLAGS is 2 (interrupts off).
/// </summary>
public sealed record BootEntry
{
    /// <summary>The CPU mode.</summary>
    public required BootEntryKind Kind { get; init; }

    /// <summary>The instruction pointer: physical, which is also virtual; in <see cref="BootEntryKind.Flat16"/> the offset in CS.</summary>
    public required ulong EntryPoint { get; init; }

    /// <summary>The initial stack pointer; at least 2 KiB below it are free.</summary>
    public ulong StackPointer { get; init; }

    /// <summary>RAX: multiboot's magic, else 0.</summary>
    public ulong Rax { get; init; }

    /// <summary>RBX: the physical address of hvm_start_info (PVH) or of the multiboot information, else 0.</summary>
    public ulong Rbx { get; init; }

    /// <summary>RSI: the physical address of boot_params (Linux), else 0.</summary>
    public ulong Rsi { get; init; }

    /// <summary>CR3: the physical address of the 4-level identity map where the mode has paging, else 0.</summary>
    public ulong PageTableRoot { get; init; }

    /// <summary>The physical address of the global descriptor table; 0 in <see cref="BootEntryKind.Flat16"/>.</summary>
    public ulong GdtBase { get; init; }

    /// <summary>The GDT's limit (size minus 1).</summary>
    public ushort GdtLimit { get; init; }

    /// <summary>CS.</summary>
    public ushort CodeSelector { get; init; }

    /// <summary>DS, ES, FS, GS and SS.</summary>
    public ushort DataSelector { get; init; }

    /// <summary>TR; 0 if the protocol does not define it.</summary>
    public ushort TaskSelector { get; init; }

    /// <summary>The physical address of TR's segment; its limit is 0x67.</summary>
    public ulong TaskSegmentBase { get; init; }

    /// <summary>The lowest physical address of the loaded image.</summary>
    public ulong ImageStart { get; init; }

    /// <summary>The first physical address behind the loaded image, zero-filled parts included.</summary>
    public ulong ImageEnd { get; init; }

    /// <summary>Where the initrd was put; 0 without one.</summary>
    public ulong InitrdAddress { get; init; }

    /// <summary>The initrd's size in bytes.</summary>
    public ulong InitrdLength { get; init; }
}
