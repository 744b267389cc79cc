using System.Buffers.Binary;
using Iced.Intel;
using Uml.Core.Cpu.Semantics.Float;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Differential.Tests.Float;

internal delegate void X87Model(ref X87State state, ref X87Frame frame);

internal enum X87Memory
{
    Float32,
    Float64,
    Float80,
    Integer,
    Decimal,
}

/// <summary>One instruction form: how to emit it for the CPU and what the model does.</summary>
internal sealed record X87Form(string Name, Action<Assembler> Emit, X87Model Model, X87Memory Memory = X87Memory.Float32)
{
    public override string ToString() => Name;
}

/// <summary>Every x87 instruction except the transcendental ones, whose last bit is the processor's own.</summary>
internal static class X87Forms
{
    public static IEnumerable<X87Form> All() =>
    [
        .. Loads(), .. Stores(), .. Registers(), .. RegisterArithmetic(), .. MemoryArithmetic(), .. Unary(), .. Comparisons(), .. FlagComparisons(),
        .. Control(),
    ];

    private static IEnumerable<X87Form> Loads()
    {
        yield return new("fld m32", a => a.fld(__dword_ptr[rdi + 224]), (ref X87State s, ref X87Frame f) =>
            X87.LoadFloat32(ref s, (uint)f.Memory));
        yield return new("fld m64", a => a.fld(__qword_ptr[rdi + 224]), (ref X87State s, ref X87Frame f) =>
            X87.LoadFloat64(ref s, (ulong)f.Memory), X87Memory.Float64);
        yield return new("fld m80", a => a.fld(__tword_ptr[rdi + 224]), (ref X87State s, ref X87Frame f) =>
            X87.LoadFloat80(ref s, new Float80((ushort)(f.Memory >> 64), (ulong)f.Memory)), X87Memory.Float80);
        yield return new("fild m16", a => a.fild(__word_ptr[rdi + 224]), (ref X87State s, ref X87Frame f) =>
            X87.LoadInteger(ref s, (short)f.Memory), X87Memory.Integer);
        yield return new("fild m32", a => a.fild(__dword_ptr[rdi + 224]), (ref X87State s, ref X87Frame f) =>
            X87.LoadInteger(ref s, (int)f.Memory), X87Memory.Integer);
        yield return new("fild m64", a => a.fild(__qword_ptr[rdi + 224]), (ref X87State s, ref X87Frame f) =>
            X87.LoadInteger(ref s, (long)f.Memory), X87Memory.Integer);
        yield return new("fbld", a => a.fbld(__[rdi + 224]), (ref X87State s, ref X87Frame f) =>
            X87.LoadDecimal(ref s, (ulong)f.Memory, (ushort)(f.Memory >> 64)), X87Memory.Decimal);
        Action<Assembler>[] constants = [a => a.fld1(), a => a.fldl2t(), a => a.fldl2e(), a => a.fldpi(), a => a.fldlg2(), a => a.fldln2(), a => a.fldz()];
        for (int i = 0; i < constants.Length; i++)
        {
            int selector = i;
            yield return new($"fld constant {i}", constants[i], (ref X87State s, ref X87Frame f) => X87.LoadConstant(ref s, selector));
        }
    }

