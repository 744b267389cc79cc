using System.Reflection;
using System.Runtime.Loader;
using Iced.Intel;
using Uml.Core.Cpu;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Execute;
using Uml.Core.Interop;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>Handlers of signals are the process's: they are put there for machines that run translated code, and for no others.</summary>
[Platform("Linux")]
public sealed unsafe class SignalHandlerTests
{
    private static readonly int[] Signals = [4, 5, 7, 8, 11];

    private readonly Copy _copy = new();

    /// <summary>
    /// In a copy of the library, because this process has had machines of all kinds. The last machine shows that the test would notice, and
    /// that the handlers of two copies stand one behind the other.
    /// </summary>
    [Test]
    public void Nothing_is_installed_for_a_machine_that_interprets()
    {
        Assume.That(JitEngine.IsSupported);
        Assert.That(RunLoop((int)CpuEngine.Jit), Is.True);
        Func<int, bool> inCopy = InCopy<Func<int, bool>>(nameof(RunLoop));
        ulong[] before = Handlers();
        Assert.That(inCopy((int)CpuEngine.Interpreter), Is.False);
        Assert.That(Handlers(), Is.EqualTo(before));
        Assert.That(inCopy((int)CpuEngine.Jit), Is.True);
        Assert.That(Handlers().Zip(before, (now, then) => now != then), Is.All.True);
        OwnExceptions.Check();
        Assert.That(Fault(), Does.Contain("Translated code raised SIGILL"), "through the handler of the copy");
        Assert.That(InCopy<Func<string>>(nameof(Fault))(), Does.Contain("Translated code raised SIGILL"));
        OwnExceptions.Check();
    }

    /// <summary>Runs a loop on a processor.</summary>
    /// <returns>Whether it was translated.</returns>
    public static bool RunLoop(int engine)
    {
        using BareGuest machine = new BareGuest((CpuEngine)engine).Start64();
        machine.Load(a =>
        {
            Label again = a.CreateLabel();
            a.mov(ecx, 100);
            a.Label(ref again);
            a.dec(ecx);
            a.jnz(again);
            a.hlt();
        });
        Assert.That(machine.Cpu.Run(10_000), Is.EqualTo(RunResult.Halted));
        return machine.State->Engine->Counters.BlocksTranslated != 0;
    }

    /// <summary>Plants an undefined instruction in a processor's translated code.</summary>
    /// <returns>The report.</returns>
    public static string Fault()
    {
        using BareGuest machine = new BareGuest(CpuEngine.Jit).Start64();
        machine.Load(a => a.hlt());
        Assert.That(machine.Cpu.Run(10_000), Is.EqualTo(RunResult.Halted));
        Block* block = machine.Cpu.Blocks.Find(machine.State, BareGuest.Code);
        *(ushort*)machine.Cpu.Jit!.Code.ToWritable(block->Translations[(int)Flavor.Integer].Body) = 0x0B0F; // ud2
        machine.State->Halted = false;
        machine.State->Rip = BareGuest.Code;
        return Assert.Throws<EmittedCodeFaultException>(() => machine.Cpu.Run(10_000))!.Message;
    }

    private TDelegate InCopy<TDelegate>(string method) where TDelegate : Delegate
    {
        Assembly tests = _copy.LoadFromAssemblyPath(typeof(SignalHandlerTests).Assembly.Location);
        MethodInfo found = tests.GetType(typeof(SignalHandlerTests).FullName!)!.GetMethod(method)!;
        Assert.That(found.Module, Is.Not.EqualTo(typeof(SignalHandlerTests).Module));
        return found.CreateDelegate<TDelegate>();
    }

    private static ulong[] Handlers() => [.. Signals.Select(signal =>
    {
        SignalAction action;
        Assert.That(Libc.Sigaction(signal, null, &action), Is.Zero);
        return action.Handler;
    })];

    /// <summary>Has a library of its own; all else is shared.</summary>
    private sealed class Copy : AssemblyLoadContext
    {
        protected override Assembly? Load(AssemblyName name) =>
            name.Name == typeof(VirtualCpu).Assembly.GetName().Name ? LoadFromAssemblyPath(typeof(VirtualCpu).Assembly.Location) : null;
    }
}
