using System.Runtime.InteropServices;

namespace Uml.Net.Interop;

/// <summary>spawn.h, sys/wait.h and signal.h.</summary>
// SAFETY: callers pass room for the structures, and lists of strings that end with null.
internal static unsafe partial class Spawn
{
    /// <summary>Room for posix_spawn_file_actions_t, which has 80 bytes in the C libraries of Linux.</summary>
    public const int ActionsSize = 256;

    /// <summary>SIGTERM, SIGKILL and WNOHANG.</summary>
    public const int Terminate = 15, Kill = 9, DoNotWait = 1;

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_init")]
    public static partial int InitializeActions(void* actions);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_adddup2")]
    public static partial int AddDuplicate(void* actions, int descriptor, int copy);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_destroy")]
    public static partial int DestroyActions(void* actions);

    /// <returns>Zero, or an error.</returns>
    [LibraryImport("libc", EntryPoint = "posix_spawnp", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Start(out int process, string file, void* actions, void* attributes, byte** arguments, byte** environment);

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    public static partial int Signal(int process, int signal);

    [LibraryImport("libc", EntryPoint = "waitpid", SetLastError = true)]
    public static partial int Wait(int process, int* status, int options);
}
