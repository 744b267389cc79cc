using Uml.Core;
using Uml.Core.Boot;
using Uml.Core.Machine;

namespace Uml.Hosting.Tests.Robustness;

[TestFixture]
[CancelAfter(60_000)]
public sealed class NoBoardTests
{
    [TestCase(BootProtocol.Linux64)]
    [TestCase(BootProtocol.Auto)]
    public async Task A_Linux_kernel_is_not_started_without_a_board(BootProtocol protocol, CancellationToken token)
    {
        await using IVirtualMachine machine = Machine(new VirtualMachineBuilder(), protocol);

        Assert.That(
            () => machine.StartAsync(token), Throws.InstanceOf<MachineConfigurationException>().With.Message.Contains("UmlMachine.CreateDefaultBuilder()"));
        Assert.That(machine.State, Is.EqualTo(MachineState.Created));
    }

    [Test]
    public async Task With_a_board_it_is_started(CancellationToken token)
    {
        await using IVirtualMachine machine = Machine(UmlMachine.CreateDefaultBuilder(), BootProtocol.Auto);

        await machine.StartAsync(token);

        Assert.That((await machine.WaitForExitAsync(token)).Reason, Is.EqualTo(MachineExitReason.Halted));
    }

    private static IVirtualMachine Machine(VirtualMachineBuilder builder, BootProtocol protocol) => builder
        .Configure(options => options.MemorySize = 16 << 20)
        .UseKernel(BootFile.FromBytes(Vmlinux()))
        .ConfigureBoot(boot => boot.Protocol = protocol)
        .Build();

    /// <summary>An ELF64 file with one segment at 1 MiB: cli, hlt.</summary>
    private static byte[] Vmlinux()
    {
        using MemoryStream file = new();
        using BinaryWriter writer = new(file);
        writer.Write([0x7F, 0x45, 0x4C, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]); // ELFCLASS64, ELFDATA2LSB
        writer.Write([(byte)2, 0, 62, 0, 1, 0, 0, 0]);                                // ET_EXEC, EM_X86_64
        writer.Write(0x10_0000UL);                                                    // e_entry
        writer.Write(64UL);                                                           // e_phoff
        writer.Write(0UL);
        writer.Write([0, 0, 0, 0, (byte)64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]);       // e_ehsize, e_phentsize, e_phnum
        writer.Write([(byte)1, 0, 0, 0, 5, 0, 0, 0]);                                 // PT_LOAD, readable and executable
        foreach (ulong field in (ulong[])[120, 0x10_0000, 0x10_0000, 2, 2, 4096])     // p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align
        {
            writer.Write(field);
        }

        writer.Write([(byte)0xFA, 0xF4]);
        return file.ToArray();
    }
}
