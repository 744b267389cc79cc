using Iced.Intel;

namespace Uml.Core.Cpu.Translate;

/// <summary>
/// The fields that an instruction is written again from, in 64-bit mode. All of them are what the decoder says; no byte of the guest's is
/// ever copied. So there is one opinion on what prefixes, registers, addresses and immediates an instruction has, the one that the
/// interpreter follows too: redundant, repeated and misplaced prefixes are gone.
/// </summary>
internal struct Encoding
{
    /// <summary>What all instructions of its form have in common.</summary>
    public FormEncoding Form;

    /// <summary>Registers by the number that encodes them (AH to BH are 4 to 7, as their <see cref="HasHighByte"/> says); -1 when there is none.</summary>
    public sbyte Reg;
    public sbyte Rm;
    public sbyte Vvvv;

    /// <summary>The register in the low bits of the opcode.</summary>
    public sbyte OpcodeRegister;

    /// <summary>Whether these are general registers, not vector, x87 or segment registers.</summary>
    public bool RegIsGeneral;
    public bool RmIsGeneral;

    /// <summary>An operand is AH, CH, DH or BH, which no instruction with a REX prefix can name; or another byte register, which may need one.</summary>
    public bool HasHighByte;
    public bool HasLowByte;

    /// <summary>The operand of ModRM.r/m is memory: base and index by number, -1 when there is none.</summary>
    public bool IsMemory;
    public sbyte Base;
    public sbyte Index;

    /// <summary>log2 of the index's scale.</summary>
    public byte Scale;

    /// <summary>Address size of 32 bits in 64-bit code.</summary>
    public bool AddressSize;

    /// <summary>The displacement counts from where the page of the instruction begins.</summary>
    public bool IsRelative;
    public long Displacement;

    /// <summary>0, 1, 2, 4 or 8 bytes.</summary>
    public byte ImmediateSize;
    public long Immediate;

    /// <summary>Whether all of it is known: an instruction of which it is not has to be left to its handler.</summary>
    public bool IsKnown;

    public readonly bool Wide => Form.Opcode.Wide;

    public readonly bool IsVex => Form.Opcode.IsVex;

    public readonly byte Map => Form.Opcode.Map;

    public readonly byte OpcodeByte => Form.Opcode.Value;

    public readonly int Digit => Form.Digit;

    /// <summary>Describes an instruction.</summary>
    /// <param name="i">The instruction, decoded with the offset in its page for its address.</param>
    /// <param name="form">Its form.</param>
    /// <param name="isLong">Of 64-bit mode; of 32-bit code otherwise.</param>
    public static Encoding Of(in Instruction i, in FormEncoding form, bool isLong)
    {
        Encoding e = new() { Form = form, Reg = -1, Rm = -1, Vvvv = -1, OpcodeRegister = -1, Base = -1, Index = -1 };
        e.IsKnown = form.IsKnown && e.TryTakeOperands(in i, isLong) && (isLong || e.TryTranslateShort());
        e.Form.Opcode.IsLocked = i.HasLockPrefix;
        e.Form.Opcode.ForcesRex = e.HasLowByte && !e.HasHighByte;
        return e;
    }

    private bool TryTakeOperands(in Instruction i, bool isLong)
    {
        for (int n = 0; n < i.OpCount; n++)
        {
            if (i.GetOpKind(n) == OpKind.Register)
            {
                TakeRegister(Form.Operands[n], i.GetOpRegister(n));
            }
            else if (i.GetOpKind(n) == OpKind.Memory)
            {
                if (!TryTakeMemory(Form.Operands[n], in i, isLong))
                {
                    return false;
                }
            }
            else
            {
                TakeImmediate(Form.Operands[n], in i, n);
            }
        }

        return true;
    }

