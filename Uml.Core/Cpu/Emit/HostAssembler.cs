using Uml.Core.Cpu.Contract;

namespace Uml.Core.Cpu.Emit;

/// <summary>
/// Writes host machine code: the few instructions that translations are put together from. Not a general assembler; an instruction of
/// the guest is mostly its own encoding with other registers (<see cref="Instruction"/> and its like). An encoder that works on decoded
/// instructions takes 140 ns for each, this one a few.
/// </summary>
/// <remarks>
/// <see cref="InstructionWriter"/> has the parts of instructions, <see cref="BranchAssembler"/> and <see cref="IntegerAssembler"/> have what their
/// names say; here are flags, the floating-point and vector units, and instructions of the guest.
/// </remarks>
internal sealed unsafe class HostAssembler : IntegerAssembler
{
    // SAFETY: the one pointer here is where the base class, whose user has the memory, wrote.

    /// <summary>LAHF.</summary>
    public void LoadFlagsIntoAh() => Byte(0x9F);

    /// <summary>SAHF.</summary>
    public void StoreAhIntoFlags() => Byte(0x9E);

    /// <summary>SETcc of a register's lowest byte.</summary>
    public void SetCondition(int condition, int register)
    {
        Rex(false, 0, 0, register, force: register >= HostRegister.Rsp);
        Byte(0x0F);
        Byte(0x90 | condition);
        ModRmRegister(0, register);
    }

    /// <summary>Sets ZF or clears it, and changes no register: the stack pointer equals itself, and is not zero.</summary>
    public void SetZeroFlag(bool set) => Register(set ? 0x3B : 0x85, HostRegister.Rsp, HostRegister.Rsp); // cmp, test

    /// <summary>CMP of 4 bytes of memory with a number that is written later.</summary>
    /// <returns>Where the number goes.</returns>
    public byte* CompareMemoryLater(int @base, int displacement)
    {
        Memory(0x81, Arithmetic.Cmp, @base, displacement, wide: false);
        byte* number = Position;
        Int32(0);
        return number;
    }

    /// <summary>In a function that was called: puts the stack pointer where the caller had it, and leaves the return address below it. Flags stay.</summary>
    public void HideReturnAddress() => LoadAddress(HostRegister.Rsp, HostRegister.Rsp, sizeof(ulong));

    /// <summary>Returns after <see cref="HideReturnAddress"/>. Flags stay.</summary>
    public void ReturnToHidden()
    {
        LoadAddress(HostRegister.Rsp, HostRegister.Rsp, -sizeof(ulong));
        Return();
    }

    /// <summary>RDTSC: the host's counter, all of it in RAX. RDX is destroyed.</summary>
    public void ReadTimeStamp()
    {
        Byte(0x0F);
        Byte(0x31);
        ShiftLeft(HostRegister.Rdx, 32);
        ArithmeticRegister(Arithmetic.Or, HostRegister.Rax, HostRegister.Rdx);
    }

