using System.Runtime.CompilerServices;
using Uml.Core.Cpu.Contract;

namespace Uml.Core.Cpu.Emit;

/// <summary>
/// Writes host machine code: the few instructions that translations are put together from. Not a general assembler; an instruction of
/// the guest is mostly its own encoding with other registers. An encoder that works on decoded instructions takes 140 ns for each, this
/// one a few.
/// </summary>
internal sealed unsafe class HostAssembler
{
    // SAFETY: whoever begins at a position makes sure that there is room for everything written until the next Begin.
    private byte* _position;

    /// <summary>Where the next byte goes.</summary>
    public byte* Position => _position;

    public void Begin(byte* position) => _position = position;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Byte(int value) => *_position++ = (byte)value;

    public void Int32(int value)
    {
        Unsafe.WriteUnaligned(_position, value);
        _position += 4;
    }

    public void Int64(long value)
    {
        Unsafe.WriteUnaligned(_position, value);
        _position += 8;
    }

    /// <summary>An immediate operand.</summary>
    public void Immediate(long value, int size)
    {
        for (; size > 0; size--, value >>= 8)
        {
            Byte((int)value);
        }
    }

    /// <summary>Pads with breakpoints, which nothing runs into.</summary>
    public void Align(int alignment)
    {
        while (((nuint)_position & (nuint)(alignment - 1)) != 0)
        {
            Byte(0xCC);
        }
    }

    /// <summary>The REX prefix that W and three register numbers ask for; none when there is nothing to say.</summary>
    public void Rex(bool wide, int reg, int index, int rm, bool force = false)
    {
        int rex = (wide ? 8 : 0) | ((reg >> 3) << 2) | ((index >> 3) << 1) | (rm >> 3);
        if (rex != 0 || force)
        {
            Byte(0x40 | rex);
        }
    }

    /// <summary>
    /// The VEX prefix in its longer form, of a memory operand without index (Intel SDM vol. 2, 2.3.5: R, X, B and vvvv are stored inverted; a second source
    /// that there is not counts as 0).
    /// </summary>
    public void Vex(int map, int pp, bool wide, bool is256, int reg, int vvvv, int rm)
    {
        Byte(0xC4);
        Byte((reg < 8 ? 0x80 : 0) | 0x40 | (rm < 8 ? 0x20 : 0) | map);
        Byte((wide ? 0x80 : 0) | ((~vvvv & 15) << 3) | (is256 ? 4 : 0) | pp);
    }

    public void ModRmRegister(int reg, int rm) => Byte(0xC0 | ((reg & 7) << 3) | (rm & 7));

    /// <summary>A memory operand: base register and displacement.</summary>
    public void ModRmMemory(int reg, int @base, int displacement)
    {
        // RBP and R13 have no form without displacement, RSP and R12 none without SIB (Intel SDM vol. 2, table 2-5).
        int mod = displacement == 0 && (@base & 7) != HostRegister.Rbp ? 0 : displacement == (sbyte)displacement ? 1 : 2;
        Byte((mod << 6) | ((reg & 7) << 3) | (@base & 7));
        if ((@base & 7) == HostRegister.Rsp)
        {
            Byte(0x24);
        }

        Displacement(mod, displacement);
    }

    /// <summary>A memory operand with an index register, which is not RSP.</summary>
    public void ModRmMemory(int reg, int @base, int index, int scale, int displacement)
    {
        int mod = displacement == 0 && (@base & 7) != HostRegister.Rbp ? 0 : displacement == (sbyte)displacement ? 1 : 2;
        Byte((mod << 6) | ((reg & 7) << 3) | 4);
        Byte((scale << 6) | ((index & 7) << 3) | (@base & 7));
        Displacement(mod, displacement);
    }

    private void Displacement(int mod, int displacement)
    {
        if (mod == 1)
        {
            Byte(displacement);
        }
        else if (mod == 2)
        {
            Int32(displacement);
        }
    }

