using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Uml.Core.Cpu.Semantics.Float;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Access;

/// <summary>The FXSAVE area (Intel SDM vol. 1, table 10-2), which is the legacy region of an XSAVE area too.</summary>
[InlineArray(Size)]
internal struct FxsaveArea
{
    public const int Size = 512;
    private byte _first;
}

/// <summary>The legacy region and header of an XSAVE area (Intel SDM vol. 1, 13.4.1 and 13.4.2).</summary>
[InlineArray(Size)]
internal struct XsaveArea
{
    public const int Size = 576;
    private byte _first;
}

/// <summary>The same with the AVX component, at offset 576 in both formats (Intel SDM vol. 1, 13.4.3 and 13.5.3).</summary>
[InlineArray(Size)]
internal struct XsaveAvxArea
{
    public const int Size = XsaveArea.Size + StateComponents.AvxSize;
    private byte _first;
}

/// <summary>The state components of the XSAVE feature set and their images (Intel SDM vol. 1, chapter 13).</summary>
// SAFETY: s is a live processor's state (the handler contract, see Op). Registers are numbered below XmmCount or 8; images are spans, which
// check their offsets.
internal static unsafe class StateComponents
{
    /// <summary>The AVX component: bits 255:128 of the vector registers (Intel SDM vol. 1, 13.5.3).</summary>
    public const int AvxSize = 256, AvxOffset = XsaveArea.Size;

    /// <summary>MXCSR after reset.</summary>
    public const uint InitialMxcsr = SseFloat.DefaultMxcsr;

    /// <summary>MXCSR_MASK: the bits of MXCSR that may be set (DAZ is supported).</summary>
    public const uint MxcsrMask = 0xFFFF;

    private const int MxcsrOffset = 24, MxcsrMaskOffset = 28, XmmOffset = 160;

    public static void SaveX87(CpuState* s, bool wide, Span<byte> legacy) => Semantics.Float.X87.StoreFxImage(ref s->X87, wide, legacy);

    public static void LoadX87(CpuState* s, bool wide, ReadOnlySpan<byte> legacy) => Semantics.Float.X87.LoadFxImage(ref s->X87, wide, legacy);

    public static void ResetX87(CpuState* s)
    {
        s->X87 = default;
        Semantics.Float.X87.Initialize(ref s->X87);
    }

    public static void SaveMxcsr(CpuState* s, Span<byte> legacy)
    {
        Unsafe.WriteUnaligned(ref legacy[MxcsrOffset], s->Mxcsr);
        Unsafe.WriteUnaligned(ref legacy[MxcsrMaskOffset], MxcsrMask);
    }

    /// <summary>The MXCSR in an image; to load it, no bit outside <see cref="MxcsrMask"/> may be set.</summary>
    public static uint MxcsrOf(ReadOnlySpan<byte> legacy) => Unsafe.ReadUnaligned<uint>(in legacy[MxcsrOffset]);

    public static void SaveXmm(CpuState* s, Span<byte> legacy)
    {
        int count = XmmCount(s);
        for (int i = 0; i < count; i++)
        {
            Xmm(s, i).CopyTo(legacy[(XmmOffset + (16 * i))..]);
        }
    }

    public static void LoadXmm(CpuState* s, ReadOnlySpan<byte> legacy)
    {
        int count = XmmCount(s);
        for (int i = 0; i < count; i++)
        {
            Xmm(s, i) = Vector128.Create(legacy[(XmmOffset + (16 * i))..]);
        }
    }

    public static void ResetXmm(CpuState* s)
    {
        int count = XmmCount(s);
        for (int i = 0; i < count; i++)
        {
            Xmm(s, i) = default;
        }
    }

    /// <summary>XINUSE: the components that are not in their initial configuration (Intel SDM vol. 1, 13.6).</summary>
    public static ulong InUse(CpuState* s) =>
        (IsX87Initial(s) ? 0 : Xcr0.X87) | (IsXmmInitial(s) ? 0 : Xcr0.SSE) | (IsAvxInitial(s) ? 0 : Xcr0.AVX);

