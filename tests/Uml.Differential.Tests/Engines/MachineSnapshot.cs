using System.Runtime.InteropServices;

namespace Uml.Differential.Tests.Engines;

/// <summary>
/// The user-visible state of a processor before and after a test program, in the layout the native thunk addresses directly.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 8)]
internal unsafe struct MachineSnapshot
{
    public const int FxSize = 512;

    /// <summary>RAX RCX RDX RBX RSP RBP RSI RDI R8..R15, in encoding order.</summary>
    public fixed ulong Gpr[16];
    public ulong Rip;
    public ulong Rflags;

    /// <summary>Base of GS; FS belongs to the host's thread-local storage.</summary>
    public ulong GsBase;

    /// <summary>CR2, when <see cref="Vector"/> is a page fault.</summary>
    public ulong Cr2;

    /// <summary>The exception that ended the program, or <see cref="Completed"/>.</summary>
    public int Vector;
    public uint ErrorCode;

    /// <summary>Data segment selectors: zero at the start of 64-bit programs, <see cref="Layout.UserData"/> in 32-bit ones.</summary>
    public ushort Ds, Es;
    private readonly uint _alignment;

    /// <summary>FXSAVE64 image (Intel SDM vol. 1, 10.5.1): x87/MMX at 32, XMM0..15 at 160. 16-byte aligned with the snapshot.</summary>
    public fixed byte Fx[FxSize];

    /// <summary>Bits 255..128 of YMM0..15, where the processor has them (XSAVE area, Intel SDM vol. 1, 13.5.3).</summary>
    public fixed byte YmmHigh[256];

    /// <summary><see cref="Vector"/> of a program that reached an exit slot.</summary>
    public const int Completed = -1;

    /// <summary><see cref="Vector"/> of a program that was given up, in the middle of it: it may go on for ever.</summary>
    public const int Endless = -2;

    public const int ControlWordOffset = 0, StatusWordOffset = 2, TagOffset = 4, MxcsrOffset = 24, MxcsrMaskOffset = 28;
    public const int St0Offset = 32, Xmm0Offset = 160;

    public Span<ulong> Gprs => MemoryMarshal.CreateSpan(ref Gpr[0], 16);

    public Span<byte> FxImage => MemoryMarshal.CreateSpan(ref Fx[0], FxSize);

    public ushort ControlWord
    {
        get => MemoryMarshal.Read<ushort>(FxImage[ControlWordOffset..]);
        set => MemoryMarshal.Write(FxImage[ControlWordOffset..], value);
    }

    public ushort StatusWord
    {
        get => MemoryMarshal.Read<ushort>(FxImage[StatusWordOffset..]);
        set => MemoryMarshal.Write(FxImage[StatusWordOffset..], value);
    }

    /// <summary>Abridged tag byte: bit i set when physical register i is not empty.</summary>
    public byte Tags
    {
        get => FxImage[TagOffset];
        set => FxImage[TagOffset] = value;
    }

    public uint Mxcsr
    {
        get => MemoryMarshal.Read<uint>(FxImage[MxcsrOffset..]);
        set => MemoryMarshal.Write(FxImage[MxcsrOffset..], value);
    }

    /// <summary>The ten bytes of ST(<paramref name="index"/>), relative to TOP.</summary>
    public Span<byte> St(int index) => FxImage.Slice(St0Offset + (16 * index), 10);

    public Span<byte> UpperYmm(int index) => MemoryMarshal.CreateSpan(ref YmmHigh[16 * index], 16);

    public Span<byte> Xmm(int index) => FxImage.Slice(Xmm0Offset + (16 * index), 16);
}