    private static IEnumerable<X87Form> Stores()
    {
        yield return new("fst m32", a => a.fst(__dword_ptr[rdi + 224]), (ref X87State s, ref X87Frame f) =>
            Write(ref f, X87.TryStoreFloat32(ref s, false, out uint r), r, 4));
        yield return new("fstp m32", a => a.fstp(__dword_ptr[rdi + 224]), (ref X87State s, ref X87Frame f) =>
            Write(ref f, X87.TryStoreFloat32(ref s, true, out uint r), r, 4));
        yield return new("fst m64", a => a.fst(__qword_ptr[rdi + 224]), (ref X87State s, ref X87Frame f) =>
            Write(ref f, X87.TryStoreFloat64(ref s, false, out ulong r), r, 8));
        yield return new("fstp m64", a => a.fstp(__qword_ptr[rdi + 224]), (ref X87State s, ref X87Frame f) =>
            Write(ref f, X87.TryStoreFloat64(ref s, true, out ulong r), r, 8));
        yield return new("fstp m80", a => a.fstp(__tword_ptr[rdi + 224]), (ref X87State s, ref X87Frame f) =>
            Write(ref f, X87.TryStoreFloat80(ref s, out Float80 r), ((UInt128)r.SignExponent << 64) | r.Significand, 10));
        yield return new("fbstp", a => a.fbstp(__[rdi + 224]), (ref X87State s, ref X87Frame f) =>
            Write(ref f, X87.TryStoreDecimal(ref s, out ulong low, out ushort high), ((UInt128)high << 64) | low, 10));
        yield return Integer("fist m16", a => a.fist(__word_ptr[rdi + 224]), 16, false, false);
        yield return Integer("fist m32", a => a.fist(__dword_ptr[rdi + 224]), 32, false, false);
        yield return Integer("fistp m16", a => a.fistp(__word_ptr[rdi + 224]), 16, false, true);
        yield return Integer("fistp m32", a => a.fistp(__dword_ptr[rdi + 224]), 32, false, true);
        yield return Integer("fistp m64", a => a.fistp(__qword_ptr[rdi + 224]), 64, false, true);
        yield return Integer("fisttp m16", a => a.fisttp(__word_ptr[rdi + 224]), 16, true, true);
        yield return Integer("fisttp m32", a => a.fisttp(__dword_ptr[rdi + 224]), 32, true, true);
        yield return Integer("fisttp m64", a => a.fisttp(__qword_ptr[rdi + 224]), 64, true, true);
    }

    private static IEnumerable<X87Form> Registers()
    {
        foreach (int i in new[] { 0, 1, 3, 7 })
        {
            AssemblerRegisterST st = St(i);
            yield return new($"fld st{i}", a => a.fld(st), (ref X87State s, ref X87Frame f) => X87.LoadRegister(ref s, i));
            yield return new($"fxch st{i}", a => a.fxch(st0, st), (ref X87State s, ref X87Frame f) => X87.Exchange(ref s, i));
            yield return new($"fst st{i}", a => a.fst(st), (ref X87State s, ref X87Frame f) => X87.StoreRegister(ref s, i, false));
            yield return new($"fstp st{i}", a => a.fstp(st), (ref X87State s, ref X87Frame f) => X87.StoreRegister(ref s, i, true));
            yield return new($"ffree st{i}", a => a.ffree(st), (ref X87State s, ref X87Frame f) => X87.Free(ref s, i));
            yield return new($"ffreep st{i}", a => a.ffreep(st), (ref X87State s, ref X87Frame f) => X87.FreeAndPop(ref s, i));
            yield return Move($"fcmovb st{i}", a => a.fcmovb(st0, st), i, flags => (flags & 1) != 0);
            yield return Move($"fcmove st{i}", a => a.fcmove(st0, st), i, flags => (flags & 0x40) != 0);
            yield return Move($"fcmovbe st{i}", a => a.fcmovbe(st0, st), i, flags => (flags & 0x41) != 0);
            yield return Move($"fcmovu st{i}", a => a.fcmovu(st0, st), i, flags => (flags & 4) != 0);
            yield return Move($"fcmovnb st{i}", a => a.fcmovnb(st0, st), i, flags => (flags & 1) == 0);
        }
    }

    private static IEnumerable<X87Form> RegisterArithmetic()
    {
        foreach (int i in new[] { 0, 1, 5 })
        {
            AssemblerRegisterST st = St(i);
            yield return Pair($"fadd st0,st{i}", a => a.fadd(st0, st), X87Operation.Add, 0, i, false);
            yield return Pair($"fmul st0,st{i}", a => a.fmul(st0, st), X87Operation.Multiply, 0, i, false);
            yield return Pair($"fsub st0,st{i}", a => a.fsub(st0, st), X87Operation.Subtract, 0, i, false);
            yield return Pair($"fsubr st0,st{i}", a => a.fsubr(st0, st), X87Operation.SubtractReversed, 0, i, false);
            yield return Pair($"fdiv st0,st{i}", a => a.fdiv(st0, st), X87Operation.Divide, 0, i, false);
            yield return Pair($"fdivr st0,st{i}", a => a.fdivr(st0, st), X87Operation.DivideReversed, 0, i, false);
            yield return Pair($"faddp st{i},st0", a => a.faddp(st, st0), X87Operation.Add, i, 0, true);
            yield return Pair($"fmulp st{i},st0", a => a.fmulp(st, st0), X87Operation.Multiply, i, 0, true);
            yield return Pair($"fsubp st{i},st0", a => a.fsubp(st, st0), X87Operation.Subtract, i, 0, true);
            yield return Pair($"fsubrp st{i},st0", a => a.fsubrp(st, st0), X87Operation.SubtractReversed, i, 0, true);
            yield return Pair($"fdivp st{i},st0", a => a.fdivp(st, st0), X87Operation.Divide, i, 0, true);
            yield return Pair($"fdivrp st{i},st0", a => a.fdivrp(st, st0), X87Operation.DivideReversed, i, 0, true);
        }

        yield return Pair("fdiv st5,st0", a => a.fdiv(st5, st0), X87Operation.Divide, 5, 0, false);
        yield return Pair("fsubr st5,st0", a => a.fsubr(st5, st0), X87Operation.SubtractReversed, 5, 0, false);
    }

