using Iced.Intel;
using Uml.Core.Cpu.Contract;

namespace Uml.Core.Cpu.Verify;

/// <summary>
/// One instruction of emitted code without its context: whether it is allowed, and how it uses the four registers that are not the guest's.
/// </summary>
internal struct HostInstruction
{
    public Instruction Instruction;

    /// <summary>The flavor that its registers need.</summary>
    public Flavor Needed;

    /// <summary>Whether it reads the scratch or the address register as a value, and whether it writes all or part of one.</summary>
    public bool ReadsScratch, ReadsAddress;
    public bool WritesScratch, WritesAddress;
    public bool IsPartial;

    /// <summary>The size in bytes and the kind of its memory access; zero if it has none.</summary>
    public int AccessSize;
    public bool ReadsMemory, WritesMemory;

    /// <summary>It changes arithmetic flags.</summary>
    public bool ChangesFlags;

    private const Register State = Register.RSP, Scratch = Register.R13, Address = Register.R14, Tlb = Register.R15;

    /// <summary>Analyzes an instruction.</summary>
    /// <param name="i">The instruction.</param>
    /// <param name="info">The registers and memory it uses.</param>
    /// <param name="hasWideVectors">Whether the upper halves of vector registers are the guest's too.</param>
    /// <param name="defect">Why it is not allowed; null if it is.</param>
    public static HostInstruction Of(in Instruction i, in InstructionInfo info, bool hasWideVectors, out string? defect)
    {
        HostInstruction host = new() { Instruction = i, ChangesFlags = i.RflagsModified != RflagsBits.None };
        defect = AllowedInstructions.Find(in i);
        if (defect is null && i.FlowControl is FlowControl.Next or FlowControl.IndirectBranch)
        {
            host.TakeOperands(in info);
            defect = host.TakeRegisters(in info, hasWideVectors) ?? host.TakeMemory(in info);
        }

        return host;
    }

    private string? TakeRegisters(in InstructionInfo info, bool hasWideVectors)
    {
        foreach (UsedRegister used in info.GetUsedRegisters())
        {
            Register register = used.Register;
            bool writes = used.Access is not (OpAccess.Read or OpAccess.CondRead);
            if (register.IsGPR())
            {
                Register full = register.GetFullRegister();
                if (full is State or Tlb && (writes || !IsBase(full)))
                {
                    return "it takes or changes a register that is not the guest's";
                }
            }
            else if (register.IsVectorRegister())
            {
                Needed = (Flavor)Math.Max((int)Needed, (int)Flavor.Vector);
                if (Instruction.Encoding == EncodingKind.VEX && !hasWideVectors)
                {
                    return "upper halves of vector registers are not the guest's";
                }
            }
            else if (register.IsST() || register.IsMM())
            {
                Needed = Flavor.X87;
            }
            else
            {
                return $"it uses {register}";
            }
        }

        Flavor unit = AllowedInstructions.IsX87(in Instruction) ? Flavor.X87 : AllowedInstructions.IsVector(in Instruction) ? Flavor.Vector : Flavor.Integer;
        Needed = (Flavor)Math.Max((int)Needed, (int)unit);
        return null;
    }

    /// <summary>Whether a register is the base of the memory operand of an instruction that accesses it, and nothing else.</summary>
    private readonly bool IsBase(Register register) => Instruction.MemoryBase == register && Instruction.MemoryIndex != register
        && Instruction.Mnemonic is not (Mnemonic.Lea or Mnemonic.Nop) && !IsOperand(register);

    private readonly bool IsOperand(Register full)
    {
        for (int n = 0; n < Instruction.OpCount; n++)
        {
            if (Instruction.GetOpKind(n) == OpKind.Register && Instruction.GetOpRegister(n).GetFullRegister() == full)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// Records the use of the scratch and address registers as operands; no instruction uses them implicitly. As base or index they are
    /// checked with the access.
    /// </summary>
    private void TakeOperands(in InstructionInfo info)
    {
        // The result is zero, whatever the register held.
        bool isZero = Instruction.Mnemonic is Mnemonic.Sub or Mnemonic.Xor && Instruction.Op0Register == Instruction.Op1Register
            && Instruction.Op0Register != Register.None && Instruction.Op0Register.GetSize() >= sizeof(uint);
        for (int n = 0; n < Instruction.OpCount; n++)
        {
            if (Instruction.GetOpKind(n) != OpKind.Register)
            {
                continue;
            }

            Register full = Instruction.GetOpRegister(n).GetFullRegister();
            OpAccess access = info.GetOpAccess(n);
            bool writes = access is not (OpAccess.Read or OpAccess.CondRead);

            // A source of zero leaves the destination of BSF and BSR as it was.
            bool reads = (access is not OpAccess.Write && !isZero) || Instruction.Mnemonic is Mnemonic.Bsf or Mnemonic.Bsr;
            ReadsScratch |= full == Scratch && reads;
            ReadsAddress |= full == Address && reads;
            WritesScratch |= full == Scratch && writes;
            WritesAddress |= full == Address && writes;
            IsPartial |= full is Scratch or Address && writes && Instruction.GetOpRegister(n).GetSize() < sizeof(uint);
        }

        if (Instruction.Mnemonic == Mnemonic.Lea)
        {
            ReadsScratch |= Scratch == Instruction.MemoryBase.GetFullRegister() || Scratch == Instruction.MemoryIndex.GetFullRegister();
            ReadsAddress |= Address == Instruction.MemoryBase.GetFullRegister() || Address == Instruction.MemoryIndex.GetFullRegister();
        }
    }

    private string? TakeMemory(in InstructionInfo info)
    {
        bool hasOperand = Instruction.MemoryBase != Register.None || Instruction.MemoryIndex != Register.None || Instruction.MemoryDisplSize != 0;
        foreach (UsedMemory used in info.GetUsedMemory())
        {
            if (used.Access is OpAccess.NoMemAccess or OpAccess.None)
            {
                continue;
            }

            if (!hasOperand || AccessSize != 0 || used.Base != Instruction.MemoryBase || used.Index != Instruction.MemoryIndex
                || used.Segment is Register.FS or Register.GS || used.AddressSize != CodeSize.Code64)
            {
                return "it accesses memory in another way than through its operand";
            }

            AccessSize = used.MemorySize.GetSize();
            ReadsMemory = used.Access is not OpAccess.Write;
            WritesMemory = used.Access is not (OpAccess.Read or OpAccess.CondRead);
            if (AccessSize == 0)
            {
                return "how many bytes it accesses is not known";
            }
        }

        return null;
    }
}
