using Iced.Intel;
using Uml.Core.Bus;
using Uml.Core.Cpu;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Emit;
using Uml.Core.Cpu.Execute;
using Uml.Core.Memory;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>Bad code is planted where translated code was: its machine ends with a report, and nothing else does.</summary>
[Platform("Linux")]
public sealed unsafe class EmittedFaultTests
{
    private const ulong Marker = 0x1122_3344_5566_7788;

    [OneTimeSetUp]
    public void SetUp() => Assume.That(JitEngine.IsSupported);

    /// <summary>A name, the code, the signal, and whether the host's RIP stays in code memory.</summary>
    private static readonly TestCaseData[] BadCode =
    [
        new TestCaseData("488B042510000000", "SIGSEGV", true) { TestName = "load from address 10H" },
        new TestCaseData("488984240000F07F", "SIGSEGV", true) { TestName = "store with a displacement of almost 2 GiB to the state" },
        new TestCaseData("488984240000F080", "SIGSEGV", true) { TestName = "store with a displacement of almost -2 GiB to the state" },
        new TestCaseData("B8FFFFFFFF41C6040701", "SIGSEGV", true) { TestName = "store with an index of almost 4 GiB to the TLB" },
        new TestCaseData("0F0B", "SIGILL", true) { TestName = "ud2" },
        new TestCaseData("CC", "SIGTRAP", true) { TestName = "int3" },
        new TestCaseData("31C9F7F1", "SIGFPE", true) { TestName = "division by zero" },
        new TestCaseData("F4", "SIGSEGV", true) { TestName = "hlt" },
        new TestCaseData("0F28442401", "SIGSEGV", true) { TestName = "misaligned movaps" },
        new TestCaseData("9C810C2400000400" + "9D8B442401", "SIGBUS", true) { TestName = "misaligned load with AC set" },
        new TestCaseData("9C810C2400010000" + "9D9090", "SIGTRAP", true) { TestName = "TF set" },
        new TestCaseData("31E450", "SIGSEGV", true) { TestName = "push to address -8" },
        new TestCaseData("31E40F0B", null, true) { TestName = "ud2 without a stack" },
        new TestCaseData("48B80000000000000080FFE0", "SIGSEGV", null) { TestName = "jump to an address that is not canonical" },
        new TestCaseData("B800100000FFE0", "SIGSEGV", false) { TestName = "jump to an unmapped address" },
        new TestCaseData("C3", "SIGSEGV", null) { TestName = "ret to what the guest has in a register" },
    ];

    [TestCaseSource(nameof(BadCode))]
    public void A_fault_in_translated_code_ends_its_processor_with_a_report_and_nothing_else(string code, string? signal, bool? isInside)
    {
        using BareGuest broken = Prepare(), sound = Prepare();
        sound.Cpu.Ram.TryWrite(new GuestPhysicalAddress(BareGuest.Data), BitConverter.GetBytes(Marker));
        OwnExceptions.Check();
        Block* block = Plant(broken, Convert.FromHexString(code));
        EmittedCodeFaultException fault = Assert.Throws<EmittedCodeFaultException>(() => Go(broken))!;
        TestContext.Out.WriteLine(fault.Message);
        if (signal is not null)
        {
            Assert.That(fault.Message, Does.Contain($"raised {signal} "));
        }

        if (isInside is { } inside)
        {
            Assert.That(fault.Message, inside ? Does.Contain("RIP is code memory + 0x") : Does.Contain("outside of code memory"));
        }

        if (isInside == true)
        {
            Assert.That(fault.Message, Does.Contain($"Block at guest-physical 0x{block->Physical:x}, RIP 0x{BareGuest.Code + 5:x}, "));
            Assert.That(fault.Message.Replace("[", "").Replace("]", "").Replace(" ", ""), Does.Contain(code.ToLowerInvariant()));
        }

        // The processor does not go on; its memory and registers can be looked at; others go on; and the application's own exceptions are its own.
        Assert.That(() => Go(broken), Throws.TypeOf<EmittedCodeFaultException>());
        byte[] data = new byte[8];
        Assert.That(broken.Cpu.Ram.TryRead(new GuestPhysicalAddress(BareGuest.Code), data));
        Assert.That(broken.Cpu.Registers.Rbx, Is.EqualTo(Marker));
        Assert.That(Go(sound), Is.EqualTo(RunResult.Halted));
        OwnExceptions.Check();
        broken.Dispose();
        using BareGuest later = Prepare();
        Assert.That(Go(later), Is.EqualTo(RunResult.Halted));
        OwnExceptions.Check();
    }

    [Test]
    public void A_fault_in_what_seldom_runs_is_reported_with_the_instruction()
    {
        using BareGuest machine = Prepare();
        Block* block = Find(machine, BareGuest.Code);

        // In place of the call of the slow path of the load, the second instruction.
        byte* call = AccessCall(machine, block);
        call[0] = 0x0F;
        call[1] = 0x0B;
        machine.State->Gpr[7] = 0x7000_0000_0000; // not mapped: the access is a miss
        EmittedCodeFaultException fault = Assert.Throws<EmittedCodeFaultException>(() => Go(machine, keepRdi: true))!;
        Assert.That(fault.Message, Does.Contain("in what seldom runs").And.Contain($"Guest RIP 0x{BareGuest.Code + 5:x}. "));
    }

