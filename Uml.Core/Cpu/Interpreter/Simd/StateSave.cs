using System.Runtime.CompilerServices;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Simd;

/// <summary>FXSAVE, FXRSTOR, the XSAVE family, XCR0 and MXCSR.</summary>
// SAFETY: handlers: the handler contract (Op). Images are locals, as large as their type says, and copied from and to guest memory by
// Operand; the guest's header is checked in the copy.
internal static unsafe class StateSave
{
    private const int HeaderOffset = FxsaveArea.Size;
    private const ulong Compacted = 1UL << 63;

    /// <summary>The 64-byte header: XSTATE_BV, XCOMP_BV and 48 reserved bytes.</summary>
    private ref struct Header
    {
        private readonly Span<byte> _bytes;

        public Header(Span<byte> area) => _bytes = area.Slice(HeaderOffset, 64);

        public readonly ulong States
        {
            get => Unsafe.ReadUnaligned<ulong>(ref _bytes[0]);
            set => Unsafe.WriteUnaligned(ref _bytes[0], value);
        }

        public readonly ulong Compaction
        {
            get => Unsafe.ReadUnaligned<ulong>(ref _bytes[8]);
            set => Unsafe.WriteUnaligned(ref _bytes[8], value);
        }

        public readonly bool IsReservedZero(int from) => _bytes[from..].IndexOfAnyExcept((byte)0) < 0;
    }

    /// <summary>LDMXCSR: #GP(0) for reserved bits.</summary>
    public static Op* LoadMxcsr(CpuState* s, Op* op)
    {
        if (!Operand.Load(s, op, out uint value))
        {
            return null;
        }

        if ((value & ~StateComponents.MxcsrMask) != 0)
        {
            return Raise.GP(s);
        }

        s->Mxcsr = value;
        return op + 1;
    }

    /// <summary>STMXCSR.</summary>
    public static Op* StoreMxcsr(CpuState* s, Op* op) => Operand.Store(s, op, s->Mxcsr) ? op + 1 : null;

    /// <summary>FXSAVE, FXSAVE64 when <see cref="Op.Imm"/> is not zero, like all instructions here.</summary>
    public static Op* Fxsave(CpuState* s, Op* op)
    {
        if (!Enablement.FxsaveAllowed(s) || !IsAligned(s, op, FxsaveArea.Size, 16, write: true)
            || !Operand.BeginUpdate(s, op, out FxsaveArea area, out FxsaveArea* host, out ulong linear))
        {
            return null;
        }

        Span<byte> legacy = area;
        StateComponents.SaveX87(s, IsWide(op), legacy);
        StateComponents.SaveMxcsr(s, legacy);
        StateComponents.SaveXmm(s, legacy);
        Operand.EndUpdate(s, host, linear, area);
        return op + 1;
    }

    /// <summary>FXRSTOR, FXRSTOR64.</summary>
    public static Op* Fxrstor(CpuState* s, Op* op)
    {
        if (!Enablement.FxsaveAllowed(s) || !IsAligned(s, op, FxsaveArea.Size, 16, write: false)
            || !Operand.Load(s, op, out FxsaveArea area))
        {
            return null;
        }

        ReadOnlySpan<byte> legacy = area;
        uint mxcsr = StateComponents.MxcsrOf(legacy);
        if ((mxcsr & ~StateComponents.MxcsrMask) != 0)
        {
            return Raise.GP(s);
        }

        s->Mxcsr = mxcsr;
        StateComponents.LoadX87(s, IsWide(op), legacy);
        StateComponents.LoadXmm(s, legacy);
        return op + 1;
    }

    /// <summary>XSAVE: all requested components, in use or not (Intel SDM vol. 1, 13.7).</summary>
    public static Op* Xsave(CpuState* s, Op* op)
    {
        ulong requested = Requested(s);
        return (requested & Xcr0.AVX) != 0
            ? SaveStandard<XsaveAvxArea>(s, op, requested)
            : SaveStandard<XsaveArea>(s, op, requested);
    }

    /// <summary>XSAVEOPT: what is in its initial configuration is not written (Intel SDM vol. 1, 13.9).</summary>
    public static Op* Xsaveopt(CpuState* s, Op* op)
    {
        ulong written = Requested(s) & StateComponents.InUse(s);
        return (written & Xcr0.AVX) != 0
            ? SaveStandard<XsaveAvxArea>(s, op, written)
            : SaveStandard<XsaveArea>(s, op, written);
    }

