using System.Buffers;
using Iced.Intel;
using Uml.Core.Bus;
using Uml.Core.Cpu;
using Uml.Core.Cpu.Paging;
using Uml.Core.Memory;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Memory;

/// <summary>
/// Whatever changes RAM is in the log: stores of every kind, by aliases of a page too, accessed and dirty bits that page walks set,
/// devices in the middle of an instruction, and leases of other threads while the guest runs.
/// </summary>
[TestFixture(CpuEngine.Interpreter)]
[TestFixture(CpuEngine.Jit)]
public sealed unsafe class DirtyLogDifferentialTests(CpuEngine engine)
{
    private const ulong First = 0x8_0000, Alias = 0x18_0000, CalledCode = 0x1F_0000, AddressList = BareGuest.Data;
    private const int Pages = 256, AliasPages = 64, Rounds = 24, Addresses = 64;
    private const ushort Port = 0x80;

    [Test]
    public void No_write_is_missed([Range(1, 6)] int seed)
    {
        Assume.That(engine != CpuEngine.Jit || JitEngine.IsSupported);
        Random random = new(seed);
        using BareGuest machine = new BareGuest(engine, threshold: seed % 3).Start64();
        machine.State->Cr4 |= (1 << 9) | (1 << 10) | (1 << 18);
        machine.State->Xcr0 = 7;
        Mmu.UpdateMode(machine.State);
        for (ulong page = 0; page < AliasPages; page++)
        {
            machine.Map(Alias + (page << 12), First + (page << 12));
        }

        using IDisposable ports = machine.Bus.MapPorts(Port, 1, new Device(machine.Cpu.Ram, random));
        LoadStores(machine, random);
        using DirtyLog log = new(machine.Cpu.Ram);
        byte[] before = machine.ReadMemory();
        for (int round = 0; round < Rounds; round++)
        {
            ChooseAddresses(machine, random, round);
            ClearMarks(machine, random);
            before = Run(machine, random, log, before, round % 2 == 0 ? null : StartWriter(machine.Cpu.Ram, random));
        }
    }

    private static byte[] Run(BareGuest machine, Random random, DirtyLog log, byte[] before, Thread? writer)
    {
        machine.State->Halted = false;
        machine.State->Rip = BareGuest.Code;
        machine.Rsp = BareGuest.Stack;
        RunResult result;
        do
        {
            result = machine.Cpu.Run(random.Next(1, 500));
            if (writer is null && random.Next(8) == 0)
            {
                before = AssertLogged(machine, log, before);
            }
        }
        while (result is RunResult.BudgetExhausted or RunResult.Attention);

        writer?.Join();
        Assert.That((result, machine.State->Rip < BareGuest.Data), Is.EqualTo((RunResult.Halted, true)), "no exception");
        return AssertLogged(machine, log, before);
    }

    private static byte[] AssertLogged(BareGuest machine, DirtyLog log, byte[] before)
    {
        PageSet dirty = log.Collect();
        byte[] now = machine.ReadMemory();
        for (int page = 0; page < now.Length >> 12; page++)
        {
            bool changed = !now.AsSpan(page << 12, 4096).SequenceEqual(before.AsSpan(page << 12, 4096));
            Assert.That(changed && !dirty.Contains((ulong)page), Is.False, $"page 0x{page:x} changed unseen");
        }

        return now;
    }

    /// <summary>Few pages in some rounds, all in others; some operands run over a page end.</summary>
    private static void ChooseAddresses(BareGuest machine, Random random, int round)
    {
        for (ulong i = 0; i < Addresses; i++)
        {
            ulong page = random.Next(3) == 0 ? Alias + ((ulong)random.Next(AliasPages - 1) << 12) : First + ((ulong)random.Next(Pages >> (round % 8)) << 12);
            machine.Poke(AddressList + (i * 8), page + (ulong)(random.Next(6) == 0 ? 4096 - random.Next(1, 70) : random.Next(4000)));
        }
    }

    /// <summary>Takes accessed and dirty bits out of the tables, as a kernel does that looks for idle pages.</summary>
    private static void ClearMarks(BareGuest machine, Random random)
    {
        const ulong marks = 0x60;
        ulong[] upper = [BareGuest.PageTables, 0x2000, 0x3000];
        ulong[] entries = [.. upper, .. Enumerable.Range(0, 40).Select(_ => BareGuest.PageTable + ((ulong)random.Next(0x80, 0x1C0) * 8))];
        foreach (ulong entry in entries)
        {
            machine.Poke(entry, machine.Peek<ulong>(entry) & ~marks);
        }

        Mmu.FlushAll(machine.State);
    }

    private static Thread StartWriter(GuestRam ram, Random random)
    {
        Random own = new(random.Next());
        IMemoryOwner<byte>[] leases = [.. Enumerable.Range(0, 5).Select(_ => Lease(ram, random, random.Next(9000)))];
        Thread writer = new(() =>
        {
            foreach (IMemoryOwner<byte> lease in leases)
            {
                own.NextBytes(lease.Memory.Span);
                lease.Dispose();
            }
        });
        writer.Start();
        return writer;
    }

    private static IMemoryOwner<byte> Lease(GuestRam ram, Random random, int length) =>
        ram.TryLease(new(First + (ulong)random.Next((Pages << 12) - length)), length, out IMemoryOwner<byte>? lease) ? lease : throw new InvalidOperationException();

