using Iced.Intel;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Semantics.Float;
using Uml.Core.Cpu.State;
using X87Image = Uml.Core.Cpu.Interpreter.Fpu.X87ControlHandlers;
using X87Memory = Uml.Core.Cpu.Interpreter.Fpu.X87MemoryHandlers;

namespace Uml.Core.Cpu.Interpreter.Fpu;

/// <summary>x87: D8 to DF.</summary>
// SAFETY: op is the operation being decoded (IInstructionBinder). Imm is an operation or a variant, or, in X87Binder.Registers.cs, a
// function of the signature that the handler bound with it calls; R2 is the number of ST(i), 0 to 7.
internal static unsafe partial class X87Binder
{
    public static Handler Bind(in Instruction instruction, Op* op, CpuMode mode)
    {
        if (instruction.Code == Code.Wait)
        {
            return &Enablement.Wait;
        }

        if (instruction.Code is < Code.Fadd_m32fp or > Code.Fcomip_st0_sti)
        {
            return null;
        }

        if ((mode & CpuMode.X87Disabled) != 0)
        {
            return &Enablement.RaiseX87Disabled;
        }

        return instruction.OpCount == 1 && instruction.Op0Kind == OpKind.Memory
            ? BindX87Memory(in instruction, op, mode)
            : BindX87Register(in instruction, op);
    }

    private static Handler BindX87Memory(in Instruction instruction, Op* op, CpuMode mode)
    {
        if (TryArithmetic(instruction.Mnemonic, out X87Operation operation))
        {
            op->Imm = (long)operation;
            return instruction.MemorySize switch
            {
                MemorySize.Float32 => &X87Memory.Arithmetic32,
                MemorySize.Float64 => &X87Memory.Arithmetic64,
                MemorySize.Int16 => &X87Memory.ArithmeticInt16,
                _ => &X87Memory.ArithmeticInt32,
            };
        }

        switch (instruction.Mnemonic)
        {
            case Mnemonic.Fcom or Mnemonic.Fcomp or Mnemonic.Ficom or Mnemonic.Ficomp:
                op->Imm = instruction.Mnemonic is Mnemonic.Fcomp or Mnemonic.Ficomp ? X87Handlers.Popping : 0;
                return instruction.MemorySize switch
                {
                    MemorySize.Float32 => &X87Memory.Compare32,
                    MemorySize.Float64 => &X87Memory.Compare64,
                    MemorySize.Int16 => &X87Memory.CompareInt16,
                    _ => &X87Memory.CompareInt32,
                };
            case Mnemonic.Fst or Mnemonic.Fstp or Mnemonic.Fist or Mnemonic.Fistp or Mnemonic.Fisttp:
                op->Imm = (instruction.Mnemonic is Mnemonic.Fst or Mnemonic.Fist ? 0 : X87Handlers.Popping)
                    | (instruction.Mnemonic == Mnemonic.Fisttp ? X87Memory.Truncating : 0);
                return BindX87Store(instruction.MemorySize);
            case Mnemonic.Fld or Mnemonic.Fild or Mnemonic.Fbld:
                return BindX87Load(instruction.MemorySize);
            case Mnemonic.Fbstp:
                return &X87Memory.StoreDecimal;
            default:
                return BindX87Image(in instruction, op, mode);
        }
    }

    private static Handler BindX87Load(MemorySize size) => size switch
    {
        MemorySize.Float32 => &X87Memory.Load32,
        MemorySize.Float64 => &X87Memory.Load64,
        MemorySize.Float80 => &X87Memory.Load80,
        MemorySize.Int16 => &X87Memory.LoadInt16,
        MemorySize.Int32 => &X87Memory.LoadInt32,
        MemorySize.Int64 => &X87Memory.LoadInt64,
        _ => &X87Memory.LoadDecimal,
    };

    private static Handler BindX87Store(MemorySize size) => size switch
    {
        MemorySize.Float32 => &X87Memory.Store32,
        MemorySize.Float64 => &X87Memory.Store64,
        MemorySize.Float80 => &X87Memory.Store80,
        MemorySize.Int16 => &X87Memory.StoreInteger<short>,
        MemorySize.Int32 => &X87Memory.StoreInteger<int>,
        _ => &X87Memory.StoreInteger<long>,
    };

