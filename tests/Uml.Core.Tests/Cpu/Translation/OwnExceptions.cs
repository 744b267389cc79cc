using System.Runtime.CompilerServices;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>Exceptions of the application that .NET makes of signals.</summary>
internal static class OwnExceptions
{
    /// <summary>What .NET makes of faults in C# code is as ever.</summary>
    public static void Check()
    {
        Assert.That(() => Length(null!), Throws.TypeOf<NullReferenceException>());
        Assert.That(() => Divide(1, 0), Throws.TypeOf<DivideByZeroException>());
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static int Length(string text) => text.Length;

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static int Divide(int a, int b) => a / b;
}