    private void TakeRegister(OperandField field, Register register)
    {
        int number = NumberOf(register);
        HasHighByte |= register is >= Register.AH and <= Register.BH;
        HasLowByte |= register.IsGPR8() && register is not (>= Register.AH and <= Register.BH);
        switch (field)
        {
            case OperandField.Reg:
                Reg = (sbyte)number;
                RegIsGeneral = register.IsGPR();
                break;
            case OperandField.Rm:
                Rm = (sbyte)number;
                RmIsGeneral = register.IsGPR();
                break;
            case OperandField.Vvvv:
                Vvvv = (sbyte)number;
                break;
            case OperandField.Opcode:
                OpcodeRegister = (sbyte)number;
                break;
            case OperandField.Is4:
                ImmediateSize = 1;
                Immediate = number << 4;
                break;
        }
    }

    /// <summary>The number that encodes a register (Intel SDM vol. 2, tables 3-1 and B-2 to B-5).</summary>
    private static int NumberOf(Register register) => register is >= Register.SPL and <= Register.R15L ? register - Register.SPL + 4 : register.GetNumber();

    private bool TryTakeMemory(OperandField field, in Instruction i, bool isLong)
    {
        IsMemory = true;
        Displacement = (long)i.MemoryDisplacement64;
        Register @base = i.MemoryBase;
        Register index = i.MemoryIndex;
        if (i.IsIPRelativeMemoryOperand)
        {
            IsRelative = true;
            AddressSize = @base == Register.EIP;
            return field == OperandField.Rm;
        }

        if (!IsAddressRegister(@base) || !IsAddressRegister(index))
        {
            return false;
        }

        Base = @base == Register.None ? (sbyte)-1 : (sbyte)@base.GetNumber();
        Index = index == Register.None ? (sbyte)-1 : (sbyte)index.GetNumber();
        Scale = (byte)System.Numerics.BitOperations.Log2((uint)i.MemoryIndexScale);
        int size = @base != Register.None ? @base.GetSize() : index != Register.None ? index.GetSize() : i.MemoryDisplSize == 8 ? 8 : 4;
        if (!isLong)
        {
            // A displacement of 2 bytes alone is an address of 16 bits.
            return size == 4 && i.MemoryDisplSize != 2 && field is OperandField.Rm or OperandField.Offset;
        }

        AddressSize = size == 4;
        return field == OperandField.Rm && (AddressSize || Displacement == (int)Displacement);
    }

    /// <summary>No register, or one of 32 or 64 bits: no vector of indices, no address of 16 bits.</summary>
    private static bool IsAddressRegister(Register register) => register == Register.None || register.IsGPR32() || register.IsGPR64();

    private void TakeImmediate(OperandField field, in Instruction i, int operand)
    {
        int size = field switch
        {
            OperandField.Immediate8 => 1,
            OperandField.Immediate16 => 2,
            OperandField.Immediate32 => 4,
            OperandField.Immediate64 => 8,
            _ => 0,
        };
        if (size != 0)
        {
            ImmediateSize = (byte)size;
            Immediate = (long)i.GetImmediate(operand);
        }
    }

    /// <summary>
    /// Rewrites short forms of 32-bit code that 64-bit mode lacks: INC and DEC of one byte, and MOV between the accumulator and an absolute
    /// address, become forms with a ModR/M byte.
    /// </summary>
    /// <returns>False for a form that 64-bit mode does not have at all.</returns>
    private bool TryTranslateShort()
    {
        if (Map != 0 || IsVex)
        {
            return Form.ExistsIn64;
        }

        if ((OpcodeByte & 0xF0) == 0x40)
        {
            // 40H + r is FFH /0, 48H + r is FFH /1.
            Form.Digit = (sbyte)((OpcodeByte >> 3) & 1);
            Form.Opcode.Value = 0xFF;
            Form.ExistsIn64 = true;
            Form.HasModRm = true;
            Rm = OpcodeRegister;
            RmIsGeneral = true;
            OpcodeRegister = -1;
        }
        else if ((OpcodeByte & 0xFC) == 0xA0)
        {
            // A0H and A1H load, A2H and A3H store.
            Form.Opcode.Value = (byte)((0x8A | (OpcodeByte & 1)) ^ (OpcodeByte & 2));
            Form.HasModRm = true;
            Reg = 0;
            RegIsGeneral = true;
        }

        return Form.ExistsIn64;
    }
}