    private static void LoadStores(BareGuest machine, Random random) => machine.Load(a =>
    {
        Label again = a.CreateLabel();
        a.mov(ebx, (uint)AddressList);
        a.mov(r13, 0x9E37_79B9_7F4A_7C15);
        a.Label(ref again);
        for (int i = 0; i < 8; i++)
        {
            // An address of the list, and a value that has not been anywhere yet.
            a.mov(rdi, __[rbx + (i * 8)]);
            a.add(r15, r13);
            a.mov(r14, r15);
            Action<Assembler>[] stores = random.Next(2) == 0 ? s_integer : s_other;
            stores[random.Next(stores.Length)](a);
        }

        a.add(ebx, 64);
        a.cmp(ebx, (int)AddressList + (Addresses * 8));
        a.jb(again);
        a.hlt();
    });

    private static readonly Action<Assembler>[] s_integer =
    [
        a => a.xor(__[rdi], r14),
        a => a.xchg(__[rdi], r14),
        a => a.not(__byte_ptr[rdi]),
        a => a.@lock.xor(__[rdi], r14d),
        a => a.xadd(__[rdi], r14),
        a => a.shld(__[rdi], r14, 5),
        a => a.movnti(__[rdi], r14),
        a => { a.push(r14); a.pop(__qword_ptr[rdi]); },
        a => { a.mov(rax, r14); a.mov(ecx, 900); a.rep.stosq(); },
        a => { a.lea(rsi, __[rdi - 8]); a.mov(__[rsi], r14); a.mov(ecx, 600); a.rep.movsq(); },
        a => { a.mov(rax, r14); a.std(); a.mov(ecx, 300); a.rep.stosd(); a.cld(); },
        a => { a.mov(edx, Port); a.mov(ecx, 600); a.rep.insb(); },
        a => { a.mov(r12, rsp); a.lea(rsp, __[rdi + 64]); a.push(r14); a.pushfq(); a.mov(rsp, r12); },
        a => { a.mov(r12, rsp); a.mov(rbp, rsp); a.lea(rsp, __[rdi + 128]); a.enter(32, 3); a.mov(rsp, r12); },
        a => { a.and(r14d, 0x7FFF); a.btc(__qword_ptr[rdi], r14); },
        a => { a.invlpg(__[rdi]); a.rol(__qword_ptr[rdi], 3); },
        a => { a.mov(rax, cr3); a.mov(cr3, rax); a.neg(__qword_ptr[rdi]); },
        a => { a.mov(edi, r14d); a.and(edi, 0xFF0); a.add(edi, (int)CalledCode); a.mov(__byte_ptr[rdi], 0xC3); a.call(rdi); a.mov(__[rdi], r14b); },
    ];

    private static readonly Action<Assembler>[] s_other =
    [
        a => { a.movq(xmm0, r14); a.punpcklqdq(xmm0, xmm0); a.movups(__[rdi], xmm0); },
        a => { a.movq(xmm0, r14); a.vinsertf128(ymm0, ymm0, xmm0, 1); a.vmovups(__ymmword_ptr[rdi], ymm0); },
        a => { a.movq(xmm1, r14); a.pcmpeqb(xmm2, xmm2); a.maskmovdqu(xmm1, xmm2); },
        a => { a.vpcmpeqd(ymm2, ymm2, ymm2); a.vmovq(xmm1, r14); a.vmaskmovps(__ymmword_ptr[rdi], ymm2, ymm1); },
        a => { a.and(rdi, -16); a.mov(rbp, rbx); a.mov(rax, __[rdi]); a.mov(rdx, __[rdi + 8]); a.mov(rbx, r14); a.@lock.cmpxchg16b(__[rdi]); a.mov(rbx, rbp); },
        a => { a.and(rdi, -64); a.fxsave64(__[rdi]); },
        a => { a.and(rdi, -64); a.mov(eax, 7); a.xor(edx, edx); a.xsave64(__[rdi]); },
        a => { a.fninit(); a.fild(__qword_ptr[rbx]); a.fstp(__tbyte_ptr[rdi]); },
        a => a.fnstenv(__[rdi]),
        a => a.fnsave(__[rdi]),
        a => { a.stmxcsr(__[rdi]); a.sgdt(__[rdi + 8]); },
        a => a.@out((byte)Port, al),
    ];

    /// <summary>Writes to RAM when it is written to.</summary>
    private sealed class Device(GuestRam ram, Random random) : IBusDevice
    {
        private byte _next;

        public ulong Read(IProcessor processor, ulong offset, int size) => ++_next;

        public void Write(IProcessor processor, ulong offset, int size, ulong value)
        {
            byte[] bytes = new byte[random.Next(1, 10_000)];
            random.NextBytes(bytes);
            GuestPhysicalAddress address = new(First + (ulong)random.Next((Pages << 12) - bytes.Length));
            switch (random.Next(3))
            {
                case 0:
                    Assert.That(ram.TryWrite(address, bytes));
                    break;
                case 1:
                    Assert.That(ram.TryClear(address, bytes.Length));
                    break;
                default:
                    using (IMemoryOwner<byte> lease = Lease(ram, random, bytes.Length))
                    {
                        bytes.CopyTo(lease.Memory);
                    }

                    break;
            }
        }
    }
}
