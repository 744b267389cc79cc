using Iced.Intel;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.State;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Translate;

/// <summary>
/// Finds memory operands near the same base register: the stack of a function, the fields of a structure. One look into the
/// TLB, for all of their range, does for all of them; when it fails, each is done by itself. Groups are apart or inside each other.
/// </summary>
internal static class AccessGroups
{
    /// <summary>The largest range of a group, in bytes. A limit of ours: a group that runs over the end of a page is of no use.</summary>
    private const int MaximumSpan = 256;

    /// <summary>The most instructions of a group: its code stands there twice.</summary>
    private const int MaximumLength = 32;

    public static void Find(Span<Plan> plans)
    {
        foreach (ref Plan plan in plans)
        {
            plan.Leader = -1;
        }

        // Where the groups end that the present place is in, outermost first.
        Span<int> open = stackalloc int[HotWords.GroupSlots + 1];
        int depth = 0;
        open[0] = plans.Length;
        for (int i = 0; i < plans.Length; i++)
        {
            while (depth > 0 && open[depth] <= i)
            {
                depth--;
            }

            if (depth < HotWords.GroupSlots && plans[i].Leader < 0)
            {
                int length = Grow(plans[..open[depth]], i, (sbyte)depth);
                if (length != 0)
                {
                    open[++depth] = i + length;
                }
            }
        }
    }

    /// <summary>Makes a group of instructions from one on, if it can be one.</summary>
    /// <returns>Its length, or 0.</returns>
    private static int Grow(Span<Plan> plans, int start, sbyte slot)
    {
        if (!TryGetOperand(in plans[start], out int @base, out int low))
        {
            return 0;
        }

        plans = plans[start..];
        Bounds bounds = new() { Low = low, High = low, Aligned = -1 };
        int moved = 0;
        int members = 0;
        int length = 0;
        bool interrupted = false;
        bool isKept = false;
        for (int i = 0; i < Math.Min(plans.Length, MaximumLength); i++)
        {
            ref Plan plan = ref plans[i];
            if (TryGetOperand(in plan, out int own, out int displacement) && own == @base)
            {
                if (!bounds.Include(in plan, displacement + moved))
                {
                    break;
                }

                plan.GroupOffset = displacement + moved;
                isKept |= interrupted;
                members++;
                length = i + 1;
            }
            else if (!IsTransparent(in plan))
            {
                if (!MayInterrupt(in plan))
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

        Mark(plans[..length], start, @base, isKept ? slot : (sbyte)-1, in bounds);
        return length;
    }

    private static void Mark(Span<Plan> plans, int start, int @base, sbyte slot, in Bounds bounds)
    {
        plans[0].Group = new AccessGroup
        {
            Length = (byte)plans.Length,
            Base = (byte)@base,
            Slot = slot,
            Low = bounds.Low,
            Span = (ushort)(bounds.High - bounds.Low),
            Writes = bounds.Writes,
            Aligned = (sbyte)(bounds.Aligned < 0 ? -1 : (bounds.Aligned - bounds.Low) & 15),
        };
        foreach (ref Plan plan in plans)
        {
            if (TryGetOperand(in plan, out int own, out _) && own == @base)
            {
                plan.Leader = (short)start;
                plan.GroupOffset -= bounds.Low;
            }
        }
    }

    /// <summary>A memory operand at a displacement from a base register that is in the host's.</summary>
    private static bool TryGetOperand(in Plan plan, out int @base, out int displacement)
    {
        @base = GuestRegisters.Rsp;
        displacement = 0;
        switch (plan.Form)
        {
            case Form.Push or Form.PushImmediate or Form.Call:
                displacement = -plan.Word;
                return true;
            case Form.Pop:
                return plan.Instruction.Op0Register.GetFullRegister() != Register.RSP;
            case Form.Return:
                return true;
            case Form.Plain when plan.Encoding.IsMemory:
                break;
            default:
                return false;
        }

        ref readonly Encoding e = ref plan.Encoding;
        if (e.AddressSize || e.Base < 0 || e.Index >= 0 || plan.Instruction.MemorySegment is Register.FS or Register.GS)
        {
            return false;
        }

        @base = e.Base;
        displacement = (int)e.Displacement;
        return !GuestRegisters.IsInState(@base) && displacement is > -0x4000_0000 and < 0x4000_0000;
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
                return !plan.Encoding.Form.HasModRm || IntegerForms.CountInState(in plan.Encoding) < 2;
            case Form.Lea:
                return IsInHost(plan.Instruction.Op0Register) && IsInHost(plan.Instruction.MemoryBase) && IsInHost(plan.Instruction.MemoryIndex);
            default:
                return false;
        }
    }

    /// <summary>What may stand between the accesses of a group: nothing that could change what memory is mapped where.</summary>
    private static bool MayInterrupt(in Plan plan) => plan.Form
        is Form.Plain or Form.Lea or Form.Push or Form.PushImmediate or Form.PushMemory or Form.PushFlags or Form.Pop or Form.Divide
            or Form.ReadSegment or Form.BitTest;

    private static bool IsInHost(Register register) =>
        !register.IsGPR() || GuestRegisters.Host(register) != GuestRegisters.None;

    /// <summary>Whether the base is still known behind an instruction: it may move by constants.</summary>
    private static bool Follows(in Plan plan, int @base, ref int moved)
    {
        if ((plan.Writes & (1 << @base)) == 0)
        {
            return true;
        }

        ref readonly Instruction i = ref plan.Instruction;
        switch (plan.Form)
        {
            case Form.Push or Form.PushImmediate or Form.PushMemory or Form.PushFlags:
                moved -= plan.Word;
                return true;
            case Form.Pop when @base == GuestRegisters.Rsp && i.Op0Register.GetFullRegister() != Register.RSP:
                moved += plan.Word;
                return true;
            case Form.Plain when i.Code is Code.Sub_rm64_imm8 or Code.Add_rm64_imm8 or Code.Sub_rm64_imm32 or Code.Add_rm64_imm32:
            case Form.Plain when !plan.IsLong && i.Code is Code.Sub_rm32_imm8 or Code.Add_rm32_imm8 or Code.Sub_rm32_imm32 or Code.Add_rm32_imm32:
                int by = (int)(long)i.GetImmediate(1);
                moved += i.Mnemonic == Mnemonic.Add ? by : -by;
                return by is > -GuestRam.PageSize and < GuestRam.PageSize;
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
