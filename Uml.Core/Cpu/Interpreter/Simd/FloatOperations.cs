using System.Runtime.Intrinsics;

namespace Uml.Core.Cpu.Interpreter.Simd;

/// <summary>A packed floating-point instruction; false when an unmasked exception was raised.</summary>
internal interface IPackedFloat<T>
    where T : unmanaged
{
    static abstract bool Apply(Vector128<T> a, Vector128<T> b, byte immediate, ref uint mxcsr, out Vector128<T> result);
}

/// <summary>A scalar floating-point instruction on bit patterns; false when an unmasked exception was raised.</summary>
internal interface IScalarFloat<T>
    where T : unmanaged
{
    static abstract bool Apply(T a, T b, byte immediate, ref uint mxcsr, out T result);
}
