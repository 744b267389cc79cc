using System.Diagnostics;
using Uml.Core.Machine;
using Uml.Fuzz.Running;

namespace Uml.Fuzz.Guests;

/// <summary>Runs a machine of a case to its end, and sees to it that it can be ended.</summary>
internal static class GuestRun
{
    /// <summary>
    /// How long a call that ends a machine may take. A second is promised; a host that does other things as well gets more.
    /// </summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    /// <summary>Lets the guest run for a while, stops and disposes it.</summary>
    /// <param name="time">How long the guest may run, in the host's time.</param>
    /// <param name="meanwhile">What is done from outside while it runs.</param>
    public static void Run(FuzzCase test, IVirtualMachine machine, TimeSpan time, Action? meanwhile = null)
    {
        try
        {
            machine.StartAsync().Wait();
            Task<MachineExit> exit = machine.WaitForExitAsync();
            meanwhile?.Invoke();
            exit.Wait(time);
            End(machine.StopAsync(), "StopAsync");
            test.Count(Check(exit.Result).ToString());

            // Guests that die at once attack little.
            test.Count(machine.InstructionsRetired >= 1000 ? "ran a thousand instructions" : "ran less");
        }
        finally
        {
            End(machine.DisposeAsync().AsTask(), "DisposeAsync");
        }
    }

    /// <summary>Fails when a machine's end was no guest's doing.</summary>
    public static MachineExitReason Check(MachineExit exit) => exit.Reason != MachineExitReason.InternalError && exit.Exception is null
        ? exit.Reason
        : throw new InvalidOperationException($"The guest ended its machine with an internal error: {exit.Message}", exit.Exception);

    /// <summary>Waits for a call that is not to take long.</summary>
    public static void End(Task call, string what)
    {
        var watch = Stopwatch.StartNew();
        if (!call.Wait(s_patience))
        {
            throw new TimeoutException($"{what} has not returned after {watch.Elapsed.TotalSeconds:F1} s.");
        }
    }
}

/// <summary>Ends a guest in virtual time after so many instructions.</summary>
internal sealed class InstructionLimit(ulong instructions) : StatelessDevice("limit")
{
    public override void Attach(IMachineContext machine) => machine.Clock
        .CreateTimer("limit", () => machine.RequestExit(new(MachineExitReason.HostStop, 0, "The time is over.")))
        .Schedule(instructions);
}
