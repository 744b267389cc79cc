using System.Runtime.Intrinsics;
using Iced.Intel;
using Uml.Core.Bus;
using Uml.Core.Cpu;
using Uml.Core.Memory;
using Uml.Core.Sandbox;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Sandbox;

[TestFixture]
public sealed class CodeSandboxTests
{
    [Test]
    public void Code_runs_to_the_halt_behind_it([Values] CodeMode mode)
    {
        using CodeSandbox sandbox = Create(mode);
        CodeResult result = sandbox.Run([0xFF, 0xC0, 0xFF, 0xC0]); // inc eax or ax, twice
        Assert.That(result, Is.EqualTo(new CodeResult(CodeStopReason.Halt, 3)));
        Assert.That(sandbox.Registers.Rax, Is.EqualTo(2));
    }

    [Test]
    public void A_breakpoint_stops_behind_itself([Values] CodeMode mode)
    {
        using CodeSandbox sandbox = Create(mode);
        ulong stack = sandbox.Registers.Rsp;
        CodeResult result = sandbox.Run([0x90, 0xCC, 0x90]);
        Assert.That(result.Reason, Is.EqualTo(CodeStopReason.Breakpoint));
        Assert.That(result.InstructionsRetired, Is.EqualTo(2));
        Assert.That(sandbox.Registers.Rip, Is.EqualTo((mode == CodeMode.Bits16 ? 0 : CodeSandbox.CodeAddress) + 2));
        Assert.That(sandbox.Registers.Rsp, Is.EqualTo(stack));
        Assert.That(sandbox.Run(), Is.EqualTo(new CodeResult(CodeStopReason.Halt, 2)));
    }

    [Test]
    public void An_exception_leaves_the_state_it_was_raised_in([Values] CodeMode mode)
    {
        using CodeSandbox sandbox = Create(mode);
        ulong stack = sandbox.Registers.Rsp;
        sandbox.Registers.Rflags = 0x8D7;
        CodeResult result = sandbox.Run([0x90, 0x0F, 0x0B]);
        Assert.That(result, Is.EqualTo(new CodeResult(CodeStopReason.Exception, 1, 6)));
        Assert.That(sandbox.Registers.Rip, Is.EqualTo((mode == CodeMode.Bits16 ? 0 : CodeSandbox.CodeAddress) + 1));
        Assert.That(sandbox.Registers.Rsp, Is.EqualTo(stack));
        Assert.That(sandbox.Registers.Rflags, Is.EqualTo(0x8D7));
    }

    [TestCase(CodeMode.Bits64)]
    [TestCase(CodeMode.Bits32)]
    public void An_exception_brings_its_error_code(CodeMode mode)
    {
        using CodeSandbox sandbox = Create(mode);
        ulong stack = sandbox.Registers.Rsp;
        sandbox.Registers.Rax = 0x58;
        CodeResult result = sandbox.Run([0x8E, 0xD8]); // mov ds, ax: beyond the GDT's limit
        Assert.That(result, Is.EqualTo(new CodeResult(CodeStopReason.Exception, 0, 13, 0x58)));
        Assert.That(sandbox.Registers.Rsp, Is.EqualTo(stack));
    }

    [Test]
    public void A_software_interrupt_is_an_exception_with_its_number()
    {
        using CodeSandbox sandbox = new();
        Assert.That(sandbox.Run([0xCD, 0x80]), Is.EqualTo(new CodeResult(CodeStopReason.Exception, 1, 0x80)));
    }

    [Test]
    public void In_64_bit_mode_an_exception_needs_no_stack()
    {
        using CodeSandbox sandbox = new();
        sandbox.Registers.Rsp = 0x8000_0000_0000_0000;
        CodeResult result = sandbox.Run(a => a.push(rax));
        Assert.That(result, Is.EqualTo(new CodeResult(CodeStopReason.Exception, 0, 12)));
        Assert.That(sandbox.Registers.Rsp, Is.EqualTo(0x8000_0000_0000_0000));
    }

    [Test]
    public void Without_an_interrupt_table_an_exception_is_a_triple_fault()
    {
        using CodeSandbox sandbox = new();
        sandbox.Registers.Idtr = new DescriptorTable(0, 0);
        Assert.That(sandbox.Run([0x0F, 0x0B]).Reason, Is.EqualTo(CodeStopReason.TripleFault));
    }

