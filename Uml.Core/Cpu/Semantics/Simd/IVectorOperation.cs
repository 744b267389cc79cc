using System.Runtime.Intrinsics;

namespace Uml.Core.Cpu.Semantics.Simd;

/// <summary>An instruction that computes a vector from its destination and its source: a pure function, so that one class of operand
/// plumbing serves all of them. The MMX form of most is the same function on the low halves.</summary>
internal interface IVectorBinary
{
    static abstract Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b);
}

/// <summary>As <see cref="IVectorBinary"/>, with an immediate byte.</summary>
internal interface IVectorImmediate
{
    static abstract Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, byte immediate);

    /// <summary>The immediate of the upper lane of a 256-bit form; most give both lanes the same.</summary>
    static virtual byte UpperLane(byte immediate) => immediate;
}

/// <summary>As <see cref="IVectorBinary"/>, with a mask: XMM0, or the fourth operand of VEX forms.</summary>
internal interface IVectorMasked
{
    static abstract Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, Vector128<byte> mask);
}

/// <summary>
/// The MMX form of an operation whose result has a half for each operand (packs, horizontal sums): both 64-bit operands side by side
/// are the first operand of the 128-bit operation, and its low half is the result.
/// </summary>
internal readonly struct MmxSideBySide<TOperation> : IVectorBinary
    where TOperation : struct, IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        TOperation.Apply(Vector128.Create(a.GetLower(), b.GetLower()), Vector128<byte>.Zero);
}
