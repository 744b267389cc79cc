using System.Buffers.Binary;
using Uml.Core.Cpu.Semantics.Float;

namespace Uml.Core.Cpu;

/// <summary>The x87 registers of a virtual CPU, relative to the top of the stack.</summary>
public sealed unsafe class X87Stack
{
    /// <summary>Bytes of an x87 register: 64-bit significand, then sign and 15-bit exponent (Intel SDM vol. 1, 4.2.2).</summary>
    public const int RegisterBytes = 10;

    private const int ExponentBias = 16383;
    private readonly ProcessorRegisters _registers;

    internal X87Stack(ProcessorRegisters registers) => _registers = registers;

    /// <summary>ST(<paramref name="index"/>) as a double: reading rounds to nearest, writing is exact and marks the register valid.</summary>
    /// <param name="index">0 to 7.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such register.</exception>
    public double this[int index]
    {
        get
        {
            Float80 register = Read(index);
            return ToDouble(register.Significand, register.SignExponent);
        }

        set
        {
            (ulong significand, ushort signExponent) = FromDouble(value);
            Write(index, significand, signExponent);
        }
    }

    /// <summary>Whether ST(<paramref name="index"/>) holds a value.</summary>
    public bool IsValid(int index)
    {
        lock (_registers.Access)
        {
            Locate(index, out int physical);
            return (_registers.State->X87.ValidTags & (1 << physical)) != 0;
        }
    }

    /// <summary>Copies the 10 bytes of ST(<paramref name="index"/>), little-endian as FSTP m80fp stores them.</summary>
    /// <exception cref="ArgumentException">The destination is shorter than <see cref="RegisterBytes"/>.</exception>
    public void CopyTo(int index, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(destination.Length, RegisterBytes);
        Float80 register = Read(index);
        BinaryPrimitives.WriteUInt64LittleEndian(destination, register.Significand);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[8..], register.SignExponent);
    }

    /// <summary>Sets the 10 bytes of ST(<paramref name="index"/>) and marks it valid.</summary>
    /// <exception cref="ArgumentException">The source is shorter than <see cref="RegisterBytes"/>.</exception>
    public void CopyFrom(int index, ReadOnlySpan<byte> source)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(source.Length, RegisterBytes);
        Write(index, BinaryPrimitives.ReadUInt64LittleEndian(source), BinaryPrimitives.ReadUInt16LittleEndian(source[8..]));
    }

    /// <summary>The nearest double, ties to even.</summary>
    internal static double ToDouble(ulong significand, ushort signExponent)
    {
        bool negative = (signExponent & 0x8000) != 0;
        int exponent = signExponent & 0x7FFF;
        if (exponent == 0x7FFF)
        {
            // A NaN keeps its payload's upper bits and becomes quiet, as when FST stores it.
            ulong fraction = significand << 1 == 0 ? 0 : (1UL << 51) | ((significand << 1) >> 12);
            return BitConverter.UInt64BitsToDouble((negative ? 1UL << 63 : 0) | (0x7FFUL << 52) | fraction);
        }

        if (significand == 0)
        {
            return negative ? -0.0 : 0.0;
        }

        double magnitude = RoundToDouble(significand, Math.Max(exponent, 1) - ExponentBias - 63);
        return negative ? -magnitude : magnitude;
    }

    /// <summary>significand * 2^exponent, rounded once.</summary>
    private static double RoundToDouble(ulong significand, int exponent)
    {
        int shift = System.Numerics.BitOperations.LeadingZeroCount(significand);
        significand <<= shift;
        exponent -= shift;

        // Bits beyond the 53 of a double, more of them when the result is denormal.
        int drop = 11 + Math.Max(0, -1074 - (exponent + 11));
        if (drop > 64)
        {
            return 0;
        }

        UInt128 wide = significand;
        UInt128 half = UInt128.One << (drop - 1);
        UInt128 kept = wide >> drop;
        UInt128 rest = wide & ((UInt128.One << drop) - 1);
        if (rest > half || (rest == half && (kept & 1) != 0))
        {
            kept++;
        }

        return Math.ScaleB((double)(ulong)kept, exponent + drop);
    }

    private static (ulong Significand, ushort SignExponent) FromDouble(double value)
    {
        ulong bits = BitConverter.DoubleToUInt64Bits(value);
        ushort sign = (ushort)((bits >> 63) << 15);
        int exponent = (int)(bits >> 52) & 0x7FF;
        ulong fraction = bits & ((1UL << 52) - 1);
        if (exponent == 0x7FF)
        {
            return ((1UL << 63) | (fraction << 11), (ushort)(sign | 0x7FFF));
        }

        if (exponent != 0)
        {
            return ((1UL << 63) | (fraction << 11), (ushort)(sign | (exponent - 1023 + ExponentBias)));
        }

        if (fraction == 0)
        {
            return (0, sign);
        }

        int shift = System.Numerics.BitOperations.LeadingZeroCount(fraction);
        return (fraction << shift, (ushort)(sign | (ExponentBias - 1022 + 11 - shift)));
    }

    private Float80 Read(int index)
    {
        lock (_registers.Access)
        {
            return *Locate(index, out _);
        }
    }

    private void Write(int index, ulong significand, ushort signExponent)
    {
        lock (_registers.Access)
        {
            Float80* register = Locate(index, out int physical);
            (register->Significand, register->SignExponent) = (significand, signExponent);
            _registers.State->X87.ValidTags |= (byte)(1 << physical);
        }
    }

    private Float80* Locate(int index, out int physical)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(index, 7);
        var state = _registers.State;
        physical = (((state->X87.StatusWord >> 11) & 7) + index) & 7;

        // SAFETY: eight registers start the x87 state, which is unmanaged memory; physical is 0 to 7.
        return (Float80*)&state->X87 + physical;
    }
}
