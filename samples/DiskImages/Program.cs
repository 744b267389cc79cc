// Makes, merges, converts, checks and shows disk images. Results go to standard output, and progress and messages to standard error.
using System.CommandLine;
using System.CommandLine.Invocation;
using DiskImages;

ParseResult result = CommandLine.Create(new Report()).Parse(args);
if (result.Action is ParseErrorAction error)
{
    error.ShowHelp = false;
}

int exitCode = await result.InvokeAsync();
return result.Errors.Count == 0 ? exitCode : ExitCodes.WrongCommandLine;
