using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Access;

/// <summary>
/// Operand access for handlers: registers by offset, memory through the TLB. Functions that return bool return false
/// after recording the fault; the handler then returns null.
/// </summary>
// SAFETY: handlers: the handler contract (Op). An offset plus the width of T lies within the processor's memory because OperandFields made
// it. Host addresses come from a TLB entry whose tag equals the page of the operand's last byte, looked up by its first, so all of it is in
// that page of guest RAM; everything else goes through Mmu. host of BeginUpdate is used by EndUpdate of the same instruction, before
// anything can drop the entry.
internal static unsafe class Operand
{
    /// <summary>Reads a register operand.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Reg<T>(CpuState* s, ushort offset) where T : unmanaged => *(T*)((byte*)s + offset);

    /// <summary>Writes a general register operand; a 32-bit write clears the upper half.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetReg<T>(CpuState* s, ushort offset, T value) where T : unmanaged
    {
        if (sizeof(T) == 4)
        {
            *(ulong*)((byte*)s + offset) = Unsafe.BitCast<T, uint>(value);
        }
        else
        {
            *(T*)((byte*)s + offset) = value;
        }
    }

    /// <summary>The memory operand's offset within its segment (what LEA computes), before wrapping at the address size.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Sum(CpuState* s, Op* op) =>
        *(ulong*)((byte*)s + op->Base) + (*(ulong*)((byte*)s + op->Index) << op->Scale) + (ulong)op->Disp;

    /// <summary>The memory operand's effective address: what LEA returns, wrapped at the address size.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Effective(CpuState* s, Op* op)
    {
        ulong address = Sum(s, op);
        return (op->Address & (AddressFlags.Wrap32 | AddressFlags.Wrap16)) == 0 ? address : Wrap(op, address);
    }

    private static ulong Wrap(Op* op, ulong address) =>
        (op->Address & AddressFlags.Wrap32) != 0 ? (uint)address : (ushort)address;

    /// <summary>The memory operand's linear address, with segment checks where the mode asks for them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Linear(CpuState* s, Op* op, int size, bool write, out ulong linear)
    {
        linear = Sum(s, op);
        return op->Address == AddressFlags.None || Segmentation.Adjust(s, op, size, write, ref linear);
    }

    /// <summary>Loads the memory operand.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Load<T>(CpuState* s, Op* op, out T value) where T : unmanaged
    {
        if (!Linear(s, op, sizeof(T), write: false, out ulong linear))
        {
            value = default;
            return false;
        }

        return LoadAt(s, linear, op->Segment, out value);
    }

    /// <summary>Stores the memory operand.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Store<T>(CpuState* s, Op* op, T value) where T : unmanaged =>
        Linear(s, op, sizeof(T), write: true, out ulong linear) && StoreAt(s, linear, op->Segment, value);

    /// <summary>Checks that the memory operand may be written; a store that follows cannot fault.</summary>
    public static bool CanStore<T>(CpuState* s, Op* op) where T : unmanaged
    {
        if (!Linear(s, op, sizeof(T), write: true, out ulong linear))
        {
            return false;
        }

        TlbEntry* entry = Tlb.Entry(PagingState.Of(s)->Tlb, linear);
        return entry->WriteTag == Page.Base(linear + (ulong)sizeof(T) - 1) || Mmu.ProbeWrite(s, linear, sizeof(T), op->Segment);
    }

    /// <summary>Loads from a linear address at the current privilege.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool LoadAt<T>(CpuState* s, ulong linear, SegmentIndex segment, out T value) where T : unmanaged
    {
        TlbEntry* entry = Tlb.Entry(PagingState.Of(s)->Tlb, linear);
        if (entry->ReadTag == Page.Base(linear + (ulong)sizeof(T) - 1))
        {
            value = Unsafe.ReadUnaligned<T>((void*)(entry->HostPage + Page.Offset(linear)));
            return true;
        }

        T slow;
        bool ok = Mmu.ReadSlow(s, linear, (byte*)&slow, sizeof(T), segment);
        value = slow;
        return ok;
    }

