using Uml.Core.Boot.Formats;
using Uml.Core.Boot.Payload;

namespace Uml.Core.Boot.Protocols;

/// <summary>Loads kernels into guest memory.</summary>
public static class BootImage
{
    // No kernel file comes near; a limit of ours, so that a wrong path does not eat the host's memory.
    private const int MaximumFileBytes = 1 << 30;

    /// <summary>
    /// Places a kernel with its initrd, command line and tables in guest RAM, unpacking it on the host.
    /// RAM that is not written keeps its contents.
    /// </summary>
    /// <param name="request">What to boot.</param>
    /// <param name="memory">The guest's RAM.</param>
    /// <param name="cancellationToken">Ends the work soon, including unpacking and reading from a pipe without a writer.</param>
    /// <returns>The state in which the first CPU starts.</returns>
    /// <exception cref="KernelImageException">The kernel, initrd or command line cannot be booted with this memory.</exception>
    /// <exception cref="MachineConfigurationException">The memory map or another setting is not valid.</exception>
    /// <exception cref="OperationCanceledException">The work was cancelled; guest RAM is in any state.</exception>
    public static BootEntry Load(BootRequest request, IBootMemory memory, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(memory);
        if (request.MaximumUnpackedBytes <= 0)
        {
            throw new MachineConfigurationException(
                $"{nameof(BootOptions)}.{nameof(BootOptions.MaximumUnpackedBytes)} is {request.MaximumUnpackedBytes}; it counts bytes, and kernels "
                + $"have some tens of MiB: leave it at its default of {BootOptions.DefaultMaximumUnpackedBytes}.");
        }

        try
        {
            return LoadFile(request, new BootPlan(request.MemoryMap, memory, cancellationToken));
        }
        catch (OutOfMemoryException e)
        {
            throw new KernelImageException(
                $"The host has not enough memory to load the kernel '{request.Kernel.Name}': {e.Message} Raise its limit (ulimit -v, cgroup).", e);
        }
    }

    private static BootEntry LoadFile(BootRequest request, BootPlan plan)
    {
        ReadOnlyMemory<byte> file = request.Kernel.Read("kernel", MaximumFileBytes, length => new KernelImageException(
            $"The kernel '{request.Kernel.Name}' has at least {length} bytes, more than any kernel ({MaximumFileBytes}); check the path."), plan.CancellationToken);
        if (file.IsEmpty)
        {
            throw new KernelImageException($"The kernel '{request.Kernel.Name}' is empty; check the path.");
        }

        try
        {
            return request.Protocol switch
            {
                BootProtocol.Flat16 => FlatLoader.Load(plan, request, file, BootEntryKind.Flat16),
                BootProtocol.Flat32 => FlatLoader.Load(plan, request, file, BootEntryKind.Flat32),
                BootProtocol.Flat64 => FlatLoader.Load(plan, request, file, BootEntryKind.Flat64),
                _ => LoadUnpacked(plan, request, file),
            };
        }
        finally
        {
            GrowingBuffer.Release(file);
        }
    }

    // A vmlinux.gz or the like: unpacked once, so that compressed data inside is an error and not a way to go on forever.
    private static BootEntry LoadUnpacked(BootPlan plan, BootRequest request, ReadOnlyMemory<byte> file)
    {
        CompressionFormat format = KernelPayload.Detect(file.Span);
        if (format == CompressionFormat.None)
        {
            return LoadByFormat(plan, request, file);
        }

        ReadOnlyMemory<byte> unpacked = KernelPayload.Unpack(format, file, request.MaximumUnpackedBytes, 0, request.Kernel.Name, plan.CancellationToken);
        try
        {
            return LoadByFormat(plan, request, unpacked);
        }
        finally
        {
            GrowingBuffer.Release(unpacked);
        }
    }

    private static BootEntry LoadBzImage(BootPlan plan, BootRequest request, ReadOnlyMemory<byte> file)
    {
        BzImage image = BzImage.Parse(file, request.Kernel.Name);
        return request.Protocol switch
        {
            BootProtocol.BzImage32 => BzImageLoader.Load(plan, request, image, is64Bit: false),
            BootProtocol.BzImage64 => BzImageLoader.Load(plan, request, image, is64Bit: true),
            BootProtocol.Auto when !image.HasEntry64 || !image.HasKnownPayload => BzImageLoader.Load(plan, request, image, image.HasEntry64),
            BootProtocol.Auto or BootProtocol.Linux64 or BootProtocol.Pvh => LoadVmlinux(plan, request, image),
            _ => throw NotOfProtocol(request, "a bzImage"),
        };
    }

    private static BootEntry LoadVmlinux(BootPlan plan, BootRequest request, BzImage image)
    {
        string name = request.Kernel.Name;
        ReadOnlyMemory<byte> unpacked = image.UnpackVmlinux(request.MaximumUnpackedBytes, plan.CancellationToken);
        try
        {
            ElfImage vmlinux = ElfImage.Parse(unpacked, name);
            return request.Protocol == BootProtocol.Pvh
                ? PvhLoader.Load(plan, request, vmlinux, image.CommandLineSize)
                : LinuxLoader.Load(plan, request, vmlinux, image);
        }
        finally
        {
            GrowingBuffer.Release(unpacked);
        }
    }

    private static BootEntry LoadByFormat(BootPlan plan, BootRequest request, ReadOnlyMemory<byte> file)
    {
        string name = request.Kernel.Name;
        if (BzImage.IsBzImage(file.Span))
        {
            return LoadBzImage(plan, request, file);
        }

        MultibootHeader? multiboot = MultibootHeader.Find(file.Span, name);
        bool isElf = ElfImage.IsElf(file.Span);
        if (multiboot is MultibootHeader header && WantsMultiboot(request.Protocol, file.Span, isElf))
        {
            return MultibootLoader.Load(plan, request, file, header);
        }

        if (!isElf)
        {
            throw ForeignImage.Reject(file.Span, name);
        }

        ElfImage image = ElfImage.Parse(file, name);
        return request.Protocol switch
        {
            BootProtocol.Linux64 => LinuxLoader.Load(plan, request, image, null),
            BootProtocol.Pvh => PvhLoader.Load(plan, request, image, LinuxParameters.DefaultCommandLineSize),
            BootProtocol.Auto when image.Is64Bit => LinuxLoader.Load(plan, request, image, null),
            BootProtocol.Auto when image.PvhEntryPoint is not null => PvhLoader.Load(plan, request, image, LinuxParameters.DefaultCommandLineSize),
            _ => throw NotOfProtocol(request, $"a {(image.Is64Bit ? 64 : 32)}-bit ELF file without a multiboot header in its first 8192 bytes"),
        };
    }

    // An ELF64 file that has a multiboot header too is booted by Linux's protocol unless the request says otherwise.
    private static bool WantsMultiboot(BootProtocol protocol, ReadOnlySpan<byte> file, bool isElf) =>
        protocol == BootProtocol.Multiboot || (protocol == BootProtocol.Auto && (!isElf || !ElfImage.IsClass64(file)));

    private static KernelImageException NotOfProtocol(BootRequest request, string kind) => new(
        $"The kernel '{request.Kernel.Name}' is {kind}, which cannot be entered by {nameof(BootProtocol)}.{request.Protocol}; "
        + "choose the protocol that it is made for.");
}
