using System.Runtime.InteropServices;

namespace Uml.Differential.Tests.Native;

/// <summary>The few libc calls the native engine needs; constants are Linux x86-64's.</summary>
internal static unsafe partial class Libc
{
    public const int PROT_NONE = 0, PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4;
    public const int MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_FIXED = 0x10, MAP_ANONYMOUS = 0x20, MAP_NORESERVE = 0x4000;
    public const int MAP_POPULATE = 0x8000, MAP_FIXED_NOREPLACE = 0x10_0000;
    public const int SIGILL = 4, SIGTRAP = 5, SIGBUS = 7, SIGFPE = 8, SIGSEGV = 11;
    public const int SA_SIGINFO = 4, SA_ONSTACK = 0x0800_0000, SA_RESTART = 0x1000_0000;
    public const int SYS_rt_sigprocmask = 14, SYS_sigaltstack = 131;
    public const int SIG_SETMASK = 2;

    /// <summary>AT_HWCAP2 and its bit for "RDFSBASE and friends are allowed in user mode" (Linux arch/x86/include/uapi/asm/hwcap2.h).</summary>
    public const ulong AT_HWCAP2 = 26, HWCAP2_FSGSBASE = 2;

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Mmap(nint address, nuint length, int protection, int flags, int descriptor, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int Munmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "memfd_create", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MemfdCreate(string name, uint flags);

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    private static partial int Ftruncate(int descriptor, nint length);

    [LibraryImport("libc", EntryPoint = "close")]
    public static partial int Close(int descriptor);

    [LibraryImport("libc", EntryPoint = "sigaction", SetLastError = true)]
    private static partial int Sigaction(int signal, SigactionData* action, SigactionData* old);

    [LibraryImport("libc", EntryPoint = "getauxval")]
    public static partial ulong GetAuxiliaryValue(ulong type);

    /// <summary>Maps memory at exactly <paramref name="address"/> (0: anywhere).</summary>
    public static byte* Map(ulong address, int length, int protection, int flags, int descriptor = -1, int offset = 0)
    {
        nint result = Mmap((nint)address, (nuint)length, protection, flags, descriptor, offset);
        if (result == -1)
        {
            throw new IOException($"mmap of {length} bytes at 0x{address:x} failed with errno {Marshal.GetLastPInvokeError()}: "
                + "the native engine needs this range of the address space for itself.");
        }

        return (byte*)result;
    }

    public static void Unmap(ulong address, ulong length) => Check(Munmap((nint)address, (nuint)length), "munmap");

    /// <summary>Makes an anonymous file of <paramref name="length"/> bytes, so that code can be mapped once writable and once executable.</summary>
    public static int CreateMemoryFile(string name, int length)
    {
        int descriptor = MemfdCreate(name, 0);
        Check(descriptor, "memfd_create");
        Check(Ftruncate(descriptor, length), "ftruncate");
        return descriptor;
    }

    /// <summary>Sets a signal's action and returns the one before.</summary>
    public static SigactionData Exchange(int signal, in SigactionData action)
    {
        SigactionData old;
        fixed (SigactionData* pointer = &action)
        {
            Check(Sigaction(signal, pointer, &old), "sigaction");
        }

        return old;
    }

    public static SigactionData Query(int signal)
    {
        SigactionData old;
        Check(Sigaction(signal, null, &old), "sigaction");
        return old;
    }

    private static void Check(int result, string call)
    {
        if (result < 0)
        {
            throw new IOException($"{call} failed with errno {Marshal.GetLastPInvokeError()}.");
        }
    }
}

/// <summary>struct sigaction of glibc and musl on x86-64.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct SigactionData
{
    public ulong Handler;
    public fixed byte Mask[128];
    public int Flags;
    public ulong Restorer;
}