    /// <summary>As <see cref="InUse"/>, with an MXCSR other than the initial one as use of SSE (XGETBV with ECX = 1, XSAVEC).</summary>
    public static ulong InUseWithMxcsr(CpuState* s) => InUse(s) | (s->Mxcsr != InitialMxcsr ? Xcr0.SSE : 0);

    /// <summary>Every component the CPU model has: CPUID.(EAX=0DH,ECX=0):EDX:EAX.</summary>
    public static ulong Supported(CpuState* s) => (s->Features & CpuFeatures.Avx) != 0 ? Xcr0.X87 | Xcr0.SSE | Xcr0.AVX : Xcr0.X87 | Xcr0.SSE;

    /// <summary>Whether XCR0 may have a value: x87 always, AVX only with SSE (Intel SDM vol. 1, 13.3).</summary>
    public static bool IsValidXcr0(CpuState* s, ulong value) =>
        (value & Xcr0.X87) != 0 && (value & ~Supported(s)) == 0 && (value & (Xcr0.SSE | Xcr0.AVX)) != Xcr0.AVX;

    /// <summary>Bytes of an XSAVE area, in either format, with these components.</summary>
    public static int SizeOf(ulong components) => (components & Xcr0.AVX) != 0 ? XsaveAvxArea.Size : XsaveArea.Size;

    public static void SaveAvx(CpuState* s, Span<byte> area)
    {
        int count = XmmCount(s);
        for (int i = 0; i < count; i++)
        {
            Upper(s, i).CopyTo(area[(AvxOffset + (16 * i))..]);
        }
    }

    public static void LoadAvx(CpuState* s, ReadOnlySpan<byte> area)
    {
        int count = XmmCount(s);
        for (int i = 0; i < count; i++)
        {
            Upper(s, i) = Vector128.Create(area[(AvxOffset + (16 * i))..]);
        }
    }

    public static void ResetAvx(CpuState* s)
    {
        int count = XmmCount(s);
        for (int i = 0; i < count; i++)
        {
            Upper(s, i) = default;
        }
    }

    private static bool IsX87Initial(CpuState* s)
    {
        ref X87State x87 = ref s->X87;
        if (x87.ControlWord != X87State.InitialControlWord || x87.StatusWord != 0 || x87.ValidTags != 0 || x87.LastOpcode != 0
            || (x87.InstructionPointer | x87.DataPointer | x87.CodeSegment | x87.DataSegment) != 0)
        {
            return false;
        }

        Vector128<byte> any = default;
        for (int i = 0; i < 8; i++)
        {
            any |= CpuState.At<Vector128<byte>>(s, CpuState.X87Offset + (16 * i));
        }

        return any == default;
    }

    private static bool IsXmmInitial(CpuState* s)
    {
        Vector128<byte> any = default;
        int count = XmmCount(s);
        for (int i = 0; i < count; i++)
        {
            any |= Xmm(s, i);
        }

        return any == default;
    }

    private static bool IsAvxInitial(CpuState* s)
    {
        Vector128<byte> any = default;
        int count = XmmCount(s);
        for (int i = 0; i < count; i++)
        {
            any |= Upper(s, i);
        }

        return any == default;
    }

    /// <summary>Outside 64-bit mode XMM8 to XMM15 are not part of the image.</summary>
    private static int XmmCount(CpuState* s) => (s->Mode & CpuMode.Long64) != 0 ? 16 : 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ref Vector128<byte> Xmm(CpuState* s, int number) =>
        ref CpuState.At<Vector128<byte>>(s, CpuState.VectorsOffset + (32 * number));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ref Vector128<byte> Upper(CpuState* s, int number) =>
        ref CpuState.At<Vector128<byte>>(s, CpuState.VectorsOffset + (32 * number) + VectorLanes.UpperLane);
}