    /// <summary>Stores to a linear address at the current privilege.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool StoreAt<T>(CpuState* s, ulong linear, SegmentIndex segment, T value) where T : unmanaged
    {
        TlbEntry* entry = Tlb.Entry(PagingState.Of(s)->Tlb, linear);
        if (entry->WriteTag == Page.Base(linear + (ulong)sizeof(T) - 1))
        {
            Unsafe.WriteUnaligned((void*)(entry->HostPage + Page.Offset(linear)), value);
            return true;
        }

        return Mmu.WriteSlow(s, linear, (byte*)&value, sizeof(T), segment);
    }

    /// <summary>Loads a 16-byte operand that must be aligned: #GP(0) when it is not (Intel SDM vol. 2, 2.4, exceptions type 1 to 4).</summary>
    public static bool LoadAligned(CpuState* s, Op* op, out Vector128<byte> value)
    {
        value = default;
        if (!Linear(s, op, 16, write: false, out ulong linear))
        {
            return false;
        }

        return (linear & 15) != 0 ? Fault.FailGP(s) : LoadAt(s, linear, op->Segment, out value);
    }

    /// <summary>Stores a 16-byte operand that must be aligned: #GP(0) when it is not.</summary>
    public static bool StoreAligned(CpuState* s, Op* op, Vector128<byte> value)
    {
        if (!Linear(s, op, 16, write: true, out ulong linear))
        {
            return false;
        }

        return (linear & 15) != 0 ? Fault.FailGP(s) : StoreAt(s, linear, op->Segment, value);
    }

    /// <summary>
    /// Begins a read-modify-write of the memory operand: checks that it may be written and loads it. <paramref name="host"/> is the host
    /// address when the operand is plain RAM within one page, else null. Finish with <see cref="EndUpdate{T}"/>, which cannot fault.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool BeginUpdate<T>(CpuState* s, Op* op, out T value, out T* host, out ulong linear) where T : unmanaged
    {
        if (!Linear(s, op, sizeof(T), write: true, out linear))
        {
            value = default;
            host = null;
            return false;
        }

        TlbEntry* entry = Tlb.Entry(PagingState.Of(s)->Tlb, linear);
        if (entry->WriteTag == Page.Base(linear + (ulong)sizeof(T) - 1))
        {
            host = (T*)(entry->HostPage + Page.Offset(linear));
            value = Unsafe.ReadUnaligned<T>(host);
            return true;
        }

        host = null;
        T slow;
        bool ok = Mmu.ReadForUpdateSlow(s, linear, (byte*)&slow, sizeof(T), op->Segment);
        value = slow;
        return ok;
    }

    /// <summary>Writes back what <see cref="BeginUpdate{T}"/> began.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void EndUpdate<T>(CpuState* s, T* host, ulong linear, T value) where T : unmanaged
    {
        if (host != null)
        {
            Unsafe.WriteUnaligned(host, value);
        }
        else
        {
            Mmu.FinishUpdateSlow(s, linear, (byte*)&value, sizeof(T));
        }
    }

    /// <summary>Zero-extends an integer to 64 bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Widen<T>(T value) where T : unmanaged => sizeof(T) switch
    {
        1 => Unsafe.BitCast<T, byte>(value),
        2 => Unsafe.BitCast<T, ushort>(value),
        4 => Unsafe.BitCast<T, uint>(value),
        _ => Unsafe.BitCast<T, ulong>(value),
    };

    /// <summary>The low bits of a 64-bit value.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Narrow<T>(ulong value) where T : unmanaged => sizeof(T) switch
    {
        1 => Unsafe.BitCast<byte, T>((byte)value),
        2 => Unsafe.BitCast<ushort, T>((ushort)value),
        4 => Unsafe.BitCast<uint, T>((uint)value),
        _ => Unsafe.BitCast<ulong, T>(value),
    };

    /// <summary>A general register, zero-extended to 64 bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Get<T>(CpuState* s, ushort offset) where T : unmanaged => Widen(Reg<T>(s, offset));

    /// <summary>Writes the low bits of a value to a general register; a 32-bit write clears the upper half.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Set<T>(CpuState* s, ushort offset, ulong value) where T : unmanaged
    {
        if (sizeof(T) == 4)
        {
            *(ulong*)((byte*)s + offset) = (uint)value;
        }
        else
        {
            *(T*)((byte*)s + offset) = Narrow<T>(value);
        }
    }
}
