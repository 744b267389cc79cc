using Uml.Core.Cpu;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>
/// Another thread writes to guest memory while the processor decodes, translates and runs what is there, as disks and other processors
/// will: without a word to the processor, so that nothing but reading once helps. The checker looks at each translation, and a fault in
/// translated code, or a byte of the host in the guest's registers, fails the test.
/// </summary>
[TestFixture]
[Platform("Linux")]
public sealed unsafe class RacingWriterTests
{
    /// <summary>What four bytes of the host's memory are.</summary>
    private const uint Pattern = 0xA5A5_A5A5;

    /// <summary>Bytes that make prefixes, opcodes and operands of each other.</summary>
    private static readonly byte[] Bytes =
    [
        0x40, 0x48, 0x41, 0x4A, 0x66, 0x67, 0x2E, 0x36, 0xF2, 0xF3, 0x0F, 0x8B, 0x89, 0x8D, 0x03, 0x01, 0x43, 0x4B, 0xB6, 0x10, 0x90, 0xC4, 0xE2, 0xDD, 0xD9,
        0x6B, 0x24, 0x00, 0x08, 0xF4,
    ];

    [Test]
    [CancelAfter(120_000)]
    public void Code_that_changes_while_it_is_translated_reaches_nothing_of_the_host(CancellationToken token)
    {
        Assume.That(JitEngine.IsSupported);
        using BareGuest machine = new BareGuest(CpuEngine.Jit).Start64();
        using LowHostMemory host = new();
        byte* code = machine.Cpu.Ram.Base + BareGuest.Code;
        using var writer = new Writer((random, _) => Volatile.Write(ref code[random.Next(24)], Bytes[random.Next(Bytes.Length)]));
        var random = new Random(17);
        for (int round = 0; round < 20_000 && !token.IsCancellationRequested; round++)
        {
            // A write that the processor hears of drops what it knew; more code than is run ends in HLT.
            machine.Poke(BareGuest.Code + (ulong)random.Next(24), Bytes[random.Next(Bytes.Length)]);
            machine.Poke(BareGuest.Code + 40, (byte)0xF4);
            for (int i = 0; i < CpuState.GprCount; i++)
            {
                machine.State->Gpr[i] = i == 4 ? BareGuest.Stack : host.Address + ((ulong)random.Next(64) * 8);
            }

            machine.State->Halted = false;
            machine.State->Rip = BareGuest.Code;
            machine.Cpu.Run(200);
            for (int i = 0; i < CpuState.GprCount; i++)
            {
                if ((uint)machine.State->Gpr[i] == Pattern)
                {
                    Assert.Fail($"register {i} has the host's memory in round {round}");
                }
            }
        }

        Assert.That(host.IsUntouched);
        Assert.That(writer.Count, Is.Positive);
        Assert.That(machine.State->Engine->Counters.BlocksTranslated, Is.Positive);
    }

    [Test]
    [CancelAfter(120_000)]
    public void A_control_word_that_changes_while_it_is_loaded_unmasks_nothing_on_the_host(CancellationToken token)
    {
        Assume.That(JitEngine.IsSupported);
        using BareGuest machine = new BareGuest(CpuEngine.Jit).Start64();
        machine.Load(a =>
        {
            var again = a.CreateLabel();
            a.mov(ecx, 2000);
            a.Label(ref again);
            a.fninit();
            a.fldcw(__word_ptr[BareGuest.Data]);
            a.fld1();
            a.fldz();
            a.fdivp(st1, st0);
            a.fstp(st0);
            a.dec(ecx);
            a.jnz(again);
            a.hlt();
        });
        ushort* word = (ushort*)(machine.Cpu.Ram.Base + BareGuest.Data);
        *word = 0x37F;
        using var writer = new Writer((_, count) => Volatile.Write(ref *word, count % 64 == 0 ? (ushort)0x300 : (ushort)0x37F));
        int finished = 0;
        for (int round = 0; round < 300 && !token.IsCancellationRequested; round++)
        {
            machine.State->Cr0 |= 1 << 5; // NE: the guest's exceptions are #MF
            machine.State->Halted = false;
            machine.State->Rip = BareGuest.Code;
            machine.Cpu.Run(100_000);
            finished += machine.State->Gpr[1] == 0 ? 1 : 0;
        }

        Assert.That(machine.Cpu.Jit!.HasFaulted, Is.False);
        Assert.That(machine.State->Engine->Counters.BlocksTranslated, Is.Positive);
        TestContext.Out.WriteLine($"{finished} of 300 rounds saw no exception");
    }

    /// <summary>A thread that writes until it is disposed of.</summary>
    private sealed class Writer : IDisposable
    {
        private readonly Thread _thread;
        private volatile bool _stop;
        private long _count;

        public Writer(Action<Random, long> write)
        {
            var random = new Random(4711);
            _thread = new Thread(() =>
            {
                while (!_stop)
                {
                    write(random, Interlocked.Increment(ref _count));
                }
            });
            _thread.Start();
        }

        public long Count => Interlocked.Read(ref _count);

        public void Dispose()
        {
            _stop = true;
            _thread.Join();
        }
    }
}
