using Iced.Intel;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Decode;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Integer;

// SAFETY: as in IntegerBinder.cs; offsets of XCHG and XLAT come from Iced's register numbers too.
internal static unsafe partial class IntegerBinder
{
    private static Handler BindMove(in Instruction i, Op* op, CpuMode mode)
    {
        switch (i.Mnemonic)
        {
            case Mnemonic.Mov: return BindMov(in i);
            case Mnemonic.Lea: return BindLea(in i);
            case Mnemonic.Movzx: return BindExtend(in i, signed: false);
            case Mnemonic.Movsx or Mnemonic.Movsxd: return BindExtend(in i, signed: true);
            case Mnemonic.Xchg: return BindExchange(in i, op);
            case Mnemonic.Xadd or Mnemonic.Cmpxchg: return BindUpdate(in i);
            case Mnemonic.Bswap: return BindScan(in i);
            case Mnemonic.Bsf or Mnemonic.Bsr or Mnemonic.Popcnt: return BindScan(in i);
            case Mnemonic.Bt: return BindBit<BitTest>(in i);
            case Mnemonic.Bts: return BindBit<BitSet>(in i);
            case Mnemonic.Btr: return BindBit<BitReset>(in i);
            case Mnemonic.Btc: return BindBit<BitComplement>(in i);
            case Mnemonic.Shld or Mnemonic.Shrd: return BindDoubleShift(in i);
            case Mnemonic.Xlatb:
                op->Base = OperandFields.RegisterOffset(i.MemoryBase);
                op->Address = OperandFields.AddressSpace(op->Segment, i.MemoryBase.GetSize() * 8, mode);
                return &MiscHandlers.Xlat;
            default: return BindFlow(in i, op);
        }
    }

    private static Handler BindMov(in Instruction i)
    {
        bool general = (i.Op0Kind != OpKind.Register || i.Op0Register.IsGPR()) && (i.Op1Kind != OpKind.Register || i.Op1Register.IsGPR());
        if (!general)
        {
            // Segment, control and debug registers.
            return null;
        }

        return WidthOf(in i) switch
        {
            1 => BindMov<byte>(in i),
            2 => BindMov<ushort>(in i),
            4 => BindMov<uint>(in i),
            _ => BindMov<ulong>(in i),
        };
    }

    private static Handler BindMov<T>(in Instruction i) where T : unmanaged
    {
        if (i.Op0Kind == OpKind.Memory)
        {
            return i.Op1Kind == OpKind.Register ? &MoveHandlers<T>.MemReg : &MoveHandlers<T>.MemImm;
        }

        return i.Op1Kind switch
        {
            OpKind.Register => &MoveHandlers<T>.RegReg,
            OpKind.Memory => &MoveHandlers<T>.RegMem,
            _ => &MoveHandlers<T>.RegImm,
        };
    }

    private static Handler BindLea(in Instruction i) => i.Op0Register.GetSize() switch
    {
        2 => &MoveHandlers<ushort>.Lea,
        4 => &MoveHandlers<uint>.Lea,
        _ => &MoveHandlers<ulong>.Lea,
    };

    private static Handler BindExtend(in Instruction i, bool signed)
    {
        int from = i.Op1Kind == OpKind.Register ? i.Op1Register.GetSize() : i.MemorySize.GetSize();
        return from switch
        {
            1 => BindExtend<byte>(in i, signed),
            2 => BindExtend<ushort>(in i, signed),
            _ => BindExtend<uint>(in i, signed),
        };
    }

    private static Handler BindExtend<TFrom>(in Instruction i, bool signed) where TFrom : unmanaged => i.Op0Register.GetSize() switch
    {
        2 => BindExtend<TFrom, ushort>(in i, signed),
        4 => BindExtend<TFrom, uint>(in i, signed),
        _ => BindExtend<TFrom, ulong>(in i, signed),
    };

    private static Handler BindExtend<TFrom, TTo>(in Instruction i, bool signed)
        where TFrom : unmanaged
        where TTo : unmanaged
    {
        if (i.Op1Kind == OpKind.Memory)
        {
            return signed ? &ExtendHandlers<TFrom, TTo>.SignRegMem : &ExtendHandlers<TFrom, TTo>.ZeroRegMem;
        }

        return signed ? &ExtendHandlers<TFrom, TTo>.SignRegReg : &ExtendHandlers<TFrom, TTo>.ZeroRegReg;
    }

