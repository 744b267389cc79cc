using System.Runtime.Intrinsics;

namespace Uml.Core.Cpu.Semantics.Simd;

/// <summary>PADDB, PADDW, PADDD, PADDQ.</summary>
internal readonly struct PackedAdd<T> : IVectorBinary
    where T : unmanaged
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => (a.As<byte, T>() + b.As<byte, T>()).AsByte();
}

/// <summary>PSUBB, PSUBW, PSUBD, PSUBQ.</summary>
internal readonly struct PackedSubtract<T> : IVectorBinary
    where T : unmanaged
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => (a.As<byte, T>() - b.As<byte, T>()).AsByte();
}

/// <summary>PADDSB, PADDSW, PADDUSB, PADDUSW.</summary>
internal readonly struct PackedAddSaturating<T> : IVectorBinary
    where T : unmanaged
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        Vector128.AddSaturate(a.As<byte, T>(), b.As<byte, T>()).AsByte();
}

/// <summary>PSUBSB, PSUBSW, PSUBUSB, PSUBUSW.</summary>
internal readonly struct PackedSubtractSaturating<T> : IVectorBinary
    where T : unmanaged
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        Vector128.SubtractSaturate(a.As<byte, T>(), b.As<byte, T>()).AsByte();
}

/// <summary>PCMPEQB, PCMPEQW, PCMPEQD, PCMPEQQ.</summary>
internal readonly struct PackedEqual<T> : IVectorBinary
    where T : unmanaged
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        Vector128.Equals(a.As<byte, T>(), b.As<byte, T>()).AsByte();
}

/// <summary>PCMPGTB, PCMPGTW, PCMPGTD, PCMPGTQ.</summary>
internal readonly struct PackedGreater<T> : IVectorBinary
    where T : unmanaged
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        Vector128.GreaterThan(a.As<byte, T>(), b.As<byte, T>()).AsByte();
}

/// <summary>PMINSB, PMINSW, PMINSD, PMINUB, PMINUW, PMINUD.</summary>
internal readonly struct PackedMinimum<T> : IVectorBinary
    where T : unmanaged
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => Vector128.Min(a.As<byte, T>(), b.As<byte, T>()).AsByte();
}

/// <summary>PMAXSB, PMAXSW, PMAXSD, PMAXUB, PMAXUW, PMAXUD.</summary>
internal readonly struct PackedMaximum<T> : IVectorBinary
    where T : unmanaged
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => Vector128.Max(a.As<byte, T>(), b.As<byte, T>()).AsByte();
}

/// <summary>PAVGB, PAVGW: the mean, rounded up.</summary>
internal readonly struct PackedAverage<T> : IVectorBinary
    where T : unmanaged
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b)
    {
        Vector128<T> x = a.As<byte, T>();
        Vector128<T> y = b.As<byte, T>();
        return ((x | y) - ((x ^ y) >>> 1)).AsByte();
    }
}

/// <summary>PABSB, PABSW, PABSD: the most negative value stays as it is.</summary>
internal readonly struct PackedAbsolute<T> : IVectorBinary
    where T : unmanaged
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b)
    {
        Vector128<T> value = b.As<byte, T>();
        Vector128<T> negative = Vector128.LessThan(value, Vector128<T>.Zero);
        return ((value ^ negative) - negative).AsByte();
    }
}

/// <summary>PSIGNB, PSIGNW, PSIGND: the destination, negated or zeroed as the source's sign says.</summary>
internal readonly struct PackedSign<T> : IVectorBinary
    where T : unmanaged
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b)
    {
        Vector128<T> value = a.As<byte, T>();
        Vector128<T> sign = b.As<byte, T>();
        Vector128<T> negative = Vector128.LessThan(sign, Vector128<T>.Zero);
        return Vector128.AndNot((value ^ negative) - negative, Vector128.Equals(sign, Vector128<T>.Zero)).AsByte();
    }
}

/// <summary>PAND, ANDPS, ANDPD.</summary>
internal readonly struct PackedAnd : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => a & b;
}

/// <summary>PANDN, ANDNPS, ANDNPD.</summary>
internal readonly struct PackedAndNot : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => Vector128.AndNot(b, a);
}

/// <summary>POR, ORPS, ORPD.</summary>
internal readonly struct PackedOr : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => a | b;
}

/// <summary>PXOR, XORPS, XORPD.</summary>
internal readonly struct PackedXor : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => a ^ b;
}

/// <summary>PSADBW: sums of absolute differences, one for each group of eight bytes.</summary>
internal readonly struct SumAbsoluteDifferences : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b)
    {
        Vector128<ushort> pairs = (Vector128.Max(a, b) - Vector128.Min(a, b)).AsUInt16();
        Vector128<uint> quads = ((pairs & Vector128.Create((ushort)0xFF)) + (pairs >>> 8)).AsUInt32();
        Vector128<ulong> eights = ((quads & Vector128.Create(0xFFFFu)) + (quads >>> 16)).AsUInt64();
        return ((eights & Vector128.Create(0xFFFFFFFFUL)) + (eights >>> 32)).AsByte();
    }
}

/// <summary>MPSADBW: eight sums of absolute differences of four bytes each, at sliding offsets (SDM vol. 2B).</summary>
internal readonly struct MultipleSumAbsoluteDifferences : IVectorImmediate
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, byte immediate)
    {
        int start = immediate & 4;
        int block = (immediate & 3) * 4;
        Vector128<ushort> sum = Vector128<ushort>.Zero;
        for (int i = 0; i < 4; i++)
        {
            Vector128<byte> window = Vector128.Shuffle(a, Vector128<byte>.Indices + Vector128.Create((byte)(start + i)));
            Vector128<byte> other = Vector128.Create(b.GetElement(block + i));
            sum += Vector128.WidenLower(Vector128.Max(window, other) - Vector128.Min(window, other));
        }

        return sum.AsByte();
    }

    public static byte UpperLane(byte immediate) => (byte)(immediate >> 3);
}

/// <summary>PHMINPOSUW: the smallest word and where it is first found.</summary>
internal readonly struct HorizontalMinimum : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b)
    {
        Vector128<ushort> words = b.AsUInt16();
        uint best = words.GetElement(0);
        uint position = 0;
        for (int i = 1; i < 8; i++)
        {
            uint word = words.GetElement(i);
            if (word < best)
            {
                best = word;
                position = (uint)i;
            }
        }

        return Vector128.CreateScalar(best | (position << 16)).AsByte();
    }
}