    [Test]
    public void A_budget_is_kept_to_the_instruction([Values(1, 2, 63, 64, 65, 1000)] int budget)
    {
        using CodeSandbox sandbox = new();
        CodeResult result = sandbox.Run(
            a =>
            {
                Label top = a.CreateLabel();
                a.Label(ref top);
                a.inc(rax);
                a.jmp(top);
            },
            budget);
        Assert.That(result, Is.EqualTo(new CodeResult(CodeStopReason.BudgetExhausted, (ulong)budget)));
        Assert.That(sandbox.Registers.Rax, Is.EqualTo((ulong)((budget + 1) / 2)));
    }

    [TestCase(CpuEngine.Interpreter)]
    [TestCase(CpuEngine.Jit)]
    public void TF_traps_behind_each_instruction_and_each_repetition(CpuEngine engine)
    {
        using var sandbox = new CodeSandbox(new CodeSandboxOptions { Engine = engine });
        sandbox.Load([0x90, 0xF3, 0xAA, 0x90]); // nop; rep stosb; nop
        sandbox.Registers.Rcx = 3;
        sandbox.Registers.Rdi = CodeSandbox.DataAddress;
        List<ulong> places = [];
        for (int i = 0; i < 5; i++)
        {
            sandbox.Registers.Rflags |= 1 << 8;
            CodeResult result = sandbox.Run();
            Assert.That((result.Reason, result.Vector), Is.EqualTo((CodeStopReason.Exception, (byte?)1)));
            places.Add(sandbox.Registers.Rip - CodeSandbox.CodeAddress);
        }

        Assert.That(places, Is.EqualTo(new ulong[] { 1, 1, 1, 3, 4 }));
    }

    [TestCase(CpuEngine.Interpreter)]
    [TestCase(CpuEngine.Jit)]
    public void A_run_of_code_that_is_given_with_it_can_be_ended_and_continued(CpuEngine engine)
    {
        using var sandbox = new CodeSandbox(new CodeSandboxOptions { Engine = engine });
        foreach (Func<CancellationToken, CodeResult> run in (Func<CancellationToken, CodeResult>[])
            [token => sandbox.Run([0xEB, 0xFE], long.MaxValue, token), token => sandbox.Run(a => a.jmp(CodeSandbox.CodeAddress), long.MaxValue, token)])
        {
            using var end = new CancellationTokenSource(TimeSpan.FromMilliseconds(50));
            Assert.That(() => run(end.Token), Throws.InstanceOf<OperationCanceledException>());
            Assert.That(sandbox.Run(1000), Is.EqualTo(new CodeResult(CodeStopReason.BudgetExhausted, 1000)));
        }
    }