    private static Handler BindX87Image(in Instruction instruction, Op* op, CpuMode mode)
    {
        bool real = (mode & (CpuMode.Protected | CpuMode.Virtual8086)) != CpuMode.Protected;
        bool wide = instruction.MemorySize is MemorySize.FpuEnv28 or MemorySize.FpuState108;
        op->Imm = (long)(real
            ? wide ? X87ImageFormat.Real32 : X87ImageFormat.Real16
            : wide ? X87ImageFormat.Protected32 : X87ImageFormat.Protected16);
        return instruction.Code switch
        {
            Code.Fldcw_m2byte => &X87Image.LoadControlWord,
            Code.Fnstcw_m2byte => &X87Image.StoreControlWord,
            Code.Fnstsw_m2byte => &X87Image.StoreStatusWord,
            Code.Fldenv_m14byte => &X87Image.LoadEnvironment<X87Image.Environment16>,
            Code.Fldenv_m28byte => &X87Image.LoadEnvironment<X87Image.Environment32>,
            Code.Fnstenv_m14byte => &X87Image.StoreEnvironment<X87Image.Environment16>,
            Code.Fnstenv_m28byte => &X87Image.StoreEnvironment<X87Image.Environment32>,
            Code.Frstor_m94byte => &X87Image.Restore<X87Image.Save16>,
            Code.Frstor_m108byte => &X87Image.Restore<X87Image.Save32>,
            Code.Fnsave_m94byte => &X87Image.Save<X87Image.Save16>,
            Code.Fnsave_m108byte => &X87Image.Save<X87Image.Save32>,
            _ => null,
        };
    }

    private static Handler BindX87Register(in Instruction instruction, Op* op)
    {
        if (TryArithmetic(instruction.Mnemonic, out X87Operation operation))
        {
            op->Imm = (long)operation;
            return &X87Handlers.Arithmetic;
        }

        if (TryPoppingArithmetic(instruction.Mnemonic, out operation))
        {
            op->Imm = (long)operation;
            return &X87Handlers.ArithmeticPop;
        }

        if (instruction.Code == Code.Fnstsw_AX)
        {
            return &X87Handlers.StoreStatusWord;
        }

        if (instruction.OpCount > 0)
        {
            op->R2 = (ushort)instruction.GetOpRegister(instruction.OpCount - 1).GetNumber();
            return BindX87Indexed(instruction.Mnemonic, op);
        }

        return BindX87Implicit(instruction.Mnemonic, op);
    }

    private static bool TryArithmetic(Mnemonic mnemonic, out X87Operation operation)
    {
        (bool known, operation) = mnemonic switch
        {
            Mnemonic.Fadd or Mnemonic.Fiadd => (true, X87Operation.Add),
            Mnemonic.Fmul or Mnemonic.Fimul => (true, X87Operation.Multiply),
            Mnemonic.Fsub or Mnemonic.Fisub => (true, X87Operation.Subtract),
            Mnemonic.Fsubr or Mnemonic.Fisubr => (true, X87Operation.SubtractReversed),
            Mnemonic.Fdiv or Mnemonic.Fidiv => (true, X87Operation.Divide),
            Mnemonic.Fdivr or Mnemonic.Fidivr => (true, X87Operation.DivideReversed),
            _ => (false, default),
        };
        return known;
    }

    private static bool TryPoppingArithmetic(Mnemonic mnemonic, out X87Operation operation)
    {
        (bool known, operation) = mnemonic switch
        {
            Mnemonic.Faddp => (true, X87Operation.Add),
            Mnemonic.Fmulp => (true, X87Operation.Multiply),
            Mnemonic.Fsubp => (true, X87Operation.Subtract),
            Mnemonic.Fsubrp => (true, X87Operation.SubtractReversed),
            Mnemonic.Fdivp => (true, X87Operation.Divide),
            Mnemonic.Fdivrp => (true, X87Operation.DivideReversed),
            _ => (false, default),
        };
        return known;
    }
}
