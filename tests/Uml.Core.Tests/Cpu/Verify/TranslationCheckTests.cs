using System.Collections;
using System.Reflection;
using Iced.Intel;
using Uml.Core.Cpu.Emit;
using Uml.Core.Cpu.Verify;
using Uml.Core.Cpu;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Verify;

/// <summary>What <see cref="CpuOptions.TranslationCheck"/> does with translations that the checker refuses.</summary>
[Platform("Linux")]
public sealed unsafe class TranslationCheckTests
{
    [Test]
    public void A_refused_block_is_interpreted_and_counted()
    {
        using BareGuest machine = Prepare(TranslationCheck.Interpret);
        ForgetStubs(machine);
        Assert.That(machine.Cpu.Run(10_000), Is.EqualTo(RunResult.Halted));
        Assert.That(machine.Rax, Is.EqualTo(5050UL));
        Assert.That(machine.State->Engine->Counters.TranslationsRefused, Is.Not.Zero);
        Assert.That(machine.State->Engine->Counters.BlocksTranslated, Is.Zero);
    }

    [Test]
    public void A_refused_block_ends_the_machine_with_what_is_wrong_with_it()
    {
        using BareGuest machine = Prepare(TranslationCheck.Stop);
        ForgetStubs(machine);
        Assert.That(() => machine.Cpu.Run(10_000), Throws.TypeOf<TranslationRefusedException>().With.Message.Contains("Translation of the block of"));
    }

    [Test]
    public void Without_the_checker_nothing_is_refused()
    {
        using BareGuest machine = Prepare(TranslationCheck.None);
        ForgetStubs(machine);
        Assert.That(machine.Cpu.Run(10_000), Is.EqualTo(RunResult.Halted));
        Assert.That(machine.State->Engine->Counters.TranslationsRefused, Is.Zero);
        Assert.That(machine.State->Engine->Counters.BlocksTranslated, Is.Not.Zero);
    }

    /// <summary>A processor that is about to add up the numbers to 100.</summary>
    private static BareGuest Prepare(TranslationCheck check)
    {
        Assume.That(JitEngine.IsSupported, "Only hosts that run translated code check it.");
        BareGuest machine = new BareGuest(CpuEngine.Jit, check: check).Start64();
        return machine.Load(a =>
        {
            Label again = a.CreateLabel();
            a.xor(eax, eax);
            a.mov(ecx, 100);
            a.Label(ref again);
            a.add(eax, ecx);
            a.dec(ecx);
            a.jnz(again);
            a.hlt();
        });
    }

    /// <summary>To the checker each call of a stub is one of something unknown from here on: a defect of the emitter that all translations have.</summary>
    private static void ForgetStubs(BareGuest machine)
    {
        object stubs = Field(typeof(JitEngine), "_stubs").GetValue(machine.Cpu.Jit)!;
        ((IDictionary)Field(typeof(RuntimeStubs), "_contracts").GetValue(stubs)!).Clear();
    }

    private static FieldInfo Field(Type type, string name) => type.GetField(name, BindingFlags.Instance | BindingFlags.NonPublic)!;
}