    [TestCase(CpuEngine.Interpreter)]
    [TestCase(CpuEngine.Jit)]
    public async Task A_run_can_be_ended_within_a_repeated_instruction(CpuEngine engine)
    {
        using var sandbox = new CodeSandbox(new CodeSandboxOptions { Engine = engine });
        sandbox.Load([0xF3, 0xA4]); // rep movsb, where there is no memory
        sandbox.Registers.Rcx = 1UL << 32;
        sandbox.Registers.Rsi = sandbox.Registers.Rdi = 1UL << 30;
        using var end = new CancellationTokenSource();
        var ending = Task.Run(() =>
        {
            // When some repetitions are done; it is ended all the same if there never are any.
            bool began = SpinWait.SpinUntil(() => sandbox.Registers.Rcx < 1UL << 32, TimeSpan.FromMinutes(1));
            end.Cancel();
            return began;
        });
        Assert.That(() => sandbox.Run(long.MaxValue, end.Token), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(await ending, Is.True);
        Assert.That(sandbox.Registers.Rcx, Is.LessThan(1UL << 32).And.Positive);
        Assert.That(sandbox.Registers.Rip, Is.EqualTo(CodeSandbox.CodeAddress));
        sandbox.Registers.Rcx = 3;
        Assert.That(sandbox.Run().Reason, Is.EqualTo(CodeStopReason.Halt));
    }

    [Test]
    public void Code_can_be_loaded_again()
    {
        using CodeSandbox sandbox = new();
        sandbox.Run(a => a.mov(eax, 1));
        sandbox.Run(a => a.mov(eax, 2));
        Assert.That(sandbox.Registers.Rax, Is.EqualTo(2));
    }

    [Test]
    public void The_time_stamp_counter_counts_instructions()
    {
        using CodeSandbox sandbox = new();
        sandbox.Run(a =>
        {
            a.rdtsc();
            a.mov(ebx, eax);
            a.nop();
            a.rdtsc();
            a.sub(eax, ebx);
        });
        Assert.That(sandbox.Registers.Rax, Is.EqualTo(3));
    }

    [Test]
    public void Random_numbers_are_the_same_each_time()
    {
        ulong[] numbers = new ulong[2];
        for (int i = 0; i < 2; i++)
        {
            using CodeSandbox sandbox = new();
            sandbox.Run(a => a.rdrand(rax));
            numbers[i] = sandbox.Registers.Rax;
        }

        Assert.That(numbers[0], Is.EqualTo(numbers[1]));
    }

    [Test]
    public void Floating_point_works_as_it_is()
    {
        using CodeSandbox sandbox = new();
        sandbox.Run(a =>
        {
            a.fninit();
            a.fldpi();
            a.fld1();
            a.mov(eax, 3);
            a.cvtsi2sd(xmm0, eax);
            a.sqrtsd(xmm0, xmm0);
        });
        Assert.That(sandbox.Registers.St[0], Is.EqualTo(1.0));
        Assert.That(sandbox.Registers.St[1], Is.EqualTo(Math.PI));
        Assert.That(sandbox.Registers.St.IsValid(1));
        Assert.That(sandbox.Registers.St.IsValid(2), Is.False);
        Assert.That(BitConverter.ToDouble([.. Enumerable.Range(0, 8).Select(i => sandbox.Registers.Xmm[0][i])]), Is.EqualTo(Math.Sqrt(3)));
    }

    [TestCase(CpuEngine.Interpreter)]
    [TestCase(CpuEngine.Jit)]
    public void AVX_is_switched_on(CpuEngine engine)
    {
        using CodeSandbox sandbox = new(new CodeSandboxOptions { Engine = engine, Model = CpuModel.X64V3 });
        CodeResult result = sandbox.Run(a =>
        {
            a.vpcmpeqd(ymm1, ymm1, ymm1);
            a.vpsrld(ymm1, ymm1, 31);
            a.vpaddd(ymm1, ymm1, ymm1);
        });
        Assert.That(result.Reason, Is.EqualTo(CodeStopReason.Halt));
        Assert.That(sandbox.Registers.Ymm[1].AsInt32(), Is.EqualTo(Vector256.Create(2)));
    }

    [Test]
    public void Wrong_use_says_what_to_do()
    {
        Assert.That(
            () => new CodeSandbox(new CodeSandboxOptions { MemorySize = 5000 }),
            Throws.InstanceOf<MachineConfigurationException>().With.Message.Contains("2 MiB to 1 GiB"));
        using CodeSandbox sandbox = new();
        Assert.That(() => sandbox.Load(new Assembler(32)), Throws.ArgumentException.With.Message.Contains("assembled for 32 bits"));
        Assert.That(() => sandbox.Load(new byte[1 << 20]), Throws.ArgumentException);
        Assert.That(() => sandbox.Run(0), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void After_disposal_registers_are_gone()
    {
        var sandbox = new CodeSandbox();
        ProcessorRegisters registers = sandbox.Registers;
        sandbox.Dispose();
        sandbox.Dispose();
        Assert.That(() => registers.Rax, Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public void A_device_sees_what_code_does()
    {
        var device = new Recorder();
        using CodeSandbox sandbox = new();
        sandbox.Bus.MapMemory(new GuestPhysicalAddress(0xE000_0000), 0x1000, device);
        sandbox.Run(a =>
        {
            a.mov(eax, 0xE000_0010);
            a.mov(__dword_ptr[rax], 7);
            a.movzx(ebx, __byte_ptr[rax + 3]);
        });
        Assert.That(device.Log, Is.EqualTo(new[] { "write 10 4 7", "read 13 1" }));
        Assert.That(sandbox.Registers.Rbx, Is.EqualTo(0xAB));
    }

    [Test]
    public void Statistics_tell_what_the_code_cost()
    {
        using CodeSandbox sandbox = new();
        sandbox.Run(a =>
        {
            a.mov(ebx, (uint)CodeSandbox.DataAddress + 0xFFD);
            a.mov(rax, __qword_ptr[rbx]);
        });
        CpuStatistics statistics = sandbox.GetCpuStatistics();
        Assert.That(statistics.InstructionsRetired, Is.EqualTo(3));
        Assert.That(statistics.BlocksDecoded, Is.EqualTo(1));
        Assert.That(statistics.PageCrossings, Is.EqualTo(1));
        Assert.That(statistics.TlbMisses, Is.EqualTo(3));
    }

    private static CodeSandbox Create(CodeMode mode) => new(new CodeSandboxOptions { Mode = mode });

    private sealed class Recorder : IBusDevice
    {
        public List<string> Log { get; } = [];

        public ulong Read(IProcessor processor, ulong offset, int size)
        {
            Log.Add($"read {offset:x} {size}");
            return 0xAB;
        }

        public void Write(IProcessor processor, ulong offset, int size, ulong value) => Log.Add($"write {offset:x} {size} {value:x}");
    }
}
