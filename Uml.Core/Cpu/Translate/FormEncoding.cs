using System.Runtime.CompilerServices;
using Iced.Intel;
using Uml.Core.Cpu.Emit;

namespace Uml.Core.Cpu.Translate;

/// <summary>The field of an encoding that an operand is in (Intel SDM vol. 2, 3.1.1.1 and 3.1.1.4).</summary>
internal enum OperandField : byte
{
    None,

    /// <summary>ModRM.reg.</summary>
    Reg,

    /// <summary>ModRM.r/m: a register or memory.</summary>
    Rm,

    /// <summary>VEX.vvvv.</summary>
    Vvvv,

    /// <summary>The low bits of the opcode.</summary>
    Opcode,

    /// <summary>The high half of an immediate byte (/is4).</summary>
    Is4,

    /// <summary>An absolute address (moffs).</summary>
    Offset,

    /// <summary>No field: the opcode says it.</summary>
    Implied,
    Immediate8,
    Immediate16,
    Immediate32,
    Immediate64,
}

/// <summary>The fields of an instruction's operands, in the decoder's order.</summary>
[InlineArray(Count)]
internal struct FormOperands
{
    public const int Count = 5;
    private OperandField _element;
}

/// <summary>What all instructions of one form (Iced's Code) have in common in their encoding.</summary>
internal struct FormEncoding
{
    /// <summary>Whether the decoder's tables were looked at.</summary>
    public bool IsMet;

    /// <summary>Whether the form can be written again by <see cref="InstructionEncoder"/>: all that follows is only good then.</summary>
    public bool IsKnown;

    /// <summary>64-bit mode has the form too.</summary>
    public bool ExistsIn64;

    /// <summary>Prefixes and opcode.</summary>
    public Opcode Opcode;
    public bool HasModRm;

    /// <summary>What ModRM.reg extends the opcode with; -1 when it does not.</summary>
    public sbyte Digit;
    public FormOperands Operands;

    /// <summary>Looks a form up in the decoder's tables.</summary>
    public static FormEncoding Of(Code code)
    {
        OpCodeInfo info = code.ToOpCode();
        bool isVex = info.Encoding == EncodingKind.VEX;
        bool hasSecond = info.OpCodeLength == 2;
        FormEncoding form = new()
        {
            IsMet = true,
            ExistsIn64 = info.Mode64,
            Digit = (sbyte)info.GroupIndex,
            Opcode = new Opcode
            {
                OperandSize = info.OperandSize == 16 || info.MandatoryPrefix == MandatoryPrefix.P66,
                Repeat = info.MandatoryPrefix switch { MandatoryPrefix.PF2 => 0xF2, MandatoryPrefix.PF3 => 0xF3, _ => 0 },
                IsVex = isVex,
                Is256 = info.L == 1,
                Wide = isVex ? info.W == 1 : info.OperandSize == 64,
                Map = info.Table switch { OpCodeTableKind.Normal => 0, OpCodeTableKind.T0F => 1, OpCodeTableKind.T0F38 => 2, _ => 3 },
                Value = (byte)(hasSecond ? info.OpCode >> 8 : info.OpCode),
                Second = (byte)(hasSecond ? info.OpCode : 0),
            },
        };
        form.HasModRm = form.Digit >= 0;
        bool isOfKnownMap = info.Table is OpCodeTableKind.Normal or OpCodeTableKind.T0F or OpCodeTableKind.T0F38 or OpCodeTableKind.T0F3A;
        form.IsKnown = isOfKnownMap && info.Encoding is EncodingKind.Legacy or EncodingKind.VEX && info.OpCount <= FormOperands.Count
            && form.FindOperands(info);
        return form;
    }

    /// <returns>False when an operand is of a kind that is never written again.</returns>
    private bool FindOperands(OpCodeInfo info)
    {
        bool hasImmediate = false;
        for (int n = 0; n < info.OpCount; n++)
        {
            // There is room for one immediate (ENTER has two).
            OperandField field = FieldOf(info.GetOpKind(n));
            bool isImmediate = field is OperandField.Is4 or >= OperandField.Immediate8;
            if (field == OperandField.None || (isImmediate && hasImmediate))
            {
                return false;
            }

            hasImmediate |= isImmediate;

            Operands[n] = field;
            HasModRm |= field is OperandField.Reg or OperandField.Rm;
        }

        return !(HasModRm && Opcode.Second != 0);
    }

