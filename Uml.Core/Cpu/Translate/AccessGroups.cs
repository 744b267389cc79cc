using Iced.Intel;

namespace Uml.Core.Cpu.Translate;

/// <summary>
/// Finds memory operands near the same base register: the stack of a function, the fields of a structure. One look into the translation
/// buffer, for all of their range, does for all of them; when it fails, each is done by itself. Accesses to the stack may have others
/// between them, those near another register follow each other.
/// </summary>
internal static class AccessGroups
{
    /// <summary>The largest range of a group, in bytes. A limit of ours: a group that runs over the end of a page is of no use.</summary>
    private const int MaximumSpan = 256;

    /// <summary>The most instructions of a group: its code stands there twice.</summary>
    private const int MaximumLength = 32;

    public static void Find(Span<Plan> plans)
    {
        Find(plans, isStack: true);
        Find(plans, isStack: false);
    }

    private static void Find(Span<Plan> plans, bool isStack)
    {
        int i = 0;
        while (i < plans.Length)
        {
            i += Math.Max(1, Grow(plans[i..], isStack));
        }
    }

    /// <summary>Makes a group of the instructions from the first one on, if it can be one.</summary>
    /// <returns>Its length, or 0.</returns>
    private static int Grow(Span<Plan> plans, bool isStack)
    {
        if (!TryGetOperand(in plans[0], out int @base, out int low) || (@base == GuestRegisters.Rsp) != isStack)
        {
            return 0;
        }

        Bounds bounds = new() { Low = low, High = low, Aligned = -1 };
        int moved = 0;
        int members = 0;
        int length = 0;
        bool interrupted = false;
        Span<AccessMember> found = stackalloc AccessMember[Math.Min(plans.Length, MaximumLength)];
        found.Clear();
        for (int i = 0; i < found.Length; i++)
        {
            ref Plan plan = ref plans[i];
            bool member = TryGetOperand(in plan, out int own, out int displacement) && own == @base;
            if (member)
            {
                if (!bounds.Include(in plan, displacement + moved))
                {
                    break;
                }

                found[i] = new AccessMember { Is = true, Offset = displacement + moved };
                bounds.IsInterrupted |= interrupted;
                members++;
                length = i + 1;
            }
            else if (!IsTransparent(in plan))
            {
                if (!isStack || !MayInterrupt(in plan))
                {
                    break;
                }

                interrupted = true;
            }

            if (!Follows(in plan, @base, ref moved))
            {
                break;
            }
        }

        if (members < 2)
        {
            return 0;
        }

        Mark(plans, found[..length], @base, in bounds);
        return length;
    }

    private static void Mark(Span<Plan> plans, Span<AccessMember> found, int @base, in Bounds bounds)
    {
        bool isStack = @base == GuestRegisters.Rsp;
        ref AccessGroup group = ref isStack ? ref plans[0].Stack : ref plans[0].Group;
        group.Length = (byte)found.Length;
        group.Low = bounds.Low;
        group.Span = (ushort)(bounds.High - bounds.Low);
        group.Writes = bounds.Writes;
        group.Aligned = (sbyte)(bounds.Aligned < 0 ? -1 : (bounds.Aligned - bounds.Low) & 15);
        group.Base = (byte)@base;
        group.IsInterrupted = bounds.IsInterrupted;
        for (int i = 0; i < found.Length; i++)
        {
            found[i].Offset -= bounds.Low;
            (isStack ? ref plans[i].InStack : ref plans[i].InGroup) = found[i];
        }
    }

