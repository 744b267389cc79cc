using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.Semantics.Float;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Fpu;

/// <summary>x87 instructions with a memory operand. A fault of the access leaves the unit as it was.</summary>
// SAFETY: handlers: the handler contract (Op); integers are stored from the low bytes of a local of eight.
internal static unsafe class X87MemoryHandlers
{
    /// <summary>An 80-bit operand: double extended, or packed decimal.</summary>
    [StructLayout(LayoutKind.Sequential, Pack = 2)]
    private struct TenBytes
    {
        public ulong Low;
        public ushort High;
    }

    /// <summary>FADD m32fp and relatives; <see cref="Op.Imm"/> is the operation.</summary>
    public static Op* Arithmetic32(CpuState* s, Op* op)
    {
        if (!Load(s, op, out uint value))
        {
            return null;
        }

        X87.ArithmeticFloat32(ref s->X87, (X87Operation)op->Imm, value);
        return op + 1;
    }

    /// <summary>FADD m64fp and relatives.</summary>
    public static Op* Arithmetic64(CpuState* s, Op* op)
    {
        if (!Load(s, op, out ulong value))
        {
            return null;
        }

        X87.ArithmeticFloat64(ref s->X87, (X87Operation)op->Imm, value);
        return op + 1;
    }

    /// <summary>FIADD m16int and relatives.</summary>
    public static Op* ArithmeticInt16(CpuState* s, Op* op)
    {
        if (!Load(s, op, out short value))
        {
            return null;
        }

        X87.ArithmeticInteger(ref s->X87, (X87Operation)op->Imm, value);
        return op + 1;
    }

    /// <summary>FIADD m32int and relatives.</summary>
    public static Op* ArithmeticInt32(CpuState* s, Op* op)
    {
        if (!Load(s, op, out int value))
        {
            return null;
        }

        X87.ArithmeticInteger(ref s->X87, (X87Operation)op->Imm, value);
        return op + 1;
    }

    /// <summary>FCOM m32fp. All comparisons and stores here pop when <see cref="Op.Imm"/> is <see cref="X87Handlers.Popping"/>.</summary>
    public static Op* Compare32(CpuState* s, Op* op)
    {
        if (!Load(s, op, out uint value))
        {
            return null;
        }

        X87.CompareFloat32(ref s->X87, value, Pops(op));
        return op + 1;
    }

    /// <summary>FCOM m64fp.</summary>
    public static Op* Compare64(CpuState* s, Op* op)
    {
        if (!Load(s, op, out ulong value))
        {
            return null;
        }

        X87.CompareFloat64(ref s->X87, value, Pops(op));
        return op + 1;
    }

    /// <summary>FICOM m16int.</summary>
    public static Op* CompareInt16(CpuState* s, Op* op)
    {
        if (!Load(s, op, out short value))
        {
            return null;
        }

        X87.CompareInteger(ref s->X87, value, Pops(op));
        return op + 1;
    }

    /// <summary>FICOM m32int.</summary>
    public static Op* CompareInt32(CpuState* s, Op* op)
    {
        if (!Load(s, op, out int value))
        {
            return null;
        }

        X87.CompareInteger(ref s->X87, value, Pops(op));
        return op + 1;
    }

    /// <summary>FLD m32fp.</summary>
    public static Op* Load32(CpuState* s, Op* op)
    {
        if (!Load(s, op, out uint value))
        {
            return null;
        }

        X87.LoadFloat32(ref s->X87, value);
        return op + 1;
    }

    /// <summary>FLD m64fp.</summary>
    public static Op* Load64(CpuState* s, Op* op)
    {
        if (!Load(s, op, out ulong value))
        {
            return null;
        }

        X87.LoadFloat64(ref s->X87, value);
        return op + 1;
    }

    /// <summary>FLD m80fp.</summary>
    public static Op* Load80(CpuState* s, Op* op)
    {
        if (!Load(s, op, out TenBytes value))
        {
            return null;
        }

        X87.LoadFloat80(ref s->X87, new Float80(value.High, value.Low));
        return op + 1;
    }

    /// <summary>FILD m16int.</summary>
    public static Op* LoadInt16(CpuState* s, Op* op)
    {
        if (!Load(s, op, out short value))
        {
            return null;
        }

        X87.LoadInteger(ref s->X87, value);
        return op + 1;
    }

    /// <summary>FILD m32int.</summary>
    public static Op* LoadInt32(CpuState* s, Op* op)
    {
        if (!Load(s, op, out int value))
        {
            return null;
        }

        X87.LoadInteger(ref s->X87, value);
        return op + 1;
    }

    /// <summary>FILD m64int.</summary>
    public static Op* LoadInt64(CpuState* s, Op* op)
    {
        if (!Load(s, op, out long value))
        {
            return null;
        }

        X87.LoadInteger(ref s->X87, value);
        return op + 1;
    }

