namespace DiskImages;

/// <summary>What the program exits with.</summary>
internal static class ExitCodes
{
    public const int Success = 0;

    /// <summary>An image could not be used, or the work was cut off. Standard error says why and what to do.</summary>
    public const int Failure = 1;

    public const int WrongCommandLine = 2;

    /// <summary>A check found something that is not repaired.</summary>
    public const int ProblemsFound = 3;
}
