using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>
/// A REX prefix that legacy prefixes or another REX prefix follow counts for nothing (Intel SDM vol. 2, 2.2.1). Code of that kind must not
/// come into host code as it is: there its operands are addresses of the host. The addresses here are those of a page that the test owns
/// in the host, so that nothing else can come to harm.
/// </summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
[Platform("Linux")]
public sealed unsafe class MisplacedPrefixTests : IDisposable
{
    private const byte Hlt = 0xF4;
    private const int Rax = 0, Rcx = 1, Rdx = 2, Rbx = 3, Rsp = 4, Rdi = 7, R8 = 8, R11 = 11;
    private const int OffsetInPage = 0x800, PageFault = 14, Completed = -1;
    private const ulong Marker = 0x1122_3344_5566_7788;

    /// <summary>Room for page tables that <see cref="BareGuest"/> leaves free.</summary>
    private const ulong Directory = 0xA000, Table = 0xB000;

    private readonly EnginePair _pair = new();
    private readonly LowHostMemory _host = new();

    private static readonly string[] s_accesses =
    [
        "40 2E 8B 03", // REX CS mov eax, [rbx]
        "40 2E 89 4B 08", // REX CS mov [rbx + 8], ecx
        "48 66 89 06", // REX.W 66 mov [rsi], ax
        "40 66 01 03", // REX 66 add [rbx], ax
        "41 F2 0F 58 03", // REX.B F2 addsd xmm0, [rbx]
        "48 66 0F B6 03", // REX.W 66 movzx ax, byte [rbx]
        "40 67 2E 89 03", // REX 67 CS mov [ebx], eax
        "F3 4A F2 8A 00", // F3 REX.WX F2 mov al, [rax]
        "36 3E 42 2E 41 00 00", // SS DS REX.X CS REX.B add [r8], al
        "4F 40 8B 03", // REX.WRXB REX mov eax, [rbx]
        "44 36 45 8B 1B", // REX.R SS REX.RB mov r11d, [r11]
        "48 26 FF 03", // REX.W ES inc dword [rbx]
        "40 65 8B 03", // REX GS mov eax, gs:[rbx]
        "40 F0 01 03", // REX LOCK add [rbx], eax
        "40 3E C6 03 5A", // REX DS mov byte [rbx], 5Ah
        "40 66 0F 6F 03", // REX 66 movdqa xmm0, [rbx]
        "40 2E D9 03", // REX CS fld dword [rbx]
    ];

    private ulong Target => _host.Address + OffsetInPage;

    public void Dispose()
    {
        _pair.Dispose();
        _host.Dispose();
    }

    [TestCaseSource(nameof(s_accesses))]
    public void An_address_of_the_host_that_the_guest_has_not_mapped_faults(string bytes)
    {
        Load(Convert.FromHexString(bytes.Replace(" ", "")));
        Prepare();
        _pair.Run(what: bytes);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(_host.IsUntouched, "the guest wrote to the host's memory");
            Assert.That(_pair.Vector, Is.EqualTo(PageFault));
            Assert.That(_pair.FaultRip, Is.EqualTo(BareGuest.Code));
            Assert.That(_pair.Jit.State->Cr2, Is.InRange(Target, Target + 8));
        }