    /// <summary>FBLD.</summary>
    public static Op* LoadDecimal(CpuState* s, Op* op)
    {
        if (!Load(s, op, out TenBytes value))
        {
            return null;
        }

        X87.LoadDecimal(ref s->X87, value.Low, value.High);
        return op + 1;
    }

    /// <summary>FST m32fp.</summary>
    public static Op* Store32(CpuState* s, Op* op)
    {
        if (!BeginStore(s, op, out Undo undo))
        {
            return null;
        }

        return X87.TryStoreFloat32(ref s->X87, Pops(op), out uint value) ? Finish(s, op, value, in undo) : op + 1;
    }

    /// <summary>FST m64fp.</summary>
    public static Op* Store64(CpuState* s, Op* op)
    {
        if (!BeginStore(s, op, out Undo undo))
        {
            return null;
        }

        return X87.TryStoreFloat64(ref s->X87, Pops(op), out ulong value) ? Finish(s, op, value, in undo) : op + 1;
    }

    /// <summary>FSTP m80fp.</summary>
    public static Op* Store80(CpuState* s, Op* op)
    {
        if (!BeginStore(s, op, out Undo undo))
        {
            return null;
        }

        return X87.TryStoreFloat80(ref s->X87, out Float80 value) ? FinishTenBytes(s, op, value.Significand, value.SignExponent, in undo) : op + 1;
    }

    /// <summary>FIST, FISTP; FISTTP with <see cref="Truncating"/>.</summary>
    public static Op* StoreInteger<T>(CpuState* s, Op* op)
        where T : unmanaged
    {
        if (!BeginStore(s, op, out Undo undo))
        {
            return null;
        }

        bool stored = X87.TryStoreInteger(ref s->X87, sizeof(T) * 8, (op->Imm & Truncating) != 0, Pops(op), out long value);
        return stored ? Finish(s, op, *(T*)&value, in undo) : op + 1;
    }

    public const int Truncating = 4;

    /// <summary>FBSTP.</summary>
    public static Op* StoreDecimal(CpuState* s, Op* op)
    {
        if (!BeginStore(s, op, out Undo undo))
        {
            return null;
        }

        return X87.TryStoreDecimal(ref s->X87, out ulong low, out ushort high) ? FinishTenBytes(s, op, low, high, in undo) : op + 1;
    }

    /// <summary>The state that a store changes, to be restored when the store faults.</summary>
    private readonly struct Undo(in X87State state)
    {
        private readonly ushort _statusWord = state.StatusWord;
        private readonly byte _validTags = state.ValidTags;
        private readonly ulong _instructionPointer = state.InstructionPointer;
        private readonly ulong _dataPointer = state.DataPointer;
        private readonly ushort _lastOpcode = state.LastOpcode;

        public void Apply(ref X87State state)
        {
            state.StatusWord = _statusWord;
            state.ValidTags = _validTags;
            state.InstructionPointer = _instructionPointer;
            state.DataPointer = _dataPointer;
            state.LastOpcode = _lastOpcode;
        }
    }

    /// <summary>
    /// Before a store. Whether a fault of the address has priority over an exception of the value is implementation-specific: on Intel's
    /// processors an unmasked exception that suppresses the store also suppresses the access.
    /// </summary>
    private static bool BeginStore(CpuState* s, Op* op, out Undo undo)
    {
        undo = new Undo(in s->X87);
        if (Enablement.IsX87ErrorPending(s))
        {
            Enablement.RaiseX87Error(s);
            return false;
        }

        X87Pointers.NoteWithOperand(s, op);
        return true;
    }

    private static Op* Finish<T>(CpuState* s, Op* op, T value, in Undo undo)
        where T : unmanaged
    {
        if (Operand.Store(s, op, value))
        {
            return op + 1;
        }

        undo.Apply(ref s->X87);
        return null;
    }

    /// <summary>
    /// Ten bytes are stored as eight and two, so a fault of the two leaves the eight in memory, as on Intel's processors.
    /// </summary>
    private static Op* FinishTenBytes(CpuState* s, Op* op, ulong low, ushort high, in Undo undo)
    {
        if (Operand.Linear(s, op, sizeof(ulong) + sizeof(ushort), write: true, out ulong linear)
            && Operand.StoreAt(s, linear, op->Segment, low)
            && Operand.StoreAt(s, Mmu.Wrap(s, linear + sizeof(ulong)), op->Segment, high))
        {
            return op + 1;
        }

        undo.Apply(ref s->X87);
        return null;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Load<T>(CpuState* s, Op* op, out T value)
        where T : unmanaged
    {
        if (Enablement.IsX87ErrorPending(s))
        {
            Enablement.RaiseX87Error(s);
            value = default;
            return false;
        }

        if (!Operand.Load(s, op, out value))
        {
            return false;
        }

        X87Pointers.NoteWithOperand(s, op);
        return true;
    }

    private static bool Pops(Op* op) => (op->Imm & X87Handlers.Popping) != 0;
}
