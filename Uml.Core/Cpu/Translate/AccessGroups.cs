using Iced.Intel;

namespace Uml.Core.Cpu.Translate;

/// <summary>
/// Finds runs of memory operands near the same base register: the stack of a prologue, the fields of a structure. One look into the
/// translation buffer, for all of their range, does for the whole run; when it fails, each is done by itself.
/// </summary>
internal static class AccessGroups
{
    /// <summary>The largest range of a group, in bytes. A limit of ours: a group that runs over the end of a page is of no use.</summary>
    private const int MaximumSpan = 256;

    public static void Find(Span<Plan> plans)
    {
        int i = 0;
        while (i < plans.Length)
        {
            i += Math.Max(1, Grow(plans[i..]));
        }
    }

    /// <summary>Makes a group of the instructions from the first one on, if it can be one.</summary>
    /// <returns>Its length, or 0.</returns>
    private static int Grow(Span<Plan> plans)
    {
        if (!TryGetOperand(in plans[0], out int @base, out int low))
        {
            return 0;
        }

        Bounds bounds = new() { Low = low, High = low, Aligned = -1 };
        int moved = 0;
        int members = 0;
        int length = 0;
        for (int i = 0; i < plans.Length; i++)
        {
            ref Plan plan = ref plans[i];
            bool member = TryGetOperand(in plan, out int own, out int displacement) && own == @base;
            if (member)
            {
                if (!bounds.Include(in plan, displacement + moved))
                {
                    break;
                }

                plan.GroupOffset = displacement + moved;
                members++;
                length = i + 1;
            }
            else if (!IsTransparent(in plan))
            {
                break;
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

        Mark(plans[..length], @base, in bounds);
        return length;
    }

    private static void Mark(Span<Plan> plans, int @base, in Bounds bounds)
    {
        ref Plan first = ref plans[0];
        first.GroupLength = (byte)plans.Length;
        first.GroupLow = bounds.Low;
        first.GroupSpan = (ushort)(bounds.High - bounds.Low);
        first.GroupWrites = bounds.Writes;
        first.GroupAligned = (sbyte)(bounds.Aligned < 0 ? -1 : (bounds.Aligned - bounds.Low) & 15);
        first.GroupBase = (byte)@base;
        for (int i = 0; i < plans.Length; i++)
        {
            if (TryGetOperand(in plans[i], out _, out _))
            {
                plans[i].IsMember = true;
                plans[i].GroupOffset -= bounds.Low;
            }
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
    private static bool IsTransparent(in Plan plan)
    {
        switch (plan.Form)
        {
            case Form.Nothing:
                return true;
            case Form.Plain when !plan.Encoding.IsMemory:
                return !plan.Encoding.HasModRm || IntegerForms.CountHomeless(in plan.Encoding) < 2;
            case Form.Lea:
                return IsHomed(plan.Instruction.Op0Register) && IsHomed(plan.Instruction.MemoryBase) && IsHomed(plan.Instruction.MemoryIndex);
            default:
                return false;
        }
    }

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
            case Form.Push or Form.PushImmediate:
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
