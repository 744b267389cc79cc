using Iced.Intel;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Segments;

/// <summary>Instructions on segment registers, descriptor tables and selectors.</summary>
// SAFETY: op is the operation being decoded (IInstructionBinder). Imm and R1 are a SegmentIndex, and R2 is a number of bits; none is an
// offset.
internal static unsafe class SegmentBinder
{
    public static Handler Bind(in Instruction i, Op* op)
    {
        bool memory = i.Op0Kind == OpKind.Memory;
        switch (i.Mnemonic)
        {
            case Mnemonic.Mov: return BindSegmentMove(in i);
            case Mnemonic.Push: return BindSegmentStack(in i, push: true);
            case Mnemonic.Pop: return BindSegmentStack(in i, push: false);
            case Mnemonic.Lds: return BindFarLoad(in i, op, SegmentIndex.Ds);
            case Mnemonic.Les: return BindFarLoad(in i, op, SegmentIndex.Es);
            case Mnemonic.Lss: return BindFarLoad(in i, op, SegmentIndex.Ss);
            case Mnemonic.Lfs: return BindFarLoad(in i, op, SegmentIndex.Fs);
            case Mnemonic.Lgs: return BindFarLoad(in i, op, SegmentIndex.Gs);
            case Mnemonic.Rdfsbase: return BindBase(in i, op, SegmentIndex.Fs, write: false);
            case Mnemonic.Rdgsbase: return BindBase(in i, op, SegmentIndex.Gs, write: false);
            case Mnemonic.Wrfsbase: return BindBase(in i, op, SegmentIndex.Fs, write: true);
            case Mnemonic.Wrgsbase: return BindBase(in i, op, SegmentIndex.Gs, write: true);
            case Mnemonic.Lgdt or Mnemonic.Lidt or Mnemonic.Sgdt or Mnemonic.Sidt: return BindTable(in i, op);
            case Mnemonic.Lldt: return memory ? &TableHandlers.LoadLdtMemory : &TableHandlers.LoadLdtRegister;
            case Mnemonic.Ltr: return memory ? &TableHandlers.LoadTaskMemory : &TableHandlers.LoadTaskRegister;
            case Mnemonic.Sldt: return BindSystemStore(in i, op, SegmentIndex.Ldtr);
            case Mnemonic.Str: return BindSystemStore(in i, op, SegmentIndex.Tr);
            case Mnemonic.Lar or Mnemonic.Lsl: return BindSelectorQuestion(in i);
            case Mnemonic.Verr or Mnemonic.Verw:
                op->Imm = i.Mnemonic == Mnemonic.Verw ? 1 : 0;
                return memory ? &SelectorHandlers.VerifyMemory : &SelectorHandlers.VerifyRegister;
            case Mnemonic.Arpl: return memory ? &SelectorHandlers.AdjustRplMemory : &SelectorHandlers.AdjustRplRegister;
            default:
                return null;
        }
    }

    private static Handler BindSegmentMove(in Instruction i)
    {
        if (i.Op0Kind == OpKind.Register && i.Op0Register.IsSegmentRegister())
        {
            // CS cannot be loaded this way, and there are no segment registers 6 and 7.
            if (i.Op0Register == Register.CS)
            {
                return &Raise.Undefined;
            }

            return i.Op1Kind == OpKind.Memory ? &SegmentHandlers.LoadFromMemory : &SegmentHandlers.LoadFromRegister;
        }

        if (i.Op1Kind != OpKind.Register || !i.Op1Register.IsSegmentRegister())
        {
            return null;
        }

        if (i.Op0Kind == OpKind.Memory)
        {
            return &SegmentHandlers.StoreToMemory;
        }

        return i.Op0Register.GetSize() switch
        {
            2 => &SegmentHandlers.StoreToRegister<ushort>,
            4 => &SegmentHandlers.StoreToRegister<uint>,
            _ => &SegmentHandlers.StoreToRegister<ulong>,
        };
    }

    private static Handler BindSegmentStack(in Instruction i, bool push)
    {
        if (i.Op0Kind != OpKind.Register || !i.Op0Register.IsSegmentRegister())
        {
            return null;
        }

        return Math.Abs(i.StackPointerIncrement) switch
        {
            2 => push ? &SegmentHandlers.Push<ushort> : &SegmentHandlers.Pop<ushort>,
            4 => push ? &SegmentHandlers.Push32 : &SegmentHandlers.Pop<uint>,
            _ => push ? &SegmentHandlers.Push<ulong> : &SegmentHandlers.Pop<ulong>,
        };
    }

    private static Handler BindFarLoad(in Instruction i, Op* op, SegmentIndex segment)
    {
        op->Imm = (long)segment;
        return i.Op0Register.GetSize() switch
        {
            2 => &SegmentHandlers.LoadFar<ushort>,
            4 => &SegmentHandlers.LoadFar<uint>,
            _ => &SegmentHandlers.LoadFar<ulong>,
        };
    }

    private static Handler BindBase(in Instruction i, Op* op, SegmentIndex segment, bool write)
    {
        op->Imm = (long)segment;
        return i.Op0Register.GetSize() == 4
            ? write ? &SegmentHandlers.WriteBase<uint> : &SegmentHandlers.ReadBase<uint>
            : write ? &SegmentHandlers.WriteBase<ulong> : &SegmentHandlers.ReadBase<ulong>;
    }

    private static Handler BindTable(in Instruction i, Op* op)
    {
        op->R2 = i.Code switch
        {
            Code.Lgdt_m1664 or Code.Lidt_m1664 or Code.Sgdt_m1664 or Code.Sidt_m1664 => 64,
            Code.Lgdt_m1632_16 or Code.Lidt_m1632_16 => 24,
            _ => 32,
        };
        return i.Mnemonic switch
        {
            Mnemonic.Lgdt => &TableHandlers.LoadGdt,
            Mnemonic.Lidt => &TableHandlers.LoadIdt,
            Mnemonic.Sgdt => &TableHandlers.StoreGdt,
            _ => &TableHandlers.StoreIdt,
        };
    }

    private static Handler BindSystemStore(in Instruction i, Op* op, SegmentIndex segment)
    {
        op->R1 = (ushort)segment;
        if (i.Op0Kind == OpKind.Memory)
        {
            return &TableHandlers.StoreSystemMemory;
        }

        op->R2 = (ushort)(i.Op0Register.GetSize() * 8);
        return &TableHandlers.StoreSystemRegister;
    }

    private static Handler BindSelectorQuestion(in Instruction i)
    {
        bool memory = i.Op1Kind == OpKind.Memory;
        if (i.Mnemonic == Mnemonic.Lar)
        {
            return i.Op0Register.GetSize() switch
            {
                2 => memory ? &SelectorHandlers.AccessRightsMemory<ushort> : &SelectorHandlers.AccessRightsRegister<ushort>,
                4 => memory ? &SelectorHandlers.AccessRightsMemory<uint> : &SelectorHandlers.AccessRightsRegister<uint>,
                _ => memory ? &SelectorHandlers.AccessRightsMemory<ulong> : &SelectorHandlers.AccessRightsRegister<ulong>,
            };
        }

        return i.Op0Register.GetSize() switch
        {
            2 => memory ? &SelectorHandlers.LimitMemory<ushort> : &SelectorHandlers.LimitRegister<ushort>,
            4 => memory ? &SelectorHandlers.LimitMemory<uint> : &SelectorHandlers.LimitRegister<uint>,
            _ => memory ? &SelectorHandlers.LimitMemory<ulong> : &SelectorHandlers.LimitRegister<ulong>,
        };
    }
}
