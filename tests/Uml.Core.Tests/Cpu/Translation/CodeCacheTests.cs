using Iced.Intel;
using Uml.Core.Cpu;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>Memory for translated code that runs out.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
[CancelAfter(120_000)]
public sealed unsafe class CodeCacheTests : IDisposable
{
    private const ulong Target = 0x100000;

    private readonly EnginePair _pair = new(codeCacheSize: 1 << 20);

    public void Dispose() => _pair.Dispose();

    /// <summary>Code that is decoded and translated anew all the time must not keep the garbage collector busy.</summary>
    [Test]
    public void Decoding_and_translating_allocates_nothing()
    {
        BareGuest machine = _pair.Jit;
        machine.Load(a =>
        {
            Label again = a.CreateLabel();
            a.mov(ecx, 3);
            a.mov(rsi, BareGuest.Data);
            a.Label(ref again);
            for (int i = 0; i < 40; i++)
            {
                Label next = a.CreateLabel();
                a.push(rax);
                a.add(__qword_ptr[rsi + i * 8], rax);
                a.imul(eax, ecx, 3);
                a.shl(r12, cl);
                a.mov(edx, 77);
                a.bt(__dword_ptr[rsi], edx);
                a.cmp(rax, r13);
                a.jb(next);
                a.paddd(xmm0, __xmmword_ptr[rsi]);
                a.fld1();
                a.fstp(__qword_ptr[rsi]);
                a.cpuid();
                a.Label(ref next);
                a.pop(rax);
            }

            a.mov(ecx, __[rsi]);
            a.and(ecx, 0);
            a.hlt();
        });
        long allocated = 0;
        for (int i = 0; i < 5; i++)
        {
            machine.Cpu.Blocks.Flush();
            machine.State->Rip = BareGuest.Code;
            machine.State->Halted = false;
            ulong translated = machine.State->Engine->Counters.BlocksTranslated;
            long before = GC.GetAllocatedBytesForCurrentThread();
            RunResult result = machine.Cpu.Run(100_000);
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.That(result, Is.EqualTo(RunResult.Halted));
            Assert.That(machine.State->Rip, Is.LessThan(BareGuest.Handlers));
            Assert.That(machine.State->Engine->Counters.BlocksTranslated, Is.GreaterThanOrEqualTo(translated + 10));
        }

        Assert.That(allocated, Is.Zero);
    }

    [Test]
    public void A_guest_that_writes_and_runs_new_code_all_the_time_fills_the_cache_and_goes_on()
    {
        // Writes ADD RAX, imm8; RET over and over, each time somewhere else or with another number.
        _pair.Load(a =>
        {
            Label again = a.CreateLabel();
            a.xor(eax, eax);
            a.xor(ebx, ebx);
            a.mov(r15d, 12_000);
            a.mov(r13, Target);
            a.Label(ref again);
            a.imul(ecx, r15d, 24);
            a.and(ecx, 0x7FFF);
            a.lea(rdi, __[r13 + rcx]);
            a.mov(__dword_ptr[rdi], 0x00C08348);
            a.mov(__[rdi + 3], r15b);
            a.mov(__byte_ptr[rdi + 4], 0xC3);
            a.call(rdi);
            a.add(ebx, eax);
            a.dec(r15d);
            a.jnz(again);
            a.hlt();
        });
        _pair.Run(budget: 1_000_000);
        long expected = 0;
        for (int i = 12_000; i > 0; i--)
        {
            expected += (sbyte)i;
        }

        Assert.That(_pair.Vector, Is.EqualTo(-1));
        Assert.That(_pair.Jit.Rax, Is.EqualTo((ulong)expected));
        Assert.That(_pair.Jit.Cpu.Blocks.Epoch, Is.GreaterThan(1UL), "the cache was emptied");
    }

    [Test]
    public void A_program_larger_than_the_cache_runs_to_its_end_again_and_again()
    {
        byte[] program = Assemble(a =>
        {
            Label again = a.CreateLabel();
            a.mov(ecx, 3);
            a.Label(ref again);
            for (int i = 0; i < 4000; i++)
            {
                Label next = a.CreateLabel();
                a.add(__[BareGuest.Data + (ulong)(i % 512 * 8)], rcx);
                a.adc(rax, 1);
                a.jmp(next);
                a.Label(ref next);
            }

            a.dec(ecx);
            a.jne(again);
            a.hlt();
        });
        Place(_pair, program);
        _pair.Run(Target, budget: 100_000);
        _pair.Run(Target, budget: 100_000);
        Assert.That(_pair.Vector, Is.EqualTo(-1));
        Assert.That(_pair.Jit.Rax, Is.GreaterThanOrEqualTo(24_000UL));
        Assert.That(_pair.Jit.Cpu.Blocks.Epoch, Is.GreaterThan(1UL), "the cache was emptied");
    }

    /// <summary>Hot and cold code each fill more than one huge page of the host.</summary>
    [Test]
    public void A_cache_of_many_huge_pages_is_filled_and_emptied()
    {
        using EnginePair pair = new(codeCacheSize: 12 << 20);
        byte[] program = Assemble(a =>
        {
            Label again = a.CreateLabel();
            a.mov(ecx, 3);
            a.Label(ref again);
            for (int i = 0; i < 40_000; i++)
            {
                Label next = a.CreateLabel();
                a.add(__[BareGuest.Data + (ulong)(i % 512 * 8)], rcx);
                a.jmp(next);
                a.Label(ref next);
            }

            a.dec(ecx);
            a.jne(again);
            a.hlt();
        });
        Place(pair, program);
        pair.Run(Target, budget: 1_000_000);
        Assert.That(pair.Vector, Is.EqualTo(-1));
        Assert.That(pair.Jit.Peek<ulong>(BareGuest.Data), Is.EqualTo(6UL * ((40_000 + 511) / 512)));
        Assert.That(pair.Jit.Cpu.Blocks.Epoch, Is.GreaterThan(1UL), "the cache was emptied");
    }

    [Test]
    public void A_block_is_translated_only_when_it_has_run_often_enough([Values(1, 16)] int threshold)
    {
        using BareGuest machine = new BareGuest(CpuEngine.Jit, threshold: threshold).Start64();
        machine.Load(a => a.hlt());
        int stubs = machine.Cpu.Jit!.Sites.Count;
        for (int run = 1; run <= threshold; run++)
        {
            Assert.That(machine.Cpu.Jit.Sites.Count, Is.EqualTo(stubs), $"before run {run}");
            machine.State->Halted = false;
            machine.State->Rip = BareGuest.Code;
            machine.RunToHalt();
        }

        Assert.That(machine.Cpu.Jit.Sites.Count, Is.GreaterThan(stubs));
    }

    private static void Place(EnginePair pair, byte[] program) => pair.Each(machine =>
    {
        for (int i = 0; i < program.Length; i++)
        {
            machine.Poke(Target + (ulong)i, program[i]);
        }
    });

    private static byte[] Assemble(Action<Assembler> code)
    {
        Assembler assembler = new(64);
        code(assembler);
        using MemoryStream stream = new();
        assembler.Assemble(new StreamCodeWriter(stream), Target);
        return stream.ToArray();
    }
}
