using Iced.Intel;
using Uml.Core.Cpu;

namespace Uml.Core.Tests.Cpu.Verify;

/// <summary>What tests of the checker begin with: a translation for each, and what the checker has to say of it.</summary>
[TestFixture]
[Platform("Linux")]
public abstract class CheckerFixture
{
    private protected CheckedTranslation Translation { get; private set; } = null!;

    [SetUp]
    public void MakeTranslation()
    {
        Assume.That(JitEngine.IsSupported, "Only hosts that run translated code check it.");
        Translation = new CheckedTranslation();
    }

    [TearDown]
    public void Free() => Translation?.Dispose();

    private protected void Accepts(Action<Assembler, Label> emit) => Assert.That(Translation.Check(emit), Is.Null);

    private protected void Refuses(string because, Action<Assembler, Label> emit) => Assert.That(Translation.Check(emit), Does.Contain(because));
}