    /// <summary>A memory operand that is a base register with a home and a displacement.</summary>
    private static bool TryGetOperand(in Plan plan, out int @base, out int displacement)
    {
        @base = GuestRegisters.Rsp;
        displacement = 0;
        switch (plan.Form)
        {
            case Form.Push or Form.PushImmediate or Form.Call:
                displacement = -sizeof(ulong);
                return true;
            case Form.Pop:
                return plan.Instruction.Op0Register != Register.RSP;
            case Form.Return:
                return true;
            case Form.Plain when plan.Encoding.IsMemory:
                break;
            default:
                return false;
        }

        ref readonly Encoding e = ref plan.Encoding;
        bool sib = (e.ModRm & 7) == 4;
        if (e.AddressSize || plan.Instruction.MemoryIndex != Register.None || plan.Instruction.MemorySegment is Register.FS or Register.GS
            || (e.Mod == 0 && ((e.ModRm & 7) == 5 || (sib && (e.Sib & 7) == 5))))
        {
            return false;
        }

        @base = sib ? (e.Sib & 7) | e.ExtensionB : e.Rm;
        displacement = e.Displacement;
        return GuestRegisters.Host(@base) != GuestRegisters.None && displacement is > -0x4000_0000 and < 0x4000_0000;
    }

    /// <summary>Whether the translation of an instruction that is no member leaves the address register alone.</summary>
    public static bool IsTransparent(in Plan plan)
    {
        switch (plan.Form)
        {
            case Form.Nothing:
                return true;
            case Form.JumpIf:
                return plan.IsSideExit;
            case Form.Plain when !plan.Encoding.IsMemory:
                return !plan.Encoding.HasModRm || IntegerForms.CountHomeless(in plan.Encoding) < 2;
            case Form.Lea:
                return IsHomed(plan.Instruction.Op0Register) && IsHomed(plan.Instruction.MemoryBase) && IsHomed(plan.Instruction.MemoryIndex);
            default:
                return false;
        }
    }

    /// <summary>What may stand between accesses to the stack: nothing that could change where the stack lies, or end the block for good.</summary>
    private static bool MayInterrupt(in Plan plan) => plan.Form
        is Form.Plain or Form.Lea or Form.PushMemory or Form.PushFlags or Form.Divide or Form.ReadSegment or Form.BitTest;

    private static bool IsHomed(Register register) =>
        !register.IsGPR() || GuestRegisters.Host(register.GetFullRegister().GetNumber()) != GuestRegisters.None;

    /// <summary>Whether the base is still known behind an instruction; the stack pointer may move by constants.</summary>
    private static bool Follows(in Plan plan, int @base, ref int moved)
    {
        if ((plan.Writes & (1 << @base)) == 0)
        {
            return true;
        }

        if (@base != GuestRegisters.Rsp)
        {
            return false;
        }

        ref readonly Instruction i = ref plan.Instruction;
        switch (plan.Form)
        {
            case Form.Push or Form.PushImmediate or Form.PushMemory or Form.PushFlags:
                moved -= sizeof(ulong);
                return true;
            case Form.Pop:
                moved += sizeof(ulong);
                return true;
            case Form.Plain when i.Code is Code.Sub_rm64_imm8 or Code.Add_rm64_imm8 or Code.Sub_rm64_imm32 or Code.Add_rm64_imm32
                && i.Op0Register == Register.RSP:
                int by = (int)(long)i.GetImmediate(1);
                moved += i.Mnemonic == Mnemonic.Add ? by : -by;
                return by is > -0x1000 and < 0x1000;
            default:
                return false;
        }
    }

    /// <summary>The range of a group, relative to its base at the start.</summary>
    private struct Bounds
    {
        public int Low, High;
        public bool Writes;
        public bool IsInterrupted;

        /// <summary>What an offset is modulo 16 where the address is a multiple of 16; -1 while nothing has to be.</summary>
        public int Aligned;

        public bool Include(in Plan plan, int offset)
        {
            int low = Math.Min(Low, offset);
            int high = Math.Max(High, offset + plan.MemorySize);
            if (high - low > MaximumSpan || (plan.Aligned && (plan.MemorySize != 16 || (Aligned >= 0 && ((offset ^ Aligned) & 15) != 0))))
            {
                return false;
            }

            Low = low;
            High = high;
            Writes |= plan.Use != OperandUse.Read;
            if (plan.Aligned)
            {
                Aligned = offset & 15;
            }

            return true;
        }
    }
}
