using System.Runtime.InteropServices;

namespace Uml.Core.Cpu.State;

/// <summary>An x87 double extended value (SDM vol. 1, 4.2.2) in the 16-byte slot that FXSAVE uses; bits 127:80 are padding.</summary>
[StructLayout(LayoutKind.Explicit, Size = 16)]
internal struct Float80 : IEquatable<Float80>
{
    [FieldOffset(0)]
    public ulong Significand;

    [FieldOffset(8)]
    public ushort SignExponent;

    public Float80(ushort signExponent, ulong significand)
    {
        Significand = significand;
        SignExponent = signExponent;
    }

    /// <summary>The QNaN that masked invalid operations deliver (SDM vol. 1, 4.8.3.7).</summary>
    public static Float80 Indefinite => new(0xFFFF, 0xC000_0000_0000_0000);

    public readonly bool Sign => (SignExponent & 0x8000) != 0;

    public readonly int BiasedExponent => SignExponent & 0x7FFF;

    public readonly bool Equals(Float80 other) => Significand == other.Significand && SignExponent == other.SignExponent;

    public override readonly bool Equals(object? obj) => obj is Float80 other && Equals(other);

    public override readonly int GetHashCode() => HashCode.Combine(Significand, SignExponent);

    public override readonly string ToString() => $"{SignExponent:X4}:{Significand:X16}";
}
