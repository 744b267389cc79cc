using System.Runtime.CompilerServices;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Semantics.Float;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Fpu;

/// <summary>x87 instructions that load and store control words and whole environments.</summary>
// SAFETY: handlers: the handler contract (Op). Images are locals, as large as their type says, and passed on as spans.
internal static unsafe class X87ControlHandlers
{
    private const int LargestImage = 108;

    [InlineArray(14)]
    internal struct Environment16
    {
        private byte _first;
    }

    [InlineArray(28)]
    internal struct Environment32
    {
        private byte _first;
    }

    [InlineArray(94)]
    internal struct Save16
    {
        private byte _first;
    }

    [InlineArray(LargestImage)]
    internal struct Save32
    {
        private byte _first;
    }

    /// <summary>FLDCW.</summary>
    public static Op* LoadControlWord(CpuState* s, Op* op)
    {
        if (Enablement.IsX87ErrorPending(s))
        {
            return Enablement.RaiseX87Error(s);
        }

        if (!Operand.Load(s, op, out ushort value))
        {
            return null;
        }

        X87.LoadControlWord(ref s->X87, value);
        return op + 1;
    }

    /// <summary>FNSTCW.</summary>
    public static Op* StoreControlWord(CpuState* s, Op* op) => Operand.Store(s, op, s->X87.ControlWord) ? op + 1 : null;

    /// <summary>FNSTSW m16.</summary>
    public static Op* StoreStatusWord(CpuState* s, Op* op) => Operand.Store(s, op, s->X87.StatusWord) ? op + 1 : null;

    /// <summary>FLDENV; <typeparamref name="T"/> is the image, <see cref="Op.Imm"/> its format.</summary>
    public static Op* LoadEnvironment<T>(CpuState* s, Op* op)
        where T : unmanaged
    {
        if (Enablement.IsX87ErrorPending(s))
        {
            return Enablement.RaiseX87Error(s);
        }

        if (!Operand.Load(s, op, out T image))
        {
            return null;
        }

        X87.LoadEnvironment(ref s->X87, (X87ImageFormat)op->Imm, new ReadOnlySpan<byte>(&image, sizeof(T)));
        return op + 1;
    }

    /// <summary>FNSTENV.</summary>
    public static Op* StoreEnvironment<T>(CpuState* s, Op* op)
        where T : unmanaged
    {
        T image = default;
        X87State after = s->X87;
        X87.StoreEnvironment(ref after, (X87ImageFormat)op->Imm, new Span<byte>(&image, sizeof(T)));
        return Commit(s, op, image, in after);
    }

    /// <summary>FRSTOR.</summary>
    public static Op* Restore<T>(CpuState* s, Op* op)
        where T : unmanaged
    {
        if (Enablement.IsX87ErrorPending(s))
        {
            return Enablement.RaiseX87Error(s);
        }

        if (!Operand.Load(s, op, out T image))
        {
            return null;
        }

        X87.Restore(ref s->X87, (X87ImageFormat)op->Imm, new ReadOnlySpan<byte>(&image, sizeof(T)));
        return op + 1;
    }

    /// <summary>FNSAVE.</summary>
    public static Op* Save<T>(CpuState* s, Op* op)
        where T : unmanaged
    {
        T image = default;
        X87State after = s->X87;
        X87.Save(ref after, (X87ImageFormat)op->Imm, new Span<byte>(&image, sizeof(T)));
        return Commit(s, op, image, in after);
    }

    private static Op* Commit<T>(CpuState* s, Op* op, T image, in X87State after)
        where T : unmanaged
    {
        if (!Operand.Store(s, op, image))
        {
            return null;
        }

        s->X87 = after;
        return op + 1;
    }
}
