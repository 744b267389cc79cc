using System.Runtime.InteropServices;
using Uml.Differential.Tests.Engines;
using Uml.Differential.Tests.Generation;

namespace Uml.Differential.Tests.Comparison;

/// <summary>Tells what differs between the outcomes of two engines.</summary>
internal static class SnapshotComparer
{
    private const uint ComparedFlags = StateGenerator.StatusFlags | StateGenerator.Df | StateGenerator.Id | 0x4_4000; // AC, NT

    private static readonly string[] s_names =
        ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];

    /// <summary>2^-126.</summary>
    private const float SmallestNormal = 1.17549435e-38f;

    public static string GprName(int number) => s_names[number];

    /// <summary>Differences, one line each; empty when the outcomes agree.</summary>
    public static List<string> Compare(Outcome expected, Outcome actual, in Tolerance tolerance)
    {
        var differences = new List<string>();
        ref MachineSnapshot e = ref expected.State;
        ref MachineSnapshot a = ref actual.State;
        CompareOutcome(ref e, ref a, tolerance, differences);
        for (int i = 0; i < 16; i++)
        {
            if (i == 4 || e.Vector < 0 || !tolerance.PartialOnFault)
            {
                Add(differences, s_names[i], e.Gprs[i], a.Gprs[i]);
            }
        }

        uint flags = ComparedFlags & ~tolerance.UndefinedFlags;
        Add(differences, $"rflags (of 0x{flags:x})", e.Rflags & flags, a.Rflags & flags);
        Add(differences, "gs base", e.GsBase, a.GsBase);
        Add(differences, "ds", Selector(e.Ds), Selector(a.Ds));
        Add(differences, "es", Selector(e.Es), Selector(a.Es));
        CompareFloatingPoint(ref e, ref a, tolerance, differences);
        CompareMemory(expected, actual, differences);
        return differences;
    }

    private static void CompareOutcome(ref MachineSnapshot e, ref MachineSnapshot a, in Tolerance tolerance, List<string> differences)
    {
        if (tolerance.AnyFault && IsMemoryFault(e.Vector) && IsMemoryFault(a.Vector))
        {
            // That the registers agree is checked all the same.
        }
        else if (e.Vector != a.Vector)
        {
            differences.Add($"exception: expected {VectorName(ref e)}, got {VectorName(ref a)}");
        }
        else if (e.Vector == 14 && tolerance.AnyFaultAddress && e.Cr2 != a.Cr2)
        {
            if (Math.Abs((long)(e.Cr2 - a.Cr2)) >= MachineSnapshot.FxSize)
            {
                Add(differences, "cr2 (of about)", e.Cr2, a.Cr2);
            }
        }
        else if (e.Vector >= 0)
        {
            Add(differences, "error code", e.ErrorCode, a.ErrorCode);
            if (e.Vector == 14)
            {
                Add(differences, "cr2", e.Cr2, a.Cr2);
            }
        }

        Add(differences, "rip", e.Rip, a.Rip);
    }

    /// <summary>#SS, #GP, #PF, #AC.</summary>
    private static bool IsMemoryFault(int vector) => vector is 12 or 13 or 14 or 17;

    private static string VectorName(ref MachineSnapshot state) => state.Vector switch
    {
        MachineSnapshot.Endless => "no end",
        MachineSnapshot.Completed => "none",
        0 => "#DE",
        1 => "#DB",
        3 => "#BP",
        4 => "#OF",
        5 => "#BR",
        6 => "#UD",
        7 => "#NM",
        12 => "#SS",
        13 => $"#GP(0x{state.ErrorCode:x})",
        14 => $"#PF(0x{state.ErrorCode:x}) at 0x{state.Cr2:x}",
        16 => "#MF",
        17 => "#AC",
        19 => "#XM",
        _ => $"vector {state.Vector}",
    };

    private static void CompareFloatingPoint(ref MachineSnapshot e, ref MachineSnapshot a, in Tolerance tolerance, List<string> differences)
    {
        ushort status = (ushort)~tolerance.UndefinedStatusWord;
        Add(differences, "fpu control word", e.ControlWord, a.ControlWord);
        Add(differences, $"fpu status word (of 0x{status:x})", (ulong)(e.StatusWord & status), (ulong)(a.StatusWord & status));
        Add(differences, "fpu tags", e.Tags, a.Tags);
        Add(differences, "mxcsr", e.Mxcsr, a.Mxcsr);
        for (int i = 0; i < 8; i++)
        {
            if (!e.St(i).SequenceEqual(a.St(i)) && !IsClose(e.St(i), a.St(i), tolerance.X87UnitsInLastPlace))
            {
                differences.Add($"st({i}): expected {Extended(e.St(i))}, got {Extended(a.St(i))}");
            }
        }

        for (int i = 0; i < 16; i++)
        {
            if (!e.Xmm(i).SequenceEqual(a.Xmm(i)) && !AreClose(e.Xmm(i), a.Xmm(i), tolerance.XmmRelative))
            {
                differences.Add($"xmm{i}: expected {Hex(e.Xmm(i))}, got {Hex(a.Xmm(i))}");
            }

            if (!e.UpperYmm(i).SequenceEqual(a.UpperYmm(i)) && !AreClose(e.UpperYmm(i), a.UpperYmm(i), tolerance.XmmRelative))
            {
                differences.Add($"upper half of ymm{i}: expected {Hex(e.UpperYmm(i))}, got {Hex(a.UpperYmm(i))}");
            }
        }
    }

    public static string Extended(ReadOnlySpan<byte> ten) =>
        $"{MemoryMarshal.Read<ushort>(ten[8..]):x4}:{MemoryMarshal.Read<ulong>(ten):x16}";

    public static string Hex(ReadOnlySpan<byte> sixteen) =>
        $"{MemoryMarshal.Read<ulong>(sixteen[8..]):x16}'{MemoryMarshal.Read<ulong>(sixteen):x16}";

    /// <summary>Null selectors are one: an interrupt on the host meanwhile turns 1, 2 and 3 into 0 (Intel SDM vol. 2, IRET).</summary>
    private static ulong Selector(ushort selector) => selector < 4 ? 0u : selector;

    private static bool IsClose(ReadOnlySpan<byte> e, ReadOnlySpan<byte> a, ulong units)
    {
        UInt128 x = Rank(e), y = Rank(a);
        return units != 0 && (x > y ? x - y : y - x) <= units;
    }

    /// <summary>Neighbouring numbers of one sign have neighbouring ranks, across exponents too.</summary>
    private static UInt128 Rank(ReadOnlySpan<byte> ten) =>
        ((UInt128)MemoryMarshal.Read<ushort>(ten[8..]) << 63) + (MemoryMarshal.Read<ulong>(ten) & ~(1UL << 63));

    private static bool AreClose(ReadOnlySpan<byte> e, ReadOnlySpan<byte> a, float relative)
    {
        if (relative == 0)
        {
            return false;
        }

        ReadOnlySpan<float> x = MemoryMarshal.Cast<byte, float>(e), y = MemoryMarshal.Cast<byte, float>(a);
        for (int i = 0; i < 4; i++)
        {
            // A result about as small as the smallest normal number may have been taken for less, which is zero.
            bool same = BitConverter.SingleToUInt32Bits(x[i]) == BitConverter.SingleToUInt32Bits(y[i])
                || (MathF.Max(MathF.Abs(x[i]), MathF.Abs(y[i])) <= SmallestNormal * (1 + relative) && float.IsNegative(x[i]) == float.IsNegative(y[i]));
            if (!same && !(float.IsFinite(x[i]) && float.IsFinite(y[i]) && MathF.Abs(x[i] - y[i]) <= relative * MathF.Abs(x[i])))
            {
                return false;
            }
        }

        return true;
    }

    private static void CompareMemory(Outcome expected, Outcome actual, List<string> differences)
    {
        ReadOnlySpan<byte> e = expected.Memory, a = actual.Memory;
        int offset = 0;
        for (int reported = 0; reported < 8; reported++)
        {
            int equal = e[offset..].CommonPrefixLength(a[offset..]);
            offset += equal;
            if (offset == e.Length)
            {
                return;
            }

            int length = Math.Min(16, e.Length - offset);
            differences.Add($"memory at 0x{Layout.AddressOf(offset):x}: expected {Convert.ToHexStringLower(e.Slice(offset, length))}, "
                + $"got {Convert.ToHexStringLower(a.Slice(offset, length))}");
            offset += length;
        }
    }

    private static void Add(List<string> differences, string what, ulong expected, ulong actual)
    {
        if (expected != actual)
        {
            differences.Add($"{what}: expected 0x{expected:x}, got 0x{actual:x}");
        }
    }
}

/// <summary>What an engine made of a case.</summary>
internal sealed class Outcome
{
    public MachineSnapshot State;

    public byte[] Memory { get; } = new byte[Layout.MemorySize];
}