    /// <summary>XSAVEC: the compacted format (Intel SDM vol. 1, 13.10).</summary>
    public static Op* Xsavec(CpuState* s, Op* op)
    {
        ulong written = Requested(s) & StateComponents.InUseWithMxcsr(s);
        return (written & Xcr0.AVX) != 0
            ? SaveCompacted<XsaveAvxArea>(s, op, written)
            : SaveCompacted<XsaveArea>(s, op, written);
    }

    private static Op* SaveCompacted<TArea>(CpuState* s, Op* op, ulong written)
        where TArea : unmanaged
    {
        if (!BeginSave(s, op, out TArea image, out TArea* host, out ulong linear))
        {
            return null;
        }

        Span<byte> area = new(&image, sizeof(TArea));
        SaveX87AndAvx(s, op, written, area);
        if ((written & Xcr0.SSE) != 0)
        {
            StateComponents.SaveMxcsr(s, area);
            StateComponents.SaveXmm(s, area);
        }

        Header header = new(area);
        header.States = written;
        header.Compaction = Requested(s) | Compacted;
        Operand.EndUpdate(s, host, linear, image);
        return op + 1;
    }

    /// <summary>XRSTOR in both formats (Intel SDM vol. 1, 13.8).</summary>
    public static Op* Xrstor(CpuState* s, Op* op)
    {
        if (!Enablement.XsaveAllowed(s) || !IsAligned(s, op, XsaveArea.Size, 64, write: false)
            || !Operand.Load(s, op, out XsaveArea area))
        {
            return null;
        }

        Header header = new(area);
        bool compacted = (header.Compaction & Compacted) != 0;
        ulong requested = Requested(s);
        const ulong withMxcsr = Xcr0.SSE | Xcr0.AVX;
        bool fromMemory = compacted
            ? (requested & header.States & Xcr0.SSE) != 0
            : (requested & withMxcsr) != 0;
        uint mxcsr = StateComponents.MxcsrOf(area);
        if (!IsValid(s, header, compacted) || (fromMemory && (mxcsr & ~StateComponents.MxcsrMask) != 0))
        {
            return Raise.GP(s);
        }

        if (!RestoreAvx(s, op, requested, header.States))
        {
            return null;
        }

        RestoreX87(s, op, requested, header.States, area);
        if (fromMemory || (requested & Xcr0.SSE) != 0)
        {
            s->Mxcsr = fromMemory ? mxcsr : StateComponents.InitialMxcsr;
        }

        RestoreXmm(s, requested, header.States, area);
        return op + 1;
    }

    private static void RestoreXmm(CpuState* s, ulong requested, ulong states, ReadOnlySpan<byte> area)
    {
        if ((requested & states & Xcr0.SSE) != 0)
        {
            StateComponents.LoadXmm(s, area);
        }
        else if ((requested & Xcr0.SSE) != 0)
        {
            StateComponents.ResetXmm(s);
        }
    }

    /// <summary>Restores the component behind the header. It comes first, because it is the only load that can still fault.</summary>
    private static bool RestoreAvx(CpuState* s, Op* op, ulong requested, ulong states)
    {
        if ((requested & Xcr0.AVX) == 0)
        {
            return true;
        }

        if ((states & Xcr0.AVX) == 0)
        {
            StateComponents.ResetAvx(s);
            return true;
        }

        if (!Operand.Load(s, op, out XsaveAvxArea area))
        {
            return false;
        }

        StateComponents.LoadAvx(s, area);
        return true;
    }

    /// <summary>XGETBV: XCR0, or with ECX = 1 the components that are in use.</summary>
    public static Op* Xgetbv(CpuState* s, Op* op)
    {
        if (!Enablement.XcrAllowed(s))
        {
            return null;
        }

        uint index = (uint)s->Gpr[Gpr.Rcx];
        if (index > 1)
        {
            return Raise.GP(s);
        }

        ulong value = index == 0 ? s->Xcr0 : s->Xcr0 & StateComponents.InUseWithMxcsr(s);
        s->Gpr[Gpr.Rax] = (uint)value;
        s->Gpr[Gpr.Rdx] = (uint)(value >> 32);
        return op + 1;
    }