    private static IEnumerable<X87Form> MemoryArithmetic()
    {
        (X87Operation Operation, Action<Assembler, AssemblerMemoryOperand> Float, Action<Assembler, AssemblerMemoryOperand> Integer)[] all =
        [
            (X87Operation.Add, (a, m) => a.fadd(m), (a, m) => a.fiadd(m)),
            (X87Operation.Multiply, (a, m) => a.fmul(m), (a, m) => a.fimul(m)),
            (X87Operation.Subtract, (a, m) => a.fsub(m), (a, m) => a.fisub(m)),
            (X87Operation.SubtractReversed, (a, m) => a.fsubr(m), (a, m) => a.fisubr(m)),
            (X87Operation.Divide, (a, m) => a.fdiv(m), (a, m) => a.fidiv(m)),
            (X87Operation.DivideReversed, (a, m) => a.fdivr(m), (a, m) => a.fidivr(m)),
        ];
        foreach ((X87Operation operation, Action<Assembler, AssemblerMemoryOperand> real, Action<Assembler, AssemblerMemoryOperand> integer) in all)
        {
            yield return new($"{operation} m32fp", a => real(a, __dword_ptr[rdi + 224]), (ref X87State s, ref X87Frame f) =>
                X87.ArithmeticFloat32(ref s, operation, (uint)f.Memory));
            yield return new($"{operation} m64fp", a => real(a, __qword_ptr[rdi + 224]), (ref X87State s, ref X87Frame f) =>
                X87.ArithmeticFloat64(ref s, operation, (ulong)f.Memory), X87Memory.Float64);
            yield return new($"{operation} m16int", a => integer(a, __word_ptr[rdi + 224]), (ref X87State s, ref X87Frame f) =>
                X87.ArithmeticInteger(ref s, operation, (short)f.Memory), X87Memory.Integer);
            yield return new($"{operation} m32int", a => integer(a, __dword_ptr[rdi + 224]), (ref X87State s, ref X87Frame f) =>
                X87.ArithmeticInteger(ref s, operation, (int)f.Memory), X87Memory.Integer);
        }
    }

    private static IEnumerable<X87Form> Unary()
    {
        yield return new("fsqrt", a => a.fsqrt(), (ref X87State s, ref X87Frame f) => X87.SquareRoot(ref s));
        yield return new("fabs", a => a.fabs(), (ref X87State s, ref X87Frame f) => X87.Absolute(ref s));
        yield return new("fchs", a => a.fchs(), (ref X87State s, ref X87Frame f) => X87.ChangeSign(ref s));
        yield return new("frndint", a => a.frndint(), (ref X87State s, ref X87Frame f) => X87.RoundToInteger(ref s));
        yield return new("fscale", a => a.fscale(), (ref X87State s, ref X87Frame f) => X87.Scale(ref s));
        yield return new("fxtract", a => a.fxtract(), (ref X87State s, ref X87Frame f) => X87.Extract(ref s));
        yield return new("fprem", a => a.fprem(), (ref X87State s, ref X87Frame f) => X87.Remainder(ref s, false));
        yield return new("fprem1", a => a.fprem1(), (ref X87State s, ref X87Frame f) => X87.Remainder(ref s, true));
    }

