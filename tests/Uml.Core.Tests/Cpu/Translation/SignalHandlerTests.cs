using System.Reflection;
using System.Runtime.Loader;
using Iced.Intel;
using Uml.Core.Cpu;
using Uml.Core.Interop;
using Uml.Core.Tests.Cpu.System;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>Handlers of signals are the process's: they are put there for machines that run translated code, and for no others.</summary>
[Platform("Linux")]
public sealed unsafe class SignalHandlerTests
{
    private static readonly int[] Signals = [4, 5, 7, 8, 11];

    /// <summary>
    /// In a copy of the library, because this process has had machines of all kinds. The last machine shows that the test would notice, and
    /// that the handlers of two copies stand one behind the other.
    /// </summary>
    [Test]
    public void Nothing_is_installed_for_a_machine_that_interprets()
    {
        Assume.That(JitEngine.IsSupported);
        Assert.That(RunLoop((int)CpuEngine.Jit), Is.True);
        Func<int, bool> inCopy = InCopy();
        ulong[] before = Handlers();
        Assert.That(inCopy((int)CpuEngine.Interpreter), Is.False);
        Assert.That(Handlers(), Is.EqualTo(before));
        Assert.That(inCopy((int)CpuEngine.Jit), Is.True);
        Assert.That(Handlers().Zip(before, (now, then) => now != then), Is.All.True);
        OwnExceptions.Check();
        Assert.That(RunLoop((int)CpuEngine.Jit), Is.True);
    }

    /// <summary>Runs a loop on a processor.</summary>
    /// <returns>Whether it was translated.</returns>
    public static bool RunLoop(int engine)
    {
        using SystemMachine machine = new SystemMachine((CpuEngine)engine).Start64();
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
        return machine.State->Counters.BlocksTranslated != 0;
    }

    private static Func<int, bool> InCopy()
    {
        var context = new Copy();
        Assembly tests = context.LoadFromAssemblyPath(typeof(SignalHandlerTests).Assembly.Location);
        MethodInfo method = tests.GetType(typeof(SignalHandlerTests).FullName!)!.GetMethod(nameof(RunLoop))!;
        Assert.That(method.Module, Is.Not.EqualTo(typeof(SignalHandlerTests).Module));
        return method.CreateDelegate<Func<int, bool>>();
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
