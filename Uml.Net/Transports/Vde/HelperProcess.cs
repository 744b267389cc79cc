using System.Collections;
using System.Runtime.InteropServices;
using Uml.Net.Frames;
using Uml.Net.Interop;
using Uml.Net.Transports.Descriptors;

namespace Uml.Net.Transports.Vde;

/// <summary>
/// A program that is given one of our descriptors. <see cref="System.Diagnostics.Process"/> can pass on only descriptors that every program gets which is
/// started meanwhile.
/// </summary>
// SAFETY: strings and lists live until the program was started; the structure of actions is on the stack.
internal sealed unsafe class HelperProcess : IDisposable
{
    /// <summary>What the program finds its descriptor as.</summary>
    public const int Descriptor = 3;

    private const int EndMilliseconds = 1000, StepMilliseconds = 10;

    private readonly int _process;
    private bool _hasEnded;

    private HelperProcess(int process)
    {
        _process = process;
    }

    /// <summary>Starts a program, which is looked for in PATH.</summary>
    /// <exception cref="NetTransportException">There is none, or the host cannot start it.</exception>
    public static HelperProcess Start(IReadOnlyList<string> arguments, SafeHandle descriptor)
    {
        byte* actions = stackalloc byte[Spawn.ActionsSize];
        _ = Spawn.InitializeActions(actions);
        byte** argumentList = MakeList(arguments);
        byte** environment = MakeList([.. Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().Select(entry => $"{entry.Key}={entry.Value}")]);
        try
        {
            _ = Spawn.AddDuplicate(actions, (int)descriptor.DangerousGetHandle(), Descriptor);
            int error = Spawn.Start(out int process, arguments[0], actions, attributes: null, argumentList, environment);
            return error switch
            {
                0 => new HelperProcess(process),
                Errno.NoEntry => throw new NetTransportException($"There is no program {arguments[0]}: install it (Debian has it in vdeplug), or name the folder of a vde_switch."),
                _ => throw HostError.OnOpen($"The program {arguments[0]} cannot be started", error),
            };
        }
        finally
        {
            _ = Spawn.DestroyActions(actions);
            FreeList(argumentList);
            FreeList(environment);
        }
    }

    /// <summary>Ends the program.</summary>
    public void Dispose()
    {
        if (_hasEnded)
        {
            return;
        }

        _hasEnded = true;
        int status;
        _ = Spawn.Signal(_process, Spawn.Terminate);
        for (int waited = 0; waited < EndMilliseconds; waited += StepMilliseconds)
        {
            if (Spawn.Wait(_process, &status, Spawn.DoNotWait) != 0)
            {
                return;
            }

            Thread.Sleep(StepMilliseconds);
        }

        _ = Spawn.Signal(_process, Spawn.Kill);
        _ = Spawn.Wait(_process, &status, 0);
    }

    private static byte** MakeList(IReadOnlyList<string> strings)
    {
        byte** list = (byte**)NativeMemory.AllocZeroed((nuint)strings.Count + 1, (nuint)sizeof(byte*));
        for (int i = 0; i < strings.Count; i++)
        {
            list[i] = (byte*)Marshal.StringToCoTaskMemUTF8(strings[i]);
        }

        return list;
    }

    private static void FreeList(byte** list)
    {
        for (int i = 0; list[i] is not null; i++)
        {
            Marshal.FreeCoTaskMem((nint)list[i]);
        }

        NativeMemory.Free(list);
    }
}