    private static IEnumerable<X87Form> Comparisons()
    {
        foreach (int i in new[] { 0, 1, 6 })
        {
            AssemblerRegisterST st = St(i);
            yield return new($"fcom st{i}", a => a.fcom(st0, st), (ref X87State s, ref X87Frame f) => X87.CompareRegister(ref s, i, true, 0));
            yield return new($"fcomp st{i}", a => a.fcomp(st0, st), (ref X87State s, ref X87Frame f) => X87.CompareRegister(ref s, i, true, 1));
            yield return new($"fucom st{i}", a => a.fucom(st0, st), (ref X87State s, ref X87Frame f) => X87.CompareRegister(ref s, i, false, 0));
            yield return new($"fucomp st{i}", a => a.fucomp(st0, st), (ref X87State s, ref X87Frame f) => X87.CompareRegister(ref s, i, false, 1));
        }

        yield return new("fcompp", a => a.fcompp(), (ref X87State s, ref X87Frame f) => X87.CompareRegister(ref s, 1, true, 2));
        yield return new("fucompp", a => a.fucompp(), (ref X87State s, ref X87Frame f) => X87.CompareRegister(ref s, 1, false, 2));
        yield return new("fcom m32", a => a.fcom(__dword_ptr[rdi + 224]), (ref X87State s, ref X87Frame f) =>
            X87.CompareFloat32(ref s, (uint)f.Memory, false));
        yield return new("fcomp m64", a => a.fcomp(__qword_ptr[rdi + 224]), (ref X87State s, ref X87Frame f) =>
            X87.CompareFloat64(ref s, (ulong)f.Memory, true), X87Memory.Float64);
        yield return new("ficom m16", a => a.ficom(__word_ptr[rdi + 224]), (ref X87State s, ref X87Frame f) =>
            X87.CompareInteger(ref s, (short)f.Memory, false), X87Memory.Integer);
        yield return new("ficomp m32", a => a.ficomp(__dword_ptr[rdi + 224]), (ref X87State s, ref X87Frame f) =>
            X87.CompareInteger(ref s, (int)f.Memory, true), X87Memory.Integer);
        yield return new("ftst", a => a.ftst(), (ref X87State s, ref X87Frame f) => X87.Test(ref s));
        yield return new("fxam", a => a.fxam(), (ref X87State s, ref X87Frame f) => X87.Examine(ref s));
    }

    private static IEnumerable<X87Form> FlagComparisons()
    {
        foreach (int i in new[] { 0, 1, 4 })
        {
            AssemblerRegisterST st = St(i);
            yield return Flags($"fcomi st{i}", a => a.fcomi(st0, st), i, true, false);
            yield return Flags($"fcomip st{i}", a => a.fcomip(st0, st), i, true, true);
            yield return Flags($"fucomi st{i}", a => a.fucomi(st0, st), i, false, false);
            yield return Flags($"fucomip st{i}", a => a.fucomip(st0, st), i, false, true);
        }
    }