    [Test]
    public void Faults_of_several_machines_on_several_threads_find_their_own()
    {
        string[] reports = new string[16];
        Thread[] threads = [.. Enumerable.Range(0, reports.Length).Select(i => new Thread(() =>
        {
            for (int round = 0; round < 8; round++)
            {
                using BareGuest machine = Prepare();
                Plant(machine, [0xB8, (byte)(0x40 + i), 0, 0, 0, 0x8B, 0x00]); // mov eax, 40H + i; mov eax, [rax]
                try
                {
                    Go(machine);
                    reports[i] = "nothing";
                }
                catch (EmittedCodeFaultException e)
                {
                    reports[i] = e.Message;
                }

                OwnExceptions.Check();
            }
        }))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        for (int i = 0; i < reports.Length; i++)
        {
            Assert.That(reports[i], Does.Contain($"SIGSEGV (si_code 1, trap 14) at host address 0x{0x40 + i:x}. "));
        }
    }

    [Test]
    public void A_fault_in_a_device_that_translated_code_calls_stays_the_applications()
    {
        using BareGuest machine = new BareGuest(CpuEngine.Jit).Start64();
        machine.Bus.MapMemory(new GuestPhysicalAddress(0x2000_0000), 0x1000, new Thrower());
        machine.Map(0x8000, 0x2000_0000);
        machine.Load(a =>
        {
            Label again = a.CreateLabel();
            a.mov(ecx, 5);
            a.Label(ref again);
            a.mov(eax, __dword_ptr[0x8000]);
            a.dec(ecx);
            a.jnz(again);
            a.hlt();
        });
        Assert.That(() => machine.Cpu.Run(1000), Throws.TypeOf<NullReferenceException>());
        Assert.That(machine.Cpu.Jit!.HasFaulted, Is.False);
    }

    [Test]
    public void Slots_are_bounded_and_given_back()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        List<nint> slots = [];
        for (FaultSlot* slot = FaultHandler.Claim(); slot != null; slot = FaultHandler.Claim())
        {
            slots.Add((nint)slot);
        }

        try
        {
            Assert.That(slots, Is.Not.Empty.And.Unique);
            Assert.That(slots, Has.Count.LessThanOrEqualTo(FaultTable.Capacity));
            using BareGuest machine = Prepare();
            Assert.That(machine.Cpu.Jit!.CatchesFaults, Is.False, "it runs all the same");
            OwnExceptions.Check();
        }
        finally
        {
            slots.ForEach(slot => ((FaultSlot*)slot)->Claimed = 0);
        }

        using BareGuest after = Prepare();
        Assert.That(after.Cpu.Jit!.CatchesFaults);
    }

    /// <summary>A processor that has run a loop often enough for it to be translated.</summary>
    private static BareGuest Prepare()
    {
        BareGuest machine = new BareGuest(CpuEngine.Jit).Start64();
        machine.Load(Loop);
        Assert.That(Go(machine), Is.EqualTo(RunResult.Halted));
        return machine;
    }

    private static void Loop(Assembler a)
    {
        Label again = a.CreateLabel();
        a.mov(ecx, 100);
        a.Label(ref again);
        a.mov(eax, __dword_ptr[rdi]);
        a.add(eax, ecx);
        a.dec(ecx);
        a.jnz(again);
        a.hlt();
    }

    private static RunResult Go(BareGuest machine, bool keepRdi = false)
    {
        machine.State->Halted = false;
        machine.State->Rip = BareGuest.Code;
        machine.State->Gpr[3] = Marker;
        machine.State->Gpr[7] = keepRdi ? machine.State->Gpr[7] : BareGuest.Data;
        machine.State->Gpr[12] = 0x1234; // what a stray RET returns to
        return machine.Cpu.Run(10_000);
    }

    private static Block* Find(BareGuest machine, ulong rip)
    {
        Block* block = machine.Cpu.Blocks.Find(machine.State, rip);
        Assert.That(block != null && block->Translations[(int)Flavor.Integer].Body != null, "it is translated");
        return block;
    }

    /// <summary>Overwrites the loop's translation.</summary>
    private static Block* Plant(BareGuest machine, ReadOnlySpan<byte> code)
    {
        Block* block = Find(machine, BareGuest.Code + 5);
        code.CopyTo(new Span<byte>(machine.Cpu.Jit!.Code.ToWritable(block->Translations[(int)Flavor.Integer].Body), code.Length));
        return block;
    }

    private static byte* AccessCall(BareGuest machine, Block* block)
    {
        JitEngine jit = machine.Cpu.Jit!;
        for (int offset = (int)(jit.Code.Size / 3); offset < (int)jit.Code.Size - 8; offset++)
        {
            byte* at = jit.Code.Writable + offset;
            if (BranchAssembler.TryReadAnnotation(at, out int number) && (uint)number < (uint)jit.Sites.Count
                && jit.Sites.Sites[number].Block == block && jit.Sites.Sites[number].Size != 0)
            {
                return at - 5;
            }
        }

        throw new InvalidOperationException("The block has no slow path.");
    }

    private sealed class Thrower : IBusDevice
    {
        public ulong Read(IProcessor processor, ulong offset, int size) => (ulong)OwnExceptions.Length(null!);

        public void Write(IProcessor processor, ulong offset, int size, ulong value)
        {
        }
    }
}
