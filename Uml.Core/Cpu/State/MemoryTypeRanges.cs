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

    private const ulong PhysicalMask = (1UL << PhysicalAddresses.Bits) - 1;

    public fixed ulong Variable[VariableCount * 2];
    public fixed ulong Fixed[FixedCount];

    /// <summary>IA32_MTRR_DEF_TYPE.</summary>
    public ulong Default;

    /// <summary>Reads a register of the range 200H to 2FFH that is an MTRR.</summary>
    public readonly bool TryRead(uint index, out ulong value)
    {
        int fixedIndex = FixedIndex(index);
        value = 0;
        if (index is >= 0x200 and < 0x200 + (VariableCount * 2))
        {
            value = Variable[index - 0x200];
        }
        else if (fixedIndex >= 0)
        {
            value = Fixed[fixedIndex];
        }
        else if (index == 0x2FF)
        {
            value = Default;
        }
        else
        {
            return false;
        }

        return true;
    }

    /// <summary>Writes an MTRR; false for reserved bits and types, and for what is no MTRR.</summary>
    public bool TryWrite(uint index, ulong value)
    {
        int fixedIndex = FixedIndex(index);
        if (index is >= 0x200 and < 0x200 + (VariableCount * 2))
        {
            bool isMask = (index & 1) != 0;
            bool valid = isMask ? (value & 0x7FF) == 0 : (value & 0xF00) == 0 && IsType((byte)value);
            if (!valid || (value & ~PhysicalMask) != 0)
            {
                return false;
            }

            Variable[index - 0x200] = value;
            return true;
        }

        if (fixedIndex >= 0)
        {
            return TryWriteFixed(fixedIndex, value);
        }

        if (index != 0x2FF || (value & ~0xCFFUL) != 0 || !IsType((byte)value))
        {
            return false;
        }

        Default = value;
        return true;
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

    private bool TryWriteFixed(int index, ulong value)
    {
        for (int shift = 0; shift < 64; shift += 8)
        {
            if (!IsType((byte)(value >> shift)))
            {
                return false;
            }
        }

        Fixed[index] = value;
        return true;
    }

    private static int FixedIndex(uint index) => index switch
    {
        0x250 => 0,
        0x258 => 1,
        0x259 => 2,
        >= 0x268 and <= 0x26F => (int)(index - 0x268) + 3,
        _ => -1,
    };

    /// <summary>UC, WC, WT, WP, WB.</summary>
    private static bool IsType(byte type) => type is 0 or 1 or 4 or 5 or 6;
}