    private static IEnumerable<X87Form> Control()
    {
        yield return new("fninit", a => a.fninit(), (ref X87State s, ref X87Frame f) => X87.Initialize(ref s));
        yield return new("fnclex", a => a.fnclex(), (ref X87State s, ref X87Frame f) => X87.ClearExceptions(ref s));
        yield return new("fnop", a => a.fnop(), (ref X87State s, ref X87Frame f) => { });
        yield return new("fincstp", a => a.fincstp(), (ref X87State s, ref X87Frame f) => X87.IncrementTop(ref s));
        yield return new("fdecstp", a => a.fdecstp(), (ref X87State s, ref X87Frame f) => X87.DecrementTop(ref s));
        yield return new("fldcw", a => a.fldcw(__word_ptr[rdi + 224]), (ref X87State s, ref X87Frame f) =>
            X87.LoadControlWord(ref s, (ushort)f.Memory), X87Memory.Integer);
        yield return new("fnstcw", a => a.fnstcw(__word_ptr[rdi + 224]), (ref X87State s, ref X87Frame f) => Write(ref f, true, s.ControlWord, 2));
        yield return new("fnstsw", a => a.fnstsw(ax), (ref X87State s, ref X87Frame f) => f.Rax = (f.Rax & ~0xFFFFUL) | s.StatusWord);
        yield return new("emms", a => a.emms(), (ref X87State s, ref X87Frame f) => X87.EmptyMmx(ref s));
        yield return new("fnstenv", a => { a.lea(rsp, __[rsp - 64]); a.fnstenv(__[rsp]); a.lea(rsp, __[rsp + 64]); }, (ref X87State s, ref X87Frame f) =>
            X87.StoreEnvironment(ref s, X87ImageFormat.Protected32, stackalloc byte[28]));
        yield return new(
            "fldenv",
            a =>
            {
                a.pushfq();
                a.sub(rsp, 64);
                a.fnstenv(__[rsp]);
                a.mov(__word_ptr[rsp], ax);
                a.shr(eax, 16);
                a.mov(__word_ptr[rsp + 4], ax);
                a.fldenv(__[rsp]);
                a.add(rsp, 64);
                a.popfq();
            },
            (ref X87State s, ref X87Frame f) =>
            {
                Span<byte> image = stackalloc byte[28];
                X87.StoreEnvironment(ref s, X87ImageFormat.Protected32, image);
                BinaryPrimitives.WriteUInt16LittleEndian(image, (ushort)f.Rax);
                BinaryPrimitives.WriteUInt16LittleEndian(image[4..], (ushort)(f.Rax >> 16));
                f.Rax = (uint)f.Rax >> 16;
                X87.LoadEnvironment(ref s, X87ImageFormat.Protected32, image);
            });
        yield return new("fxsave64, fxrstor64", EmitFxRoundTrip, (ref X87State s, ref X87Frame f) =>
        {
            Span<byte> image = stackalloc byte[X87.FxImageSize];
            X87.StoreFxImage(ref s, true, image);
            f.Memory = BinaryPrimitives.ReadUInt64LittleEndian(image) | ((UInt128)BinaryPrimitives.ReadUInt64LittleEndian(image[48..]) << 64);
            image[4] ^= (byte)f.Rax;
            X87.LoadFxImage(ref s, true, image);
        });
        yield return new("movq mm5", a => a.movq(mm5, __qword_ptr[rdi + 224]), (ref X87State s, ref X87Frame f) =>
        {
            X87.EnterMmx(ref s);
            X87.WriteMmx(ref s, 5, (ulong)f.Memory);
        });
    }

    /// <summary>Shows the header's first words and ST(1), then restores with some tags toggled.</summary>
    private static void EmitFxRoundTrip(Assembler a)
    {
        a.pushfq();
        a.mov(rdx, rsp);
        a.sub(rsp, 640);
        a.and(rsp, -64);
        a.fxsave64(__[rsp]);
        a.mov(__word_ptr[rsp + 6], 0);
        a.mov(rcx, __qword_ptr[rsp]);
        a.mov(__qword_ptr[rdi + 224], rcx);
        a.mov(rcx, __qword_ptr[rsp + 48]);
        a.mov(__qword_ptr[rdi + 232], rcx);
        a.xor(__byte_ptr[rsp + 4], al);
        a.fxrstor64(__[rsp]);
        a.mov(rsp, rdx);
        a.popfq();
    }

    private static AssemblerRegisterST St(int index) => index switch
    {
        0 => st0,
        1 => st1,
        2 => st2,
        3 => st3,
        4 => st4,
        5 => st5,
        6 => st6,
        _ => st7,
    };

    private static X87Form Pair(string name, Action<Assembler> emit, X87Operation operation, int destination, int source, bool pop) =>
        new(name, emit, (ref X87State s, ref X87Frame f) => X87.ArithmeticRegisters(ref s, operation, destination, source, pop));

    private static X87Form Move(string name, Action<Assembler> emit, int source, Func<ulong, bool> condition) =>
        new(name, emit, (ref X87State s, ref X87Frame f) => X87.ConditionalMove(ref s, source, condition(f.Flags)));

    private static X87Form Flags(string name, Action<Assembler> emit, int source, bool signaling, bool pop) =>
        new(name, emit, (ref X87State s, ref X87Frame f) =>
            f.Flags = (f.Flags & ~0x45UL) | X87.CompareToFlags(ref s, source, signaling, pop));

    private static X87Form Integer(string name, Action<Assembler> emit, int width, bool truncate, bool pop) =>
        new(name, emit, (ref X87State s, ref X87Frame f) =>
            Write(ref f, X87.TryStoreInteger(ref s, width, truncate, pop, out long r), (UInt128)(ulong)r, width / 8));

    private static void Write(ref X87Frame frame, bool ok, UInt128 value, int bytes)
    {
        if (ok)
        {
            UInt128 mask = (UInt128.One << (bytes * 8)) - 1;
            frame.Memory = (frame.Memory & ~mask) | (value & mask);
        }
    }
}