    /// <summary>An instruction with a one-byte opcode, a register and a register or memory operand.</summary>
    public void Register(int opcode, int reg, int rm, bool wide = true)
    {
        Rex(wide, reg, 0, rm);
        Byte(opcode);
        ModRmRegister(reg, rm);
    }

    public void Memory(int opcode, int reg, int @base, int displacement, bool wide = true)
    {
        Rex(wide, reg, 0, @base);
        Byte(opcode);
        ModRmMemory(reg, @base, displacement);
    }

    public void Move(int destination, int source, bool wide = true) => Register(0x8B, destination, source, wide);

    public void Load(int destination, int @base, int displacement, bool wide = true) => Memory(0x8B, destination, @base, displacement, wide);

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

    public void LoadZeroExtended16(int destination, int @base, int displacement) => LoadZeroExtended(destination, @base, displacement, 2);

    /// <summary>MOVZX of 1 or 2 bytes.</summary>
    public void LoadZeroExtended(int destination, int @base, int displacement, int size)
    {
        Rex(false, destination, 0, @base);
        Byte(0x0F);
        Byte(size == 1 ? 0xB6 : 0xB7);
        ModRmMemory(destination, @base, displacement);
    }

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
        Immediate(value, small);
    }

    public void ArithmeticMemoryImmediate(int operation, int @base, int displacement, int value, bool wide = true)
    {
        bool small = value == (sbyte)value;
        Memory(small ? 0x83 : 0x81, operation, @base, displacement, wide);
        Immediate(value, small);
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

    /// <summary>An instruction whose opcode's lowest bit tells bytes from operands of 2, 4 or 8 bytes.</summary>
    public void Sized(int opcode, int size, int reg, int rm)
    {
        SizePrefixes(size, reg, rm);
        Byte(size == 1 ? opcode : opcode | 1);
        ModRmRegister(reg, rm);
    }

    public void SizedMemory(int opcode, int size, int reg, int @base, int displacement)
    {
        SizePrefixes(size, reg, @base);
        Byte(size == 1 ? opcode : opcode | 1);
        ModRmMemory(reg, @base, displacement);
    }

    /// <summary>The immediate of such an instruction.</summary>
    public void SizedImmediate(int size, int value)
    {
        if (size <= 2)
        {
            Byte(value);
            if (size == 2)
            {
                Byte(value >> 8);
            }
        }
        else
        {
            Int32(value);
        }
    }

    private void SizePrefixes(int size, int reg, int rm)
    {
        if (size == 2)
        {
            Byte(0x66);
        }

        // Without REX the byte registers 4 to 7 would be AH to BH.
        Rex(size == 8, reg, 0, rm, force: size == 1);
    }

    public void ShiftRight(int register, int count, bool wide = true)
    {
        Register(0xC1, 5, register, wide);
        Byte(count);
    }

    public void ShiftLeft(int register, int count, bool wide = true)
    {
        Register(0xC1, 4, register, wide);
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

    /// <summary>RDTSC: the host's counter, all of it in RAX. RDX is destroyed.</summary>
    public void ReadTimeStamp()
    {
        Byte(0x0F);
        Byte(0x31);
        ShiftLeft(HostRegister.Rdx, 32);
        ArithmeticRegister(Arithmetic.Or, HostRegister.Rax, HostRegister.Rdx);
    }

    /// <summary>LDMXCSR.</summary>
    public void LoadMxcsr(int @base, int displacement) => MxcsrMemory(2, @base, displacement);

    /// <summary>STMXCSR.</summary>
    public void StoreMxcsr(int @base, int displacement) => MxcsrMemory(3, @base, displacement);

    /// <summary>FNINIT.</summary>
    public void InitializeX87()
    {
        Byte(0xDB);
        Byte(0xE3);
    }

    /// <summary>LFENCE.</summary>
    public void LoadFence()
    {
        Byte(0x0F);
        Byte(0xAE);
        Byte(0xE8);
    }

    public void TestImmediate(int register, int value)
    {
        Register(0xF7, 0, register);
        Int32(value);
    }

    public void TestMemoryByte(int @base, int displacement, int mask)
    {
        Memory(0xF6, 0, @base, displacement, wide: false);
        Byte(mask);
    }

    public void BitTest16(int @base, int displacement, int bit)
    {
        Byte(0x66);
        Rex(false, 0, 0, @base);
        Byte(0x0F);
        Byte(0xBA);
        ModRmMemory(4, @base, displacement);
        Byte(bit);
    }

    /// <summary>RORX of 32 bits: a rotated copy (BMI2).</summary>
    public void RotateRightTo32(int destination, int source, int count)
    {
        Vex(map: 3, pp: 3, wide: false, is256: false, destination, 0, source);
        Byte(0xF0);
        ModRmRegister(destination, source);
        Byte(count);
    }

    /// <summary>A string instruction with REP.</summary>
    public void Repeat(int opcode, int size)
    {
        if (size == 2)
        {
            Byte(0x66);
        }

        Byte(0xF3);
        Rex(size == 8, 0, 0, 0);
        Byte(size == 1 ? opcode : opcode | 1);
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

    public void Return() => Byte(0xC3);

    /// <summary>Sets ZF or clears it, and changes no register: the stack pointer equals itself, and is not zero.</summary>
    public void SetZeroFlag(bool set) => Register(set ? 0x3B : 0x85, HostRegister.Rsp, HostRegister.Rsp); // cmp, test

    /// <summary>In a function that was called: puts the stack pointer where the caller had it, and leaves the return address below it. Flags stay.</summary>
    public void HideReturnAddress() => LoadAddress(HostRegister.Rsp, HostRegister.Rsp, sizeof(ulong));

    /// <summary>Returns after <see cref="HideReturnAddress"/>. Flags stay.</summary>
    public void ReturnToHidden()
    {
        LoadAddress(HostRegister.Rsp, HostRegister.Rsp, -sizeof(ulong));
        Return();
    }

    /// <summary>A conditional jump to a place not known yet.</summary>
    /// <returns>What <see cref="Bind(byte*)"/> takes.</returns>
    public byte* JumpIf(int condition)
    {
        Byte(0x0F);
        Byte(0x80 | condition);
        return Forward();
    }

    public byte* Jump()
    {
        Byte(0xE9);
        return Forward();
    }

    public void JumpIf(int condition, byte* target) => Bind(JumpIf(condition), target);

    public void Jump(byte* target) => Bind(Jump(), target);

    public void Call(byte* target)
    {
        Byte(0xE8);
        Bind(Forward(), target);
    }

    /// <summary>UD2, for places that are never reached.</summary>
    public void Trap()
    {
        Byte(0x0F);
        Byte(0x0B);
    }

    public void JumpRegister(int register) => Register(0xFF, 4, register, wide: false);

    public void JumpMemory(int @base, int displacement) => Memory(0xFF, 4, @base, displacement, wide: false);

    public void CallRegister(int register) => Register(0xFF, 2, register, wide: false);

    /// <summary>A no-op of seven bytes that carries a number (NOP DWORD [RAX + disp32]).</summary>
    public void Annotation(int value)
    {
        Byte(0x0F);
        Byte(0x1F);
        Byte(0x80);
        Int32(value);
    }

    /// <summary>Points a jump at the current position.</summary>
    public void Bind(byte* jump) => Bind(jump, _position);

    public static void Bind(byte* jump, byte* target) => Unsafe.WriteUnaligned(jump, checked((int)(target - (jump + 4))));

    private void MxcsrMemory(int operation, int @base, int displacement)
    {
        Rex(false, 0, 0, @base);
        Byte(0x0F);
        Byte(0xAE);
        ModRmMemory(operation, @base, displacement);
    }

    private byte* Forward()
    {
        byte* at = _position;
        _position += 4;
        return at;
    }

    private void Immediate(int value, bool small)
    {
        if (small)
        {
            Byte(value);
        }
        else
        {
            Int32(value);
        }
    }
}
