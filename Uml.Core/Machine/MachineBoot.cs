using Uml.Core.Boot;
using Uml.Core.Boot.Protocols;
using Uml.Core.Cpu;
using Uml.Core.Memory;

namespace Uml.Core.Machine;

/// <summary>Loads the files of <see cref="BootOptions"/> into a machine.</summary>
internal static class MachineBoot
{
    /// <summary>The bytes that an ACPI root pointer starts with (ACPI 6.5, 5.2.5.3).</summary>
    private static ReadOnlySpan<byte> RootPointerSignature => "RSD PTR "u8;

    /// <summary>Loads the kernel, initrd and command line by the kernel's boot protocol.</summary>
    /// <returns>The initial state of the boot processor.</returns>
    public static async Task<BootEntry> LoadAsync(
        BootOptions options, BootFile kernel, IGuestMemory memory, ProcessorRegisters registers, CancellationToken cancellationToken)
    {
        List<BootModule> modules = [];
        foreach (BootModule module in options.Modules)
        {
            modules.Add(module with { File = await module.File.FindAsync(cancellationToken).ConfigureAwait(false) });
        }

        var request = new BootRequest
        {
            Kernel = await kernel.FindAsync(cancellationToken).ConfigureAwait(false),
            Protocol = options.Protocol,
            Initrd = options.Initrd is { } initrd ? await initrd.FindAsync(cancellationToken).ConfigureAwait(false) : null,
            Modules = modules,
            CommandLine = options.CommandLine,
            MemoryMap = BootMemoryLayout.CreateMemoryMap(memory.Size),
            AcpiRsdpAddress = FindRootPointer(memory),
            FlatAddress = options.FlatAddress,
            MaximumUnpackedBytes = options.MaximumUnpackedBytes,
        };
        BootEntry entry = BootImage.Load(request, new BootMemory(memory), cancellationToken);
        cancellationToken.ThrowIfCancellationRequested();
        BootRegisters.Enter(registers, entry);
        return entry;
    }

    /// <summary>
    /// Finds the root pointer where firmware without EFI places it: on 16-byte boundaries below 1 MiB (ACPI 6.5, 5.2.5.1).
    /// </summary>
    private static ulong FindRootPointer(IGuestMemory memory)
    {
        const ulong length = BootMemoryLayout.HighMemoryStart - BootMemoryLayout.AcpiAddress;
        if (memory.TryLeaseReadOnly(new(BootMemoryLayout.AcpiAddress), (int)length, out IReadOnlyMemoryOwner? lease))
        {
            using IReadOnlyMemoryOwner held = lease;
            ReadOnlySpan<byte> area = lease.Memory.Span;
            for (int offset = 0; offset < area.Length; offset += 16)
            {
                if (area[offset..].StartsWith(RootPointerSignature))
                {
                    return BootMemoryLayout.AcpiAddress + (ulong)offset;
                }
            }
        }

        return 0;
    }

    /// <summary>Guest RAM for the loader, which stays within the memory map and therefore within RAM.</summary>
    private sealed class BootMemory(IGuestMemory memory) : IBootMemory
    {
        public void Write(ulong physicalAddress, ReadOnlySpan<byte> data)
        {
            if (!memory.TryWrite(new(physicalAddress), data))
            {
                throw OutOfRam(physicalAddress, (ulong)data.Length);
            }
        }

        public void Clear(ulong physicalAddress, ulong length)
        {
            if (!memory.TryClear(new(physicalAddress), (int)length))
            {
                throw OutOfRam(physicalAddress, length);
            }
        }

        private static KernelImageException OutOfRam(ulong address, ulong length) =>
            new($"The boot loader needs 0x{length:x} bytes at 0x{address:x}, which is not guest RAM; give the machine more memory.");
    }
}