    /// <summary>XSETBV: only XCR0, whose x87 bit is always set (Intel SDM vol. 2D, XSETBV).</summary>
    public static Op* Xsetbv(CpuState* s, Op* op)
    {
        if (!Enablement.XcrAllowed(s))
        {
            return null;
        }

        ulong value = Mask(s);
        bool privileged = s->Cpl == 0 && (s->Mode & CpuMode.Virtual8086) == 0;
        if (!privileged || (uint)s->Gpr[Gpr.Rcx] != 0 || !StateComponents.IsValidXcr0(s, value))
        {
            return Raise.GP(s);
        }

        CpuMode before = s->Mode;
        s->Xcr0 = value;
        Mmu.UpdateMode(s);
        return BlockExit.NextOrBehind(s, op, before);
    }

    private static Op* SaveStandard<TArea>(CpuState* s, Op* op, ulong written)
        where TArea : unmanaged
    {
        if (!BeginSave(s, op, out TArea image, out TArea* host, out ulong linear))
        {
            return null;
        }

        ulong requested = Requested(s);
        Span<byte> area = new(&image, sizeof(TArea));
        SaveX87AndAvx(s, op, written, area);
        if ((requested & (Xcr0.SSE | Xcr0.AVX)) != 0)
        {
            StateComponents.SaveMxcsr(s, area);
        }

        if ((written & Xcr0.SSE) != 0)
        {
            StateComponents.SaveXmm(s, area);
        }

        Header header = new(area);
        header.States = (header.States & ~requested) | (requested & StateComponents.InUse(s));
        Operand.EndUpdate(s, host, linear, image);
        return op + 1;
    }

    private static void SaveX87AndAvx(CpuState* s, Op* op, ulong written, Span<byte> area)
    {
        if ((written & Xcr0.X87) != 0)
        {
            StateComponents.SaveX87(s, IsWide(op), area);
        }

        if ((written & Xcr0.AVX) != 0)
        {
            StateComponents.SaveAvx(s, area);
        }
    }

    private static bool BeginSave<TArea>(CpuState* s, Op* op, out TArea area, out TArea* host, out ulong linear)
        where TArea : unmanaged
    {
        if (Enablement.XsaveAllowed(s) && IsAligned(s, op, sizeof(TArea), 64, write: true))
        {
            return Operand.BeginUpdate(s, op, out area, out host, out linear);
        }

        area = default;
        host = null;
        linear = 0;
        return false;
    }

    private static void RestoreX87(CpuState* s, Op* op, ulong requested, ulong states, ReadOnlySpan<byte> area)
    {
        if ((requested & Xcr0.X87) == 0)
        {
            return;
        }

        if ((states & Xcr0.X87) != 0)
        {
            StateComponents.LoadX87(s, IsWide(op), area);
        }
        else
        {
            StateComponents.ResetX87(s);
        }
    }

    /// <summary>The checks of the header that XRSTOR makes before it loads anything.</summary>
    private static bool IsValid(CpuState* s, Header header, bool compacted)
    {
        if (!compacted)
        {
            return (header.States & ~s->Xcr0) == 0 && header.Compaction == 0 && header.IsReservedZero(16);
        }

        ulong layout = header.Compaction & ~Compacted;
        return (layout & ~s->Xcr0) == 0 && (header.States & ~layout) == 0 && header.IsReservedZero(16);
    }

    private static bool IsAligned(CpuState* s, Op* op, int size, int alignment, bool write)
    {
        if (!Operand.Linear(s, op, size, write, out ulong linear))
        {
            return false;
        }

        // The access reports a non-canonical address, which may be #SS.
        return (linear & (ulong)(alignment - 1)) == 0 || !Mmu.IsCanonical(s, linear) || Fault.FailGP(s);
    }

    /// <summary>RFBM: what EDX:EAX asks for of what XCR0 enables.</summary>
    private static ulong Requested(CpuState* s) => s->Xcr0 & Mask(s);

    private static ulong Mask(CpuState* s) => (uint)s->Gpr[Gpr.Rax] | (s->Gpr[Gpr.Rdx] << 32);

    private static bool IsWide(Op* op) => op->Imm != 0;
}
