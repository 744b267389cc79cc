using Iced.Intel;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Decode;

/// <summary>Fills an operation's operand fields from Iced's description of the instruction.</summary>
// SAFETY: op is a block's operation that the decoder is filling in. Offsets are computed from Iced's register numbers, which are below 16
// for general and vector registers (EVEX forms have no handler) and below 8 for MMX, and fit into 16 bits.
internal static unsafe class OperandFields
{
    public static void Fill(in Instruction instruction, Op* op, CpuMode mode)
    {
        int count = instruction.OpCount;
        bool immediate = false;
        for (int i = 0; i < count; i++)
        {
            OpKind kind = instruction.GetOpKind(i);
            switch (kind)
            {
                case OpKind.Register:
                    SetRegister(op, i, RegisterOffset(instruction.GetOpRegister(i)));
                    break;
                case OpKind.Memory:
                    FillMemory(in instruction, op, mode);
                    break;
                case OpKind.NearBranch16 or OpKind.NearBranch32 or OpKind.NearBranch64:
                    // Relative to the block's start, so that the block does not depend on the address it is mapped at.
                    op->Disp = (long)(instruction.NearBranchTarget - instruction.IP) + op->Offset;
                    break;
                case OpKind.FarBranch16 or OpKind.FarBranch32:
                    op->Imm = kind == OpKind.FarBranch16 ? instruction.FarBranch16 : instruction.FarBranch32;
                    op->R0 = instruction.FarBranchSelector;
                    break;
                case >= OpKind.MemorySegSI and <= OpKind.MemoryESRDI:
                    op->Segment = SegmentOf(in instruction, mode);
                    break;
                default:
                    if (!immediate)
                    {
                        op->Imm = (long)instruction.GetImmediate(i);
                        immediate = true;
                    }

                    break;
            }
        }
    }

    private static void SetRegister(Op* op, int operand, ushort offset)
    {
        switch (operand)
        {
            case 0: op->R0 = offset; break;
            case 1: op->R1 = offset; break;
            case 2: op->R2 = offset; break;
        }
    }

    /// <summary>The offset of a register in <see cref="CpuState"/>, or its number when it has no fixed offset.</summary>
    public static ushort RegisterOffset(Register register)
    {
        if (register is >= Register.SPL and <= Register.R15L)
        {
            return (ushort)CpuState.GprOffset(register - Register.SPL + 4);
        }

        if (register is >= Register.AL and <= Register.BL)
        {
            return (ushort)CpuState.GprOffset(register - Register.AL);
        }

        if (register is >= Register.AH and <= Register.BH)
        {
            return (ushort)(CpuState.GprOffset(register - Register.AH) + 1);
        }

        if (register.IsGPR())
        {
            return (ushort)CpuState.GprOffset(register.GetNumber());
        }

        if (register.IsXMM() || register.IsYMM())
        {
            return (ushort)(CpuState.VectorsOffset + (register.GetNumber() * 32));
        }

        return register.IsMM()
            ? (ushort)(CpuState.X87Offset + (register.GetNumber() * 16))
            : (ushort)register.GetNumber();
    }

    private static void FillMemory(in Instruction instruction, Op* op, CpuMode mode)
    {
        op->Base = op->Index = (ushort)EngineState.ZeroOffset;
        op->Segment = SegmentOf(in instruction, mode);
        op->Disp = (long)instruction.MemoryDisplacement64;
        int addressSize;
        if (instruction.IsIPRelativeMemoryOperand)
        {
            op->Base = (ushort)EngineState.BlockRipOffset;
            op->Disp = (long)(instruction.IPRelativeMemoryAddress - instruction.IP) + op->Offset;
            addressSize = instruction.MemoryBase == Register.EIP ? 32 : 64;
        }
        else
        {
            addressSize = FillBaseAndIndex(in instruction, op, mode);
        }

        op->Address = AddressSpace(op->Segment, addressSize, mode);
    }

    private static int FillBaseAndIndex(in Instruction instruction, Op* op, CpuMode mode)
    {
        int addressSize = 0;
        Register @base = instruction.MemoryBase;
        if (@base != Register.None)
        {
            op->Base = (ushort)CpuState.GprOffset(@base.GetNumber());
            addressSize = @base.GetSize() * 8;
        }

        Register index = instruction.MemoryIndex;
        if (index.IsVectorRegister())
        {
            // A vector of indices (VSIB), which the handler adds element by element.
            op->R1 = RegisterOffset(index);
            op->Scale = (byte)System.Numerics.BitOperations.Log2((uint)instruction.MemoryIndexScale);
        }
        else if (index != Register.None)
        {
            op->Index = (ushort)CpuState.GprOffset(index.GetNumber());
            op->Scale = (byte)System.Numerics.BitOperations.Log2((uint)instruction.MemoryIndexScale);
            addressSize = index.GetSize() * 8;
        }

        if (addressSize == 0)
        {
            // Displacement only: its 8, 4 or 2 bytes give the address size; 4 bytes are sign-extended in 64-bit addressing.
            addressSize = instruction.MemoryDisplSize switch
            {
                8 => 64,
                2 => 16,
                _ => 32,
            };
        }

        return addressSize;
    }

    /// <summary>The wrapping, segment base and checks that an address of a size in a segment needs.</summary>
    public static AddressFlags AddressSpace(SegmentIndex segment, int addressSize, CpuMode mode)
    {
        AddressFlags flags = addressSize switch { 16 => AddressFlags.Wrap16, 32 => AddressFlags.Wrap32, _ => 0 };
        bool fsGs = segment is SegmentIndex.Fs or SegmentIndex.Gs;
        if ((mode & CpuMode.Long64) != 0)
        {
            return flags | (fsGs ? AddressFlags.SegmentBase : 0);
        }

        // No offset is beyond a limit of 4 GiB: whether an operand that runs over it faults is the processor's choice (Intel SDM vol. 3,
        // 5.3). Flat segments need no check but for code, which cannot be written.
        CpuMode unlimited = segment == SegmentIndex.Fs ? CpuMode.UnlimitedFs : CpuMode.UnlimitedGs;
        if (fsGs && (mode & unlimited) != 0)
        {
            return flags | AddressFlags.SegmentBase;
        }

        return fsGs || segment == SegmentIndex.Cs || (mode & CpuMode.Segmented) != 0
            ? flags | AddressFlags.SegmentBase | AddressFlags.SegmentCheck
            : flags;
    }

    /// <summary>The segment of the memory operand. 64-bit mode ignores ES, CS, SS and DS prefixes (Intel SDM vol. 2, 2.1.1).</summary>
    private static SegmentIndex SegmentOf(in Instruction instruction, CpuMode mode)
    {
        SegmentIndex segment = SegmentOf(instruction.MemorySegment);
        if ((mode & CpuMode.Long64) == 0 || segment is SegmentIndex.Fs or SegmentIndex.Gs || instruction.SegmentPrefix == Register.None)
        {
            return segment;
        }

        return instruction.MemoryBase.GetFullRegister() is Register.RSP or Register.RBP ? SegmentIndex.Ss : SegmentIndex.Ds;
    }

    public static SegmentIndex SegmentOf(Register register) => register switch
    {
        Register.ES => SegmentIndex.Es,
        Register.CS => SegmentIndex.Cs,
        Register.SS => SegmentIndex.Ss,
        Register.FS => SegmentIndex.Fs,
        Register.GS => SegmentIndex.Gs,
        _ => SegmentIndex.Ds,
    };
}
