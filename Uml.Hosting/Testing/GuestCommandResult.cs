namespace Uml.Hosting.Testing;

/// <summary>What a command in the guest did.</summary>
/// <param name="ExitCode">Its exit code, 0 to 255.</param>
/// <param name="Output">What it wrote to its standard output and error, with lines that end in LF.</param>
public sealed record GuestCommandResult(int ExitCode, string Output);
