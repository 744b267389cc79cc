// Boots Linux to a shell, or runs one command in it, inside this process. Standard output carries the guest's bytes and nothing else.
using System.CommandLine;
using System.CommandLine.Invocation;
using System.Runtime.InteropServices;

ParseResult result = BootLinux.CommandLine.Create().Parse(args);
if (result.Action is ParseErrorAction error)
{
    error.ShowHelp = false;
}

// Signals end the machine first, and then the program with the status that a shell shows for them: 130 and 143.
using var ending = new CancellationTokenSource();
int? signalStatus = null;
using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => End(context, 130));
using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => End(context, 143));

int exitCode = await result.InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null }, ending.Token);
return result.Errors.Count == 0 ? signalStatus ?? exitCode : BootLinux.Boot.MachineFailed;

void End(PosixSignalContext context, int status)
{
    // A second signal does not wait for the machine.
    context.Cancel = signalStatus is null;
    signalStatus ??= status;
    ending.Cancel();
}
