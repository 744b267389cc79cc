using Uml.Core.Boot.Formats;

namespace Uml.Core.Boot.Protocols;

/// <summary>
/// The parameters of Linux's boot protocol: boot_params, the command line and the initrd (Documentation/arch/x86/boot.rst).
/// </summary>
internal sealed class LinuxParameters
{
    /// <summary>COMMAND_LINE_SIZE of x86 is 2048 with the zero byte; a vmlinux does not contain it.</summary>
    public const uint DefaultCommandLineSize = 2047;

    // The initrd_addr_max of every bzImage since 2.6.26.
    private const uint DefaultInitrdAddressMaximum = 0x7fff_ffff;

    private readonly BootPlan _plan;
    private readonly BootRequest _request;
    private readonly ZeroPage _page;
    private readonly ulong _initrdLimit;

    /// <summary>Takes the memory for boot_params and the command line, before the kernel gets its own.</summary>
    /// <param name="plan">The memory plan.</param>
    /// <param name="request">What to boot.</param>
    /// <param name="setup">The bzImage that the kernel is or came from, if any.</param>
    public LinuxParameters(BootPlan plan, BootRequest request, BzImage? setup)
    {
        if (request.Modules.Count != 0)
        {
            throw new KernelImageException(
                $"Linux's boot protocol hands over one initrd and no modules ({request.Modules.Count} given); join cpio archives into one initrd.");
        }

        (_plan, _request) = (plan, request);
        plan.Take(BootMemoryLayout.ZeroPageAddress, BootMemoryLayout.PageBytes, "boot_params");
        uint commandLineSize = setup?.CommandLineSize ?? DefaultCommandLineSize;
        uint commandLine = new BootStrings(plan).Add(request.CommandLine, commandLineSize, "kernel command line");
        _page = new ZeroPage(setup is null ? default : setup.SetupHeader.Span, commandLineSize);
        _page.SetCommandLine(commandLine);
        _page.SetAcpiRsdp(request.AcpiRsdpAddress);
        _page.SetMemoryMap(request.MemoryMap);
        _initrdLimit = (setup?.InitrdAddressMaximum ?? DefaultInitrdAddressMaximum) + 1UL;
    }

    /// <summary>Says where the code of a bzImage lies (code32_start).</summary>
    public void SetLoadAddress(uint address) => _page.SetCode32Start(address);

    /// <summary>Loads the initrd where the kernel left room, and writes boot_params.</summary>
    /// <param name="entry">The entry, the image's extent included.</param>
    /// <returns>The entry, with the addresses that are passed to it.</returns>
    public BootEntry HandOver(BootEntry entry)
    {
        (ulong initrd, ulong initrdLength) = (0, 0);
        if (_request.Initrd is not null)
        {
            (initrd, initrdLength) = InitrdLoader.Load(_plan, _request.Initrd, _initrdLimit, "initrd");
            _page.SetRamDisk(initrd, initrdLength);
        }

        _plan.Write(BootMemoryLayout.ZeroPageAddress, _page.Bytes);
        return entry with { Rsi = BootMemoryLayout.ZeroPageAddress, InitrdAddress = initrd, InitrdLength = initrdLength };
    }
}
