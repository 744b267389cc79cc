// Boots a whole Debian from a disk, inside this process. The first run makes the disk.
using System.CommandLine;
using System.CommandLine.Invocation;
using System.Runtime.InteropServices;

ParseResult result = DebianFromDisk.CommandLine.Create().Parse(args);
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
return signalStatus ?? exitCode;

void End(PosixSignalContext context, int status)
{
    // A second signal does not wait for the machine.
    context.Cancel = signalStatus is null;
    signalStatus ??= status;
    ending.Cancel();
}