    private static OperandField FieldOf(OpCodeOperandKind kind)
    {
        switch (kind)
        {
            case OpCodeOperandKind.r8_reg or OpCodeOperandKind.r16_reg or OpCodeOperandKind.r32_reg or OpCodeOperandKind.r64_reg:
            case OpCodeOperandKind.seg_reg or OpCodeOperandKind.mm_reg or OpCodeOperandKind.xmm_reg or OpCodeOperandKind.ymm_reg:
                return OperandField.Reg;
            case OpCodeOperandKind.r8_or_mem or OpCodeOperandKind.r16_or_mem or OpCodeOperandKind.r32_or_mem or OpCodeOperandKind.r64_or_mem:
            case OpCodeOperandKind.mm_or_mem or OpCodeOperandKind.xmm_or_mem or OpCodeOperandKind.ymm_or_mem or OpCodeOperandKind.mem:
            case OpCodeOperandKind.r16_rm or OpCodeOperandKind.r32_rm or OpCodeOperandKind.r64_rm:
            case OpCodeOperandKind.mm_rm or OpCodeOperandKind.xmm_rm or OpCodeOperandKind.ymm_rm:
                return OperandField.Rm;
            case OpCodeOperandKind.r32_vvvv or OpCodeOperandKind.r64_vvvv or OpCodeOperandKind.xmm_vvvv or OpCodeOperandKind.ymm_vvvv:
                return OperandField.Vvvv;
            case OpCodeOperandKind.r8_opcode or OpCodeOperandKind.r16_opcode or OpCodeOperandKind.r32_opcode or OpCodeOperandKind.r64_opcode:
            case OpCodeOperandKind.sti_opcode:
                return OperandField.Opcode;
            case OpCodeOperandKind.xmm_is4 or OpCodeOperandKind.ymm_is4:
                return OperandField.Is4;
            case OpCodeOperandKind.mem_offs:
                return OperandField.Offset;
            case OpCodeOperandKind.al or OpCodeOperandKind.cl or OpCodeOperandKind.ax or OpCodeOperandKind.dx or OpCodeOperandKind.eax
                or OpCodeOperandKind.rax or OpCodeOperandKind.st0 or OpCodeOperandKind.imm8_const_1:
                return OperandField.Implied;
            case OpCodeOperandKind.imm8 or OpCodeOperandKind.imm8sex16 or OpCodeOperandKind.imm8sex32 or OpCodeOperandKind.imm8sex64:
                return OperandField.Immediate8;
            case OpCodeOperandKind.imm16:
                return OperandField.Immediate16;
            case OpCodeOperandKind.imm32 or OpCodeOperandKind.imm32sex64:
                return OperandField.Immediate32;
            case OpCodeOperandKind.imm64:
                return OperandField.Immediate64;
            case OpCodeOperandKind.br32_1 or OpCodeOperandKind.br32_4 or OpCodeOperandKind.br64_1 or OpCodeOperandKind.br64_4:
            case OpCodeOperandKind.seg_rSI or OpCodeOperandKind.es_rDI or OpCodeOperandKind.seg_rDI:
                // Branches and string instructions: their emitters do not use these fields.
                return OperandField.Implied;
            default:
                return OperandField.None;
        }
    }
}

/// <summary>The forms that were met so far.</summary>
internal sealed class FormEncodings
{
    private readonly FormEncoding[] _forms = new FormEncoding[(int)Enum.GetValues<Code>()[^1] + 1];

    public ref readonly FormEncoding this[Code code]
    {
        get
        {
            ref FormEncoding form = ref _forms[(int)code];
            if (!form.IsMet)
            {
                form = FormEncoding.Of(code);
            }

            return ref form;
        }
    }
}
