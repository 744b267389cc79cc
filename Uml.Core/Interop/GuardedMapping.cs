using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace Uml.Core.Interop;

/// <summary>
/// A mapping of Linux between two guards: address space without access, which is part of the same reservation, so that nothing else is
/// ever mapped there. It lies at a random address, away from where programs, heaps, stacks and libraries are.
/// </summary>
/// <remarks>
/// They limit the damage of a defect of the translator that lets a guest add a value to a host address, or use a value as one. An x86-64
/// memory operand adds a signed displacement of 32 bits to its base register (Intel SDM vol. 1, 3.7.5), and an index from 32-bit guest code
/// adds up to 4 GiB. So 2 GiB before and 4 GiB behind a mapping are reserved: neither of the two leads out of the guards, from any byte of
/// the mapping. Guards take address space only. Where that is limited (ulimit -v) or runs out they are small: enough for an access that
/// crosses an end, such as a copy that is too long.
/// </remarks>
internal sealed unsafe class GuardedMapping : SafeHandleZeroOrMinusOneIsInvalid
{
    public const ulong GuardBefore = 2UL << 30, GuardBehind = 4UL << 30, SmallGuard = 64UL << 10;

    /// <summary>
    /// The part of the lower 47 bits that addresses are chosen from. Linux on x86-64 puts static programs and their heaps below 1 GiB,
    /// others from 5555_5555_4000H on up, libraries, mappings and stacks from 7FFF_FFFF_F000H on down, both by at most 16 TiB
    /// (vm.mmap_rnd_bits); a guest has pointers in the same ranges. Sanitizers have their shadow below 1100_0000_0000H.
    /// </summary>
    public const ulong LowestAddress = 0x1100_0000_0000, HighestAddress = 0x5000_0000_0000;

    private const int Attempts = 16;

    /// <summary>Size of a huge page of the host (Intel SDM vol. 3, 4.5: a page of a page directory). Large mappings begin where one can.</summary>
    public const ulong HugePage = 2UL << 20;

    private readonly ulong _reserved;

    private GuardedMapping(nint reservation, ulong reserved, byte* pointer)
        : base(ownsHandle: true)
    {
        _reserved = reserved;
        Pointer = pointer;
        SetHandle(reservation);
    }

    /// <summary>The first byte; null once it is disposed.</summary>
    public byte* Pointer { get; private set; }

    /// <summary>Maps memory.</summary>
    /// <param name="size">Bytes; whole pages of the host are mapped.</param>
    /// <param name="protection">The protection (PROT_READ and so on).</param>
    /// <param name="descriptor">The file, or -1 for zeroed memory, which is committed when it is touched.</param>
    /// <returns>Null when the host refuses; the last P/Invoke error says why.</returns>
    public static GuardedMapping? TryCreate(ulong size, int protection, int descriptor = -1)
    {
        ulong page = (ulong)Environment.SystemPageSize;
        if (size > HighestAddress)
        {
            Marshal.SetLastPInvokeError(OutOfMemory);
            return null;
        }

        size = (Math.Max(size, 1) + page - 1) & ~(page - 1);
        ulong alignment = size < HugePage ? page : HugePage;
        GuardedMapping? mapping = MayReserveMuch() ? TryReserve(size, alignment, GuardBefore, GuardBehind) : null;
        mapping ??= TryReserve(size, alignment, SmallGuard, SmallGuard) ?? TryReserveAnywhere(size, alignment);
        if (mapping is null)
        {
            return null;
        }

        int flags = Libc.MapFixed | (descriptor < 0 ? Libc.MapPrivate | Libc.MapAnonymous | Libc.MapNoReserve : Libc.MapShared);
        if (Libc.Mmap((nint)mapping.Pointer, (nuint)size, protection, flags, descriptor, 0) == Libc.MapFailed)
        {
            int error = Marshal.GetLastPInvokeError();
            mapping.Dispose();
            Marshal.SetLastPInvokeError(error);
            return null;
        }

        return mapping;
    }

    protected override void Dispose(bool disposing)
    {
        Pointer = null;
        base.Dispose(disposing);
    }

    protected override bool ReleaseHandle() =>
        // SAFETY: the owner hands out Pointer only for as long as it holds the mapping, or has it kept.
        Libc.Munmap(handle, (nuint)_reserved) == 0;

    private const int OutOfMemory = 12; // ENOMEM

    /// <summary>
    /// Whether large guards are used: only emitted code needs them, and a limit on the process's address space would be used up by them.
    /// </summary>
    private static bool MayReserveMuch()
    {
        ResourceLimit limit;
        return X86Base.X64.IsSupported && Libc.GetLimit(Libc.LimitAddressSpace, &limit) == 0 && limit.Soft == Libc.Unlimited;
    }

    /// <summary>Reserves a range at a random address.</summary>
    private static GuardedMapping? TryReserve(ulong size, ulong alignment, ulong before, ulong behind)
    {
        ulong reserved = before + size + behind;
        if (reserved >= HighestAddress - LowestAddress)
        {
            return null;
        }

        ulong places = ((HighestAddress - LowestAddress - reserved) / alignment) + 1;
        for (int i = 0; i < Attempts; i++)
        {
            ulong random;
            RandomNumberGenerator.Fill(new Span<byte>(&random, sizeof(ulong)));
            nint start = (nint)(LowestAddress + (random % places * alignment) + ((alignment - (before % alignment)) % alignment));
            nint found = Reserve(start, reserved);
            if (found == start)
            {
                return new GuardedMapping(found, reserved, (byte*)(start + (nint)before));
            }

            // Kernels before 4.17 ignore MAP_FIXED_NOREPLACE, and map elsewhere when the range is not free.
            if (found != Libc.MapFailed)
            {
                _ = Libc.Munmap(found, (nuint)reserved);
            }
        }

        return null;
    }

    /// <summary>Reserves a range with small guards at an address of the host's choice.</summary>
    private static GuardedMapping? TryReserveAnywhere(ulong size, ulong alignment)
    {
        ulong reserved = SmallGuard + size + SmallGuard + alignment;
        nint found = Reserve(0, reserved);
        ulong first = ((ulong)found + SmallGuard + alignment - 1) & ~(alignment - 1);
        return found == Libc.MapFailed ? null : new GuardedMapping(found, reserved, (byte*)first);
    }

    private static nint Reserve(nint address, ulong size) => Libc.Mmap(
        address,
        (nuint)size,
        Libc.ProtNone,
        Libc.MapPrivate | Libc.MapAnonymous | Libc.MapNoReserve | (address == 0 ? 0 : Libc.MapFixedNoReplace),
        -1,
        0);
}