    private static Handler BindExchange(in Instruction i, Op* op)
    {
        if (i.Op1Kind == OpKind.Memory)
        {
            op->R1 = op->R0;
        }

        return WidthOf(in i) switch
        {
            1 => BindExchange<byte>(in i),
            2 => BindExchange<ushort>(in i),
            4 => BindExchange<uint>(in i),
            _ => BindExchange<ulong>(in i),
        };
    }

    private static Handler BindExchange<T>(in Instruction i) where T : unmanaged =>
        IsMemory(in i) ? &MoveHandlers<T>.XchgMemReg : &MoveHandlers<T>.XchgRegReg;

    private static Handler BindUpdate(in Instruction i) => WidthOf(in i) switch
    {
        1 => BindUpdate<byte>(in i),
        2 => BindUpdate<ushort>(in i),
        4 => BindUpdate<uint>(in i),
        _ => BindUpdate<ulong>(in i),
    };

    private static Handler BindUpdate<T>(in Instruction i) where T : unmanaged
    {
        bool memory = i.Op0Kind == OpKind.Memory;
        return i.Mnemonic == Mnemonic.Xadd
            ? memory ? &MoveHandlers<T>.XaddMemReg : &MoveHandlers<T>.XaddRegReg
            : memory ? &MoveHandlers<T>.CmpxchgMemReg : &MoveHandlers<T>.CmpxchgRegReg;
    }

    private static Handler BindScan(in Instruction i) => i.Op0Register.GetSize() switch
    {
        2 => BindScan<ushort>(in i),
        4 => BindScan<uint>(in i),
        _ => BindScan<ulong>(in i),
    };

    private static Handler BindScan<T>(in Instruction i) where T : unmanaged
    {
        bool memory = i.OpCount > 1 && i.Op1Kind == OpKind.Memory;
        return i.Mnemonic switch
        {
            Mnemonic.Bswap => &BitScanHandlers<T>.Bswap,
            Mnemonic.Popcnt => memory ? &BitScanHandlers<T>.PopcntMem : &BitScanHandlers<T>.PopcntReg,
            Mnemonic.Bsf or Mnemonic.Tzcnt => memory ? &BitScanHandlers<T>.ForwardMem : &BitScanHandlers<T>.ForwardReg,
            _ => memory ? &BitScanHandlers<T>.ReverseMem : &BitScanHandlers<T>.ReverseReg,
        };
    }

    private static Handler BindBit<TOperation>(in Instruction i) where TOperation : struct, IBitOperation => WidthOf(in i) switch
    {
        2 => BindBit<TOperation, ushort>(in i),
        4 => BindBit<TOperation, uint>(in i),
        _ => BindBit<TOperation, ulong>(in i),
    };

    private static Handler BindBit<TOperation, T>(in Instruction i)
        where TOperation : struct, IBitOperation
        where T : unmanaged
    {
        bool register = i.Op1Kind == OpKind.Register;
        return i.Op0Kind == OpKind.Memory
            ? register ? &BitTestHandlers<TOperation, T>.MemReg : &BitTestHandlers<TOperation, T>.MemImm
            : register ? &BitTestHandlers<TOperation, T>.RegReg : &BitTestHandlers<TOperation, T>.RegImm;
    }

    private static Handler BindDoubleShift(in Instruction i) => WidthOf(in i) switch
    {
        2 => BindDoubleShift<ushort>(in i),
        4 => BindDoubleShift<uint>(in i),
        _ => BindDoubleShift<ulong>(in i),
    };

    private static Handler BindDoubleShift<T>(in Instruction i) where T : unmanaged
    {
        bool byCl = i.Op2Kind == OpKind.Register;
        bool memory = i.Op0Kind == OpKind.Memory;
        if (i.Mnemonic == Mnemonic.Shld)
        {
            return memory
                ? byCl ? &DoubleShiftHandlers<T>.LeftClMem : &DoubleShiftHandlers<T>.LeftImmMem
                : byCl ? &DoubleShiftHandlers<T>.LeftCl : &DoubleShiftHandlers<T>.LeftImm;
        }

        return memory
            ? byCl ? &DoubleShiftHandlers<T>.RightClMem : &DoubleShiftHandlers<T>.RightImmMem
            : byCl ? &DoubleShiftHandlers<T>.RightCl : &DoubleShiftHandlers<T>.RightImm;
    }
}