        _pair.AssertTranslated();
    }

    [TestCaseSource(nameof(s_accesses))]
    public void An_address_of_the_host_that_the_guest_has_mapped_is_the_guests_own(string bytes)
    {
        MapTarget();
        Load(Convert.FromHexString(bytes.Replace(" ", "")));
        Prepare();
        _pair.Run(what: bytes);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(_host.IsUntouched, "the guest wrote to the host's memory");
            Assert.That(_pair.Vector, Is.EqualTo(Completed));
        }

        _pair.AssertTranslated();
    }

    /// <summary>67: addresses of 32 bits; REX.WB before it counts for nothing.</summary>
    [Test]
    public void An_address_computation_behind_a_misplaced_REX_uses_the_registers_it_names()
    {
        Load(0x49, 0x67, 0x8D, 0x03); // REX.WB 67 lea eax, [ebx]
        Prepare();
        _pair.Set(Rbx, 0xFFFF_FFFF_1234_5678);
        _pair.Set(R11, 0x0BAD_0BAD_0BAD_0BAD);
        _pair.Run();
        Assert.That(_pair.Jit.State->Gpr[Rax], Is.EqualTo(0x1234_5678));
        _pair.AssertTranslated();
    }

    /// <summary>FLD at first; an addition makes its opcode a CS prefix, and what it was of the displacement the opcode.</summary>
    [TestCase(false, PageFault)]
    [TestCase(true, Completed)]
    public void Code_that_turns_an_opcode_into_a_prefix_reaches_nothing_of_the_host(bool mapped, int vector)
    {
        const int opcode = 2 + 3;

        // add [rdi], dl; SS DS REX.X fld qword [rcx]; add ah, dh; hlt. Later: SS DS REX.X CS REX.B add [r8], al; hlt; hlt.
        Load(0x00, 0x17, 0x36, 0x3E, 0x42, 0xDD, 0x41, 0x00, 0x00, Hlt);
        if (mapped)
        {
            MapTarget();
        }

        foreach (int difference in (int[])[0, (0x2E - 0xDD) & 0xFF])
        {
            Prepare();
            _pair.Set(Rcx, BareGuest.Data);
            _pair.Set(Rdx, (ulong)difference);
            _pair.Set(Rdi, BareGuest.Code + opcode);
            _pair.Run(what: $"opcode changed by {difference:X2}");
            Assert.That(_host.IsUntouched, "the guest wrote to the host's memory");
            Assert.That(_pair.Vector, Is.EqualTo(difference == 0 ? Completed : vector));
        }

        _pair.AssertTranslated();
    }

    /// <summary>Fifteen bytes are not too many: #UD for what they are (Intel SDM vol. 2, 2.3.2 and 3.2, LOCK), #GP from the sixteenth on.</summary>
    [TestCase("26 26 26 49 C4 E1 C0 C6 9C 6F FF FF FF FF FF", 6)] // REX before VEX
    [TestCase("66 36 F0 4B F7 04 6D 80 6D E4 2A 1D AB 00 00", 6)] // LOCK TEST
    [TestCase("2E 2E 2E 2E 2E 2E 2E 2E 2E 2E 2E 2E 2E 2E 2E 90", 13)] // sixteen bytes
    public void An_instruction_of_fifteen_bytes_that_is_none_is_an_invalid_opcode(string bytes, int vector)
    {
        Load(Convert.FromHexString(bytes.Replace(" ", "")));
        Prepare();
        _pair.Run(what: bytes);
        Assert.That(_pair.Vector, Is.EqualTo(vector));
    }

    private void Load(params byte[] bytes) => _pair.Each(machine =>
    {
        for (int i = 0; i <= bytes.Length; i++)
        {
            machine.Poke(BareGuest.Code + (ulong)i, i < bytes.Length ? bytes[i] : Hlt);
        }
    });

    /// <summary>Every register but the stack pointer is an address of the host's page.</summary>
    private void Prepare()
    {
        _pair.ResetRegisters();
        for (int i = 0; i < CpuState.GprCount; i++)
        {
            _pair.Set(i, i == Rsp ? BareGuest.Stack : Target);
        }

        _pair.Each(machine => machine.Poke(BareGuest.Data + OffsetInPage, Marker));
    }

    /// <summary>Maps the page's address in the guest, to data of the guest's own.</summary>
    private void MapTarget() => _pair.Each(machine =>
    {
        ulong pointers = machine.Peek<ulong>(BareGuest.PageTables) & ~0xFFFUL;
        ulong entry = pointers + ((Target >> 30) * 8);
        ulong directory = machine.Peek<ulong>(entry) & ~0xFFFUL;
        if (directory == 0)
        {
            directory = Directory;
            machine.Poke(entry, Directory | 7);
        }

        machine.Poke(directory + (((Target >> 21) & 511) * 8), Table | 7);
        machine.Poke(Table + (((Target >> 12) & 511) * 8), BareGuest.Data | 7);
        Mmu.InvalidatePage(machine.State, Target);
    });
}