    /// <summary>LFENCE.</summary>
    public void LoadFence()
    {
        Byte(0x0F);
        Byte(0xAE);
        Byte(0xE8);
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

    /// <summary>FLDCW.</summary>
    public void LoadX87ControlWord(int @base, int displacement) => Memory(0xD9, 5, @base, displacement, wide: false);

    /// <summary>FLDENV.</summary>
    public void LoadX87Environment(int @base, int displacement) => Memory(0xD9, 4, @base, displacement, wide: false);

    /// <summary>FNSTENV, which masks all exceptions.</summary>
    public void StoreX87Environment(int @base, int displacement) => Memory(0xD9, 6, @base, displacement, wide: false);

    /// <summary>FRSTOR.</summary>
    public void RestoreX87(int @base, int displacement) => Memory(0xDD, 4, @base, displacement, wide: false);

    /// <summary>FNSAVE, which leaves the unit as FNINIT does.</summary>
    public void SaveX87(int @base, int displacement) => Memory(0xDD, 6, @base, displacement, wide: false);

    /// <summary>MOVAPS.</summary>
    public void LoadVector(int vector, int @base, int displacement) => VectorMemory(0x28, vector, @base, displacement);

    /// <summary>MOVAPS.</summary>
    public void StoreVector(int @base, int displacement, int vector) => VectorMemory(0x29, vector, @base, displacement);

    /// <summary>VMOVUPS of 16 or 32 bytes; the rest of the register becomes zero.</summary>
    public void LoadAvx(int vector, int @base, int displacement, bool is256) => AvxMemory(0x10, vector, vvvv: 0, @base, displacement, is256);

    /// <summary>VMOVUPS of 32 bytes.</summary>
    public void StoreAvx(int @base, int displacement, int vector) => AvxMemory(0x11, vector, vvvv: 0, @base, displacement, is256: true);

    /// <summary>VORPS of 16 bytes of memory into a register.</summary>
    public void OrAvx(int vector, int @base, int displacement) => AvxMemory(0x56, vector, vvvv: vector, @base, displacement, is256: false);

    /// <summary>VPTEST of 16 bytes: ZF says whether all are zero.</summary>
    public void TestAvx(int vector)
    {
        Vex(map: 2, pp: 1, wide: false, is256: false, vector, vvvv: 0, vector);
        Byte(0x17);
        ModRmRegister(vector, vector);
    }

    /// <summary>VZEROUPPER.</summary>
    public void ZeroUpperHalves()
    {
        Byte(0xC5);
        Byte(0xF8);
        Byte(0x77);
    }

    /// <summary>An instruction without ModR/M byte; the register, if it has one, is in the low bits of the opcode.</summary>
    public void Instruction(in Opcode opcode, int register, long immediate, int immediateSize)
    {
        Prefixes(in opcode, 0, vvvv: 0, register);
        if (opcode.Second != 0)
        {
            // The register of an x87 instruction is in its second byte.
            Byte(opcode.Value);
            Byte(opcode.Second | (register & 7));
        }
        else
        {
            Byte(opcode.Value | (register & 7));
        }

        Immediate(immediate, immediateSize);
    }

    /// <summary>An instruction between registers. The second source counts in VEX instructions only.</summary>
    public void InstructionOnRegister(in Opcode opcode, int reg, int vvvv, int rm, long immediate, int immediateSize)
    {
        Prefixes(in opcode, reg, vvvv, rm);
        Byte(opcode.Value);
        ModRmRegister(reg, rm);
        Immediate(immediate, immediateSize);
    }

    /// <summary>An instruction with a memory operand at a base register and a displacement.</summary>
    public void InstructionOnMemory(in Opcode opcode, int reg, int vvvv, int @base, int displacement, long immediate, int immediateSize)
    {
        Prefixes(in opcode, reg, vvvv, @base);
        Byte(opcode.Value);
        ModRmMemory(reg, @base, displacement);
        Immediate(immediate, immediateSize);
    }

    /// <summary>All that comes in front of the opcode.</summary>
    private void Prefixes(in Opcode opcode, int reg, int vvvv, int rm)
    {
        if (opcode.IsVex)
        {
            int pp = opcode.OperandSize ? 1 : opcode.Repeat switch { 0xF3 => 2, 0xF2 => 3, _ => 0 };
            Vex(opcode.Map, pp, opcode.Wide, opcode.Is256, reg, vvvv, rm);
            return;
        }

        if (opcode.IsLocked)
        {
            Byte(0xF0);
        }

        if (opcode.OperandSize)
        {
            Byte(0x66);
        }

        if (opcode.Repeat != 0)
        {
            Byte(opcode.Repeat);
        }

        Rex(opcode.Wide, reg, 0, rm, opcode.ForcesRex);
        if (opcode.Map != 0)
        {
            Byte(0x0F);
            if (opcode.Map >= 2)
            {
                Byte(opcode.Map == 2 ? 0x38 : 0x3A);
            }
        }
    }

    private void MxcsrMemory(int operation, int @base, int displacement)
    {
        Rex(false, 0, 0, @base);
        Byte(0x0F);
        Byte(0xAE);
        ModRmMemory(operation, @base, displacement);
    }

    private void VectorMemory(int opcode, int vector, int @base, int displacement)
    {
        Rex(false, vector, 0, @base);
        Byte(0x0F);
        Byte(opcode);
        ModRmMemory(vector, @base, displacement);
    }

    private void AvxMemory(int opcode, int vector, int vvvv, int @base, int displacement, bool is256)
    {
        Vex(map: 1, pp: 0, wide: false, is256, vector, vvvv, @base);
        Byte(opcode);
        ModRmMemory(vector, @base, displacement);
    }
}
