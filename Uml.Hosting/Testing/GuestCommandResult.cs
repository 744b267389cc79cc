namespace Uml.Hosting.Testing;

/// <summary>The result of a command in the guest.</summary>
/// <param name="ExitCode">Its exit code, 0 to 255.</param>
/// <param name="Output">Its standard output and error, with lines that end in LF.</param>
public sealed record GuestCommandResult(int ExitCode, string Output);
