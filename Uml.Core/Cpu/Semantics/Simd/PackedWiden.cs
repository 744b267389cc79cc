using System.Runtime.Intrinsics;

namespace Uml.Core.Cpu.Semantics.Simd;

/// <summary>PMOVZXBW.</summary>
internal readonly struct ZeroExtendByteToWord : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => Vector128.WidenLower(b).AsByte();
}

/// <summary>PMOVZXWD.</summary>
internal readonly struct ZeroExtendWordToDoubleword : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => Vector128.WidenLower(b.AsUInt16()).AsByte();
}

/// <summary>PMOVZXDQ.</summary>
internal readonly struct ZeroExtendDoublewordToQuadword : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => Vector128.WidenLower(b.AsUInt32()).AsByte();
}

/// <summary>PMOVSXBW.</summary>
internal readonly struct SignExtendByteToWord : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => Vector128.WidenLower(b.AsSByte()).AsByte();
}

/// <summary>PMOVSXWD.</summary>
internal readonly struct SignExtendWordToDoubleword : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => Vector128.WidenLower(b.AsInt16()).AsByte();
}

/// <summary>PMOVSXDQ.</summary>
internal readonly struct SignExtendDoublewordToQuadword : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => Vector128.WidenLower(b.AsInt32()).AsByte();
}

/// <summary>Two widening steps in one: PMOVZXBD, PMOVSXBD and so on.</summary>
internal readonly struct Twice<TFirst, TSecond> : IVectorBinary
    where TFirst : struct, IVectorBinary
    where TSecond : struct, IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => TSecond.Apply(a, TFirst.Apply(a, b));
}
