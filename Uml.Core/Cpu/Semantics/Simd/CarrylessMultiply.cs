using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Uml.Core.Cpu.Semantics.Simd;

/// <summary>PCLMULQDQ: the product of two quadwords as polynomials over GF(2); bits 0 and 4 of the immediate choose them.</summary>
internal readonly struct CarrylessMultiply : IVectorImmediate
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, byte immediate)
    {
        ulong x = a.AsUInt64().GetElement(immediate & 1);
        ulong y = b.AsUInt64().GetElement((immediate >> 4) & 1);
        return Pclmulqdq.IsSupported
            ? Pclmulqdq.CarrylessMultiply(Vector128.CreateScalar(x), Vector128.CreateScalar(y), 0).AsByte()
            : Portable(x, y);
    }

    public static Vector128<byte> Portable(ulong x, ulong y)
    {
        UInt128 product = 0;
        UInt128 shifted = x;
        for (; y != 0; y >>= 1, shifted <<= 1)
        {
            product ^= (y & 1) != 0 ? shifted : 0;
        }

        return Vector128.Create((ulong)product, (ulong)(product >> 64)).AsByte();
    }
}
