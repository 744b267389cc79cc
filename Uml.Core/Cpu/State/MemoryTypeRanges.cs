using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace Uml.Core.Cpu.State;

/// <summary>
/// Memory-type range registers (Intel SDM vol. 3, 13.11): kept for the guest to read back, with the checks a write gets. Memory types
/// change nothing here, since the host's caches are coherent.
/// </summary>
// SAFETY: the fixed buffers are indexed by MSR numbers that TryRead and TryWrite have checked to be within them, or by FixedIndex.
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct MemoryTypeRanges
{
    public const int VariableCount = 8, FixedCount = 11;

    /// <summary>IA32_MTRRCAP: eight variable ranges, fixed ranges, write-combining.</summary>
    public const ulong Capabilities = VariableCount | 1 << 8 | 1 << 10;

    /// <summary>Their numbers.</summary>
    public static ImmutableArray<uint> Numbers { get; } =
    [
        .. Enumerable.Range((int)MsrNumber.MtrrPhysBase0, VariableCount * 2).Select(static number => (uint)number),
        MsrNumber.MtrrFix64K00000, MsrNumber.MtrrFix16K80000, MsrNumber.MtrrFix16KA0000,
        .. Enumerable.Range((int)MsrNumber.MtrrFix4KC0000, FixedCount - 3).Select(static number => (uint)number),
        MsrNumber.MtrrDefType,
    ];

    private const ulong PhysicalMask = (1UL << PhysicalAddresses.Bits) - 1;

    public fixed ulong Variable[VariableCount * 2];
    public fixed ulong Fixed[FixedCount];

    /// <summary>IA32_MTRR_DEF_TYPE.</summary>
    public ulong Default;

    /// <summary>Reads a register that is an MTRR.</summary>
    public readonly bool TryRead(uint index, out ulong value)
    {
        int fixedIndex = FixedIndex(index);
        value = 0;
        if (IsVariable(index))
        {
            value = Variable[index - MsrNumber.MtrrPhysBase0];
        }
        else if (fixedIndex >= 0)
        {
            value = Fixed[fixedIndex];
        }
        else if (index == MsrNumber.MtrrDefType)
        {
            value = Default;
        }
        else
        {
            return false;
        }

        return true;
    }

    /// <summary>Writes an MTRR.</summary>
    public RegisterRefusal Write(uint index, ulong value)
    {
        int fixedIndex = FixedIndex(index);
        if (IsVariable(index))
        {
            return WriteVariable(index, value);
        }

        if (fixedIndex >= 0)
        {
            return WriteFixed(fixedIndex, value);
        }

        if (index != MsrNumber.MtrrDefType)
        {
            return RegisterRefusal.NotWritable;
        }

        if ((value & ~0xCFFUL) != 0)
        {
            return RegisterRefusal.ReservedBits;
        }

        if (!IsType((byte)value))
        {
            return RegisterRefusal.MemoryType;
        }

        Default = value;
        return RegisterRefusal.None;
    }

    /// <summary>As firmware leaves them: everything write-back but the legacy video window (there is no firmware here to do it).</summary>
    public void SetFirmwareDefaults()
    {
        const ulong writeBack = 0x0606060606060606;
        for (int i = 0; i < FixedCount; i++)
        {
            Fixed[i] = writeBack;
        }

        Fixed[2] = 0;
        Default = 0xC06;
        for (int i = 0; i < VariableCount * 2; i++)
        {
            Variable[i] = 0;
        }
    }

    /// <summary>A base with its type, or a mask with its valid bit.</summary>
    private RegisterRefusal WriteVariable(uint index, ulong value)
    {
        bool isMask = (index & 1) != 0;
        if ((value & ~PhysicalMask) != 0 || (value & (isMask ? 0x7FFUL : 0xF00)) != 0)
        {
            return RegisterRefusal.ReservedBits;
        }

        if (!isMask && !IsType((byte)value))
        {
            return RegisterRefusal.MemoryType;
        }

        Variable[index - MsrNumber.MtrrPhysBase0] = value;
        return RegisterRefusal.None;
    }

    private RegisterRefusal WriteFixed(int index, ulong value)
    {
        for (int shift = 0; shift < 64; shift += 8)
        {
            if (!IsType((byte)(value >> shift)))
            {
                return RegisterRefusal.MemoryType;
            }
        }

        Fixed[index] = value;
        return RegisterRefusal.None;
    }

    private static bool IsVariable(uint index) => index is >= MsrNumber.MtrrPhysBase0 and < MsrNumber.MtrrPhysBase0 + (VariableCount * 2);

    private static int FixedIndex(uint index) => index switch
    {
        MsrNumber.MtrrFix64K00000 => 0,
        MsrNumber.MtrrFix16K80000 => 1,
        MsrNumber.MtrrFix16KA0000 => 2,
        >= MsrNumber.MtrrFix4KC0000 and <= MsrNumber.MtrrFix4KF8000 => (int)(index - MsrNumber.MtrrFix4KC0000) + 3,
        _ => -1,
    };

    /// <summary>UC, WC, WT, WP, WB.</summary>
    private static bool IsType(byte type) => type is 0 or 1 or 4 or 5 or 6;
}
