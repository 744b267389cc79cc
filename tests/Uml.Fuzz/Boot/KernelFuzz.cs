using Uml.Core;
using Uml.Core.Boot;
using Uml.Core.Boot.Protocols;
using Uml.Core.Tests.Boot;
using Uml.Fuzz.Running;

namespace Uml.Fuzz.Boot;

/// <summary>Attacks the boot loader.</summary>
internal static class KernelFuzz
{
    private const int RamBytes = 32 << 20;
    private const int MaximumUnpackedBytes = 8 << 20;

    // What damage is aimed at: setup header, ELF and program headers, multiboot header.
    private const int HeaderBytes = 0x270;

    private static readonly string[] _formats = ["Lz4", "Gzip"];

    public static void Run(FuzzRun run)
    {
        byte[] ram = new byte[RamBytes];
        run.ForEachCase(test =>
        {
            FuzzRandom random = test.Random;
            BootRequest request = CreateRequest(random);
            test.Description = $"{request.Protocol}, {request.MemoryMap.Count} ranges, kernel '{request.Kernel.Name}'";
            try
            {
                BootEntry entry = BootImage.Load(request, new CheckedRam(ram, request.MemoryMap));
                Check(entry, request);
                test.Count($"loaded {entry.Kind}");
            }
            catch (MachineConfigurationException e)
            {
                // The message is part of what is promised, and made of hostile numbers and names.
                _ = e.Message.Length > 0 ? 0 : throw new InvalidOperationException("An error without a message.");
                test.Count(e is KernelImageException ? "refused" : "refused map");
            }
        });
    }

    private static void Check(BootEntry entry, BootRequest request)
    {
        bool isInside = entry.ImageStart < entry.ImageEnd && entry.ImageEnd <= RamBytes
            && entry.InitrdAddress + entry.InitrdLength <= RamBytes
            && (entry.InitrdLength == 0 || entry.InitrdAddress >= entry.ImageEnd || entry.InitrdAddress + entry.InitrdLength <= entry.ImageStart);
        if (!isInside || (request.Initrd is not null) != (entry.InitrdLength != 0))
        {
            throw new InvalidOperationException($"Image 0x{entry.ImageStart:x} to 0x{entry.ImageEnd:x}, initrd {entry.InitrdLength} bytes at 0x{entry.InitrdAddress:x}.");
        }
    }

    private static BootRequest CreateRequest(FuzzRandom random)
    {
        (string name, byte[] kernel) = CreateKernel(random);
        BootProtocol protocol = random.OneIn(2) ? BootProtocol.Auto : (BootProtocol)random.Below(Enum.GetValues<BootProtocol>().Length);
        bool hasModules = random.OneIn(4);
        return new BootRequest
        {
            Kernel = BootFile.FromBytes(kernel, name),
            Protocol = protocol,
            Initrd = random.OneIn(4) ? BootFile.FromBytes(random.Bytes(random.Below(4) * random.Below(100_000)), "initrd") : null,
            Modules = hasModules ? [.. Enumerable.Range(0, random.Below(3)).Select(_ => new BootModule(BootFile.FromBytes(random.Bytes(1 + random.Below(5000))), "module"))] : [],
            CommandLine = random.OneIn(8) ? new string('x', (int)(random.Nasty() & 0x3ffff)) : random.OneIn(2) ? "console=ttyS0" : "",
            MemoryMap = CreateMap(random),
            AcpiRsdpAddress = random.Nasty(),
            FlatAddress = random.OneIn(2) ? random.Nasty() : null,
            MaximumUnpackedBytes = random.OneIn(16) ? (int)random.Nasty() : MaximumUnpackedBytes,
        };
    }

    private static IReadOnlyList<MemoryMapEntry> CreateMap(FuzzRandom random)
    {
        if (!random.OneIn(8))
        {
            return BootMemoryLayout.CreateMemoryMap((ulong)(2 + random.Below(31)) << 20);
        }

        List<MemoryMapEntry> map = [];
        ulong at = 0;
        for (int i = random.Below(140); i > 0; i--)
        {
            at += random.OneIn(3) ? (ulong)random.Below(0x8000) : 0;
            ulong length = random.OneIn(30) ? random.Nasty() : (ulong)random.Below(0x80000);
            map.Add(new MemoryMapEntry(at, length, (MemoryMapEntryType)(1 + (random.OneIn(3) ? random.Below(4) : 0))));
            at = Math.Min(unchecked(at + length), RamBytes - 1);
        }

        // What lies outside of the RAM here is not usable.
        return [.. map.Select(entry => entry.Length <= RamBytes && entry.Base + entry.Length <= RamBytes ? entry : entry with { Type = MemoryMapEntryType.Reserved })];
    }

    private static (string Name, byte[] Kernel) CreateKernel(FuzzRandom random)
    {
        ulong address = random.OneIn(4) ? random.Nasty() : (ulong)(1 + random.Below(24)) << 20;
        ulong memory = random.OneIn(8) ? random.Nasty() : 0x2000 + (ulong)random.Below(0x20_0000);
        byte[] vmlinux = TestImages.Vmlinux(address, memory, pvh: random.OneIn(2));
        bool damagesInside = random.OneIn(3);
        vmlinux = damagesInside ? Mutator.Mutate(random, vmlinux, 64 + (3 * 56)) : vmlinux;
        vmlinux = vmlinux.Length == 0 ? [0] : vmlinux;
        (string name, byte[] kernel) = random.Below(7) switch
        {
            0 => ("vmlinux", vmlinux),
            1 => ("vmlinux.gz", TestPayloads.Gzip(vmlinux)),
            2 => ("multiboot ELF", TestImages.Multiboot(true, (uint)address, (uint)random.Below(32))),
            3 => ("multiboot", TestImages.Multiboot(false, (uint)address, (uint)random.Below(32))),
            4 => ("random", random.Bytes(random.Below(20_000))),
            _ => ("bzImage", TestImages.BzImage(vmlinux, address, random.Pick(_formats))),
        };
        return random.OneIn(3) ? (name, kernel) : ($"damaged {name}", Mutator.Mutate(random, kernel, HeaderBytes));
    }
}
