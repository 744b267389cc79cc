using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Uml.Core.Cpu.Semantics.Simd;

/// <summary>PBLENDW, BLENDPS, BLENDPD, VPBLENDD: each set bit of the immediate takes an element from the source.</summary>
internal readonly struct BlendImmediate<T> : IVectorImmediate
    where T : unmanaged
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, byte immediate)
    {
        Vector128<byte> mask = Unsafe.SizeOf<T>() switch
        {
            2 => Test(Vector128.Create((ushort)immediate), Vector128.Create((ushort)1, 2, 4, 8, 16, 32, 64, 128)),
            4 => Test(Vector128.Create((uint)immediate), Vector128.Create(1u, 2, 4, 8)),
            _ => Test(Vector128.Create((ulong)immediate), Vector128.Create(1ul, 2)),
        };
        return Vector128.ConditionalSelect(mask, b, a);
    }

    // VPBLENDW uses the eight bits for both lanes, the others use the next bits for the upper lane (SDM vol. 2).
    public static byte UpperLane(byte immediate) => Unsafe.SizeOf<T>() switch
    {
        2 => immediate,
        4 => (byte)(immediate >> 4),
        _ => (byte)(immediate >> 2),
    };

    private static Vector128<byte> Test<TElement>(Vector128<TElement> value, Vector128<TElement> bits)
        where TElement : unmanaged => Vector128.Equals(value & bits, bits).AsByte();
}

/// <summary>PBLENDVB, BLENDVPS, BLENDVPD: the top bit of each element of XMM0 takes the element from the source.</summary>
internal readonly struct BlendVariable<T> : IVectorMasked
    where T : unmanaged
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, Vector128<byte> mask) =>
        Vector128.ConditionalSelect(Vector128.LessThan(mask.As<byte, T>(), Vector128<T>.Zero).AsByte(), b, a);
}

/// <summary>INSERTPS from a register (SDM vol. 2A); from memory bits 7:6 select nothing.</summary>
internal readonly struct InsertSingle : IVectorImmediate
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, byte immediate)
    {
        uint value = b.AsUInt32().GetElement(immediate >> 6);
        Vector128<uint> result = a.AsUInt32().WithElement((immediate >> 4) & 3, value);
        Vector128<uint> bits = Vector128.Create(1u, 2, 4, 8);
        Vector128<uint> zero = Vector128.Equals(Vector128.Create((uint)immediate) & bits, bits);
        return Vector128.AndNot(result, zero).AsByte();
    }
}
