using Uml.Core.Cpu.Contract;

namespace Uml.Core.Cpu.Emit;

/// <summary>The part of the assembler that is about general registers: moves, arithmetic, comparisons, the stack.</summary>
internal abstract class IntegerAssembler : BranchAssembler
{
    public void Move(int destination, int source, bool wide = true) => Register(0x8B, destination, source, wide);

    public void Load(int destination, int @base, int displacement, bool wide = true) => Memory(0x8B, destination, @base, displacement, wide);

    /// <summary>Loads from the sum of two registers.</summary>
    public void LoadIndexed(int destination, int @base, int index)
    {
        Rex(true, destination, index, @base);
        Byte(0x8B);
        ModRmMemory(destination, @base, index, 0, 0);
    }

    public void Store(int @base, int displacement, int source, bool wide = true) => Memory(0x89, source, @base, displacement, wide);

    public void Store16(int @base, int displacement, int source)
    {
        Byte(0x66);
        Memory(0x89, source, @base, displacement, wide: false);
    }

    public void StoreImmediate(int @base, int displacement, int value, bool wide = true)
    {
        Memory(0xC7, 0, @base, displacement, wide);
        Int32(value);
    }

    public void StoreByteImmediate(int @base, int displacement, int value)
    {
        Memory(0xC6, 0, @base, displacement, wide: false);
        Byte(value);
    }

    /// <summary>Stores a byte at the sum of two registers and a displacement.</summary>
    public void StoreByteImmediate(int @base, int index, int displacement, int value)
    {
        Rex(false, 0, index, @base);
        Byte(0xC6);
        ModRmMemory(0, @base, index, 0, displacement);
        Byte(value);
    }

    public void LoadZeroExtended16(int destination, int @base, int displacement) => LoadZeroExtended(destination, @base, displacement, 2);

    /// <summary>MOVZX of 1 or 2 bytes.</summary>
    public void LoadZeroExtended(int destination, int @base, int displacement, int size)
    {
        Rex(false, destination, 0, @base);
        Byte(0x0F);
        Byte(size == 1 ? 0xB6 : 0xB7);
        ModRmMemory(destination, @base, displacement);
    }

    /// <summary>MOVSXD.</summary>
    public void SignExtend32(int destination, int source) => Register(0x63, destination, source);

    public void LoadAddress(int destination, int @base, int displacement, bool wide = true) => Memory(0x8D, destination, @base, displacement, wide);

    public void LoadAddress(int destination, int @base, int index, int scale, int displacement, bool wide = true)
    {
        Rex(wide, destination, index, @base);
        Byte(0x8D);
        ModRmMemory(destination, @base, index, scale, displacement);
    }

    /// <summary>LEA of index * scale + displacement, or of the displacement alone when the index is RSP.</summary>
    public void LoadAddressWithoutBase(int destination, int index, int scale, int displacement, bool wide = true)
    {
        Rex(wide, destination, index, 0);
        Byte(0x8D);
        Byte(((destination & 7) << 3) | 4);
        Byte((scale << 6) | ((index & 7) << 3) | 5);
        Int32(displacement);
    }

    /// <summary>A constant, in the shortest of the forms that leave flags alone.</summary>
    public void MoveImmediate(int destination, long value)
    {
        if (value == (uint)value)
        {
            Rex(false, 0, 0, destination);
            Byte(0xB8 | (destination & 7));
            Int32((int)value);
        }
        else if (value == (int)value)
        {
            Register(0xC7, 0, destination);
            Int32((int)value);
        }
        else
        {
            Rex(true, 0, 0, destination);
            Byte(0xB8 | (destination & 7));
            Int64(value);
        }
    }

    /// <summary>Arithmetic with an immediate; <paramref name="operation"/> is of <see cref="Arithmetic"/>.</summary>
    public void ArithmeticImmediate(int operation, int register, int value, bool wide = true)
    {
        bool small = value == (sbyte)value;
        Register(small ? 0x83 : 0x81, operation, register, wide);
        Immediate(value, small ? 1 : 4);
    }

    public void ArithmeticMemoryImmediate(int operation, int @base, int displacement, int value, bool wide = true)
    {
        bool small = value == (sbyte)value;
        Memory(small ? 0x83 : 0x81, operation, @base, displacement, wide);
        Immediate(value, small ? 1 : 4);
    }

    /// <summary>Arithmetic of AL with an immediate byte.</summary>
    public void ArithmeticAl(int operation, int value)
    {
        Byte((operation << 3) | 4);
        Byte(value);
    }

    /// <summary>Arithmetic of a register with a register.</summary>
    public void ArithmeticRegister(int operation, int destination, int source, bool wide = true) =>
        Register((operation << 3) | 3, destination, source, wide);

    /// <summary>Arithmetic of a register with memory.</summary>
    public void ArithmeticMemory(int operation, int destination, int @base, int displacement, bool wide = true) =>
        Memory((operation << 3) | 3, destination, @base, displacement, wide);

    /// <summary>Arithmetic of a register with memory at the sum of two registers and a displacement.</summary>
    public void ArithmeticMemory(int operation, int destination, int @base, int index, int displacement)
    {
        Rex(true, destination, index, @base);
        Byte((operation << 3) | 3);
        ModRmMemory(destination, @base, index, 0, displacement);
    }

    /// <summary>Arithmetic of memory with a register, to memory.</summary>
    public void ArithmeticToMemory(int operation, int @base, int displacement, int source) =>
        Memory((operation << 3) | 1, source, @base, displacement);

