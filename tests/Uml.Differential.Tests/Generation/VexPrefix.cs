using Iced.Intel;
using Uml.Differential.Tests.Comparison;

namespace Uml.Differential.Tests.Generation;

/// <summary>VEX prefixes (Intel SDM vol. 2, 2.3.5).</summary>
internal static class VexPrefix
{
    /// <summary>A VEX prefix of the form, of two bytes where that is possible or of three; fields the form ignores are random.</summary>
    public static void Write(ref Rng rng, OpCodeInfo info, int bitness, ref SpanWriter writer)
    {
        // R, X, B and vvvv are stored inverted; outside 64-bit mode the inverted R and X are one, or the bytes are LES and LDS.
        int registers = bitness == 64 && !rng.OneIn(3) ? rng.Below(8) : 0;
        int vvvv = UsesSecondRegister(info) ? rng.Below(bitness == 64 ? 16 : 8) : 0;
        int length = info.IsLIG ? rng.Below(2) : (int)info.L;

        bool ignoresW = info.IsWIG || (info.IsWIG32 && bitness != 64 && !EncodingChoices.MindsVexW(info.Mnemonic));
        int w = ignoresW ? rng.Below(2) : (int)info.W;
        int tail = ((vvvv ^ 15) << 3) | (length << 2) | SelectingPrefix(info.MandatoryPrefix);
        if (info.Table == OpCodeTableKind.T0F && (w == 0 || ignoresW) && (registers & 3) == 0 && rng.OneIn(2))
        {
            writer.Write(0xC5);
            writer.Write((byte)(((registers & 4) != 0 ? 0 : 0x80) | tail));
            return;
        }

        int map = info.Table switch { OpCodeTableKind.T0F => 1, OpCodeTableKind.T0F38 => 2, _ => 3 };
        writer.Write(0xC4);
        writer.Write((byte)(((registers ^ 7) << 5) | map));
        writer.Write((byte)((w << 7) | tail));
    }

    /// <summary>Whether the memory operand has a vector of indices.</summary>
    public static bool HasIndexVector(OpCodeInfo info)
    {
        for (int i = 0; i < info.OpCount; i++)
        {
            if (info.GetOpKind(i) is OpCodeOperandKind.mem_vsib32x or OpCodeOperandKind.mem_vsib64x or OpCodeOperandKind.mem_vsib32y
                or OpCodeOperandKind.mem_vsib64y)
            {
                return true;
            }
        }

        return false;
    }

    private static bool UsesSecondRegister(OpCodeInfo info)
    {
        for (int i = 0; i < info.OpCount; i++)
        {
            if (info.GetOpKind(i) is OpCodeOperandKind.xmm_vvvv or OpCodeOperandKind.ymm_vvvv or OpCodeOperandKind.r32_vvvv
                or OpCodeOperandKind.r64_vvvv)
            {
                return true;
            }
        }

        return false;
    }

    private static int SelectingPrefix(MandatoryPrefix prefix) => prefix switch
    {
        MandatoryPrefix.P66 => 1,
        MandatoryPrefix.PF3 => 2,
        MandatoryPrefix.PF2 => 3,
        _ => 0,
    };
}
