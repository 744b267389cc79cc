// Boots Linux to a shell, or runs one command in it, inside this process. Standard output carries the guest's bytes and nothing else.
using System.CommandLine;
using System.CommandLine.Invocation;

ParseResult result = BootLinux.CommandLine.Create().Parse(args);
if (result.Action is ParseErrorAction error)
{
    error.ShowHelp = false;
}

int exitCode = await result.InvokeAsync();
return result.Errors.Count == 0 ? exitCode : BootLinux.Boot.MachineFailed;