    /// <summary>Arithmetic of a register with an operand, all of 1, 2, 4 or 8 bytes.</summary>
    public void ArithmeticSized(int operation, int size, int destination, in OperandPlace source) => Sized((operation << 3) | 2, size, destination, in source);

    /// <summary>Arithmetic with an immediate as long as the operand, or 4 bytes for one of 8.</summary>
    public void ArithmeticSizedImmediate(int operation, int size, in OperandPlace place, int value)
    {
        Sized(0x80, size, operation, in place);
        Immediate(value, Math.Min(size, 4));
    }

    /// <summary>CMP of an operand with a register.</summary>
    public void Compare(int size, in OperandPlace first, int second) => Sized(Arithmetic.Cmp << 3, size, second, in first);

    /// <summary>CMP of an operand with an immediate, in the shorter form where there is one.</summary>
    public void CompareImmediate(int size, in OperandPlace place, int value)
    {
        if (size == 1 || value != (sbyte)value)
        {
            ArithmeticSizedImmediate(Arithmetic.Cmp, size, in place, value);
            return;
        }

        Sized(0x82, size, Arithmetic.Cmp, in place);
        Immediate(value, 1);
    }

    public void CompareMemoryByte(int @base, int displacement, int value)
    {
        Memory(0x80, Arithmetic.Cmp, @base, displacement, wide: false);
        Byte(value);
    }

    /// <summary>TEST of an operand with a register.</summary>
    public void Test(int size, int register, in OperandPlace place) => Sized(0x84, size, register, in place);

    public void TestImmediate(int size, in OperandPlace place, int value)
    {
        Sized(0xF6, size, 0, in place);
        Immediate(value, Math.Min(size, 4));
    }

    public void TestImmediate(int register, int value)
    {
        Register(0xF7, 0, register);
        Int32(value);
    }

    public void TestMemory(int register, int @base, int displacement) => Memory(0x85, register, @base, displacement);

    public void TestMemoryByte(int @base, int displacement, int mask)
    {
        Memory(0xF6, 0, @base, displacement, wide: false);
        Byte(mask);
    }

    public void TestAl(int mask)
    {
        Byte(0xA8);
        Byte(mask);
    }

    public void Increment(int size, int register) => Sized(0xFE, size, 0, OperandPlace.In(register));

    public void Decrement(int size, int register) => Sized(0xFE, size, 1, OperandPlace.In(register));

    public void Negate(int size, int register) => Sized(0xF6, size, 3, OperandPlace.In(register));

    /// <summary>A shift of a register of 1, 2, 4 or 8 bytes; <paramref name="operation"/> is of <see cref="Shift"/>.</summary>
    public void ShiftSized(int operation, int size, int register, int count)
    {
        Sized(0xC0, size, operation, OperandPlace.In(register));
        Byte(count);
    }

    public void ShiftRight(int register, int count, bool wide = true) => ShiftImmediate(Shift.Right, register, count, wide);

    public void ShiftLeft(int register, int count, bool wide = true) => ShiftImmediate(Shift.Left, register, count, wide);

    public void ShiftArithmeticRight(int register, int count, bool wide = true) => ShiftImmediate(Shift.ArithmeticRight, register, count, wide);

    /// <summary>RORX of 32 bits: a rotated copy (BMI2).</summary>
    public void RotateRightTo32(int destination, int source, int count)
    {
        Vex(map: 3, pp: 3, wide: false, is256: false, destination, 0, source);
        Byte(0xF0);
        ModRmRegister(destination, source);
        Byte(count);
    }

    public void Multiply32(int destination, int source, int value)
    {
        Register(0x69, destination, source, wide: false);
        Int32(value);
    }

    public void MultiplyMemory(int destination, int @base, int displacement)
    {
        Rex(true, destination, 0, @base);
        Byte(0x0F);
        Byte(0xAF);
        ModRmMemory(destination, @base, displacement);
    }

    /// <summary>DIV or IDIV of RDX:RAX.</summary>
    public void Divide(int divisor, bool isSigned, bool wide) => Register(0xF7, isSigned ? 7 : 6, divisor, wide);

    /// <summary>BT of a register by a register.</summary>
    public void BitTest(int register, int bit, bool wide)
    {
        Rex(wide, bit, 0, register);
        Byte(0x0F);
        Byte(0xA3);
        ModRmRegister(bit, register);
    }

    /// <summary>BT of two bytes of memory by an immediate.</summary>
    public void BitTest16(int @base, int displacement, int bit)
    {
        Byte(0x66);
        Rex(false, 0, 0, @base);
        Byte(0x0F);
        Byte(0xBA);
        ModRmMemory(4, @base, displacement);
        Byte(bit);
    }

    public void Push(int register)
    {
        Rex(false, 0, 0, register);
        Byte(0x50 | (register & 7));
    }

    public void Pop(int register)
    {
        Rex(false, 0, 0, register);
        Byte(0x58 | (register & 7));
    }

    /// <summary>REP MOVS.</summary>
    public void RepeatMove(int size) => Repeat(0xA4, size);

    /// <summary>REP STOS.</summary>
    public void RepeatStore(int size) => Repeat(0xAA, size);

    private void ShiftImmediate(int operation, int register, int count, bool wide)
    {
        Register(0xC1, operation, register, wide);
        Byte(count);
    }

    private void Repeat(int opcode, int size)
    {
        if (size == 2)
        {
            Byte(0x66);
        }

        Byte(0xF3);
        Rex(size == 8, 0, 0, 0);
        Byte(size == 1 ? opcode : opcode | 1);
    }
}
