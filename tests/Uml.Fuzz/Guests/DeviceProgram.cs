using Iced.Intel;
using Uml.Devices.Platform;
using Uml.Fuzz.Running;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Fuzz.Guests;

/// <summary>
/// A 64-bit guest program made of random accesses to devices. Each begins with where to go on in R15, which is where the handler of all
/// exceptions and interrupts goes.
/// </summary>
internal sealed class DeviceProgram(FuzzRandom random)
{
    public const ulong Code = 0x10_0000;

    // The tables lie behind the code, which a boot protocol loads; the stack between them and the end of RAM.
    private const ulong Idt = 0x20_0000, IdtPointer = 0x20_2000, Tables = 0x21_0000, Stack = 0x30_0000, Buffer = 0x31_0000;
    private const int Steps = 120, Exit = 0xF4, EndOfInterrupt = 0x20;
    private const byte MasterPic = 0x20, SlavePic = 0xA0, IntervalTimer = 0x40;

    private readonly Assembler _a = new(64);

    public byte[] Assemble()
    {
        Label handler = _a.CreateLabel(), again = _a.CreateLabel();
        Begin(handler);
        _a.mov(r13d, 1 + random.Below(20));
        _a.Label(ref again);
        for (int i = 0; i < Steps; i++)
        {
            Step();
        }

        _a.dec(r13d);
        _a.jne(again);
        _a.mov(edx, Exit);
        _a.@out(dx, eax);
        _a.hlt();
        _a.Label(ref handler);

        // The ends of interrupt; in x2APIC mode nothing happens. Then on with the next access.
        _a.mov(rsp, (long)Stack);
        _a.mov(al, EndOfInterrupt);
        _a.@out(SlavePic, al);
        _a.@out(MasterPic, al);
        _a.mov(edi, (uint)MemoryMap.LocalApicStart + 0xB0);
        _a.mov(__dword_ptr[rdi], 0);
        if (random.OneIn(2))
        {
            _a.sti();
        }

        _a.jmp(r15);
        using var stream = new MemoryStream();
        _a.Assemble(new StreamCodeWriter(stream), Code);
        return stream.ToArray();
    }

    /// <summary>Gates for all vectors, page tables that map devices, interrupts on.</summary>
    private void Begin(Label handler)
    {
        Label gates = _a.CreateLabel(), pages = _a.CreateLabel();
        _a.mov(rsp, (long)Stack);
        _a.lea(rax, __[handler]);
        _a.mov(rdx, rax);
        _a.shr(rdx, 16);
        _a.shl(rdx, 48);
        _a.movzx(eax, ax);
        _a.or(rax, rdx);
        _a.mov(rdx, (long)((0x8EUL << 40) | (0x10UL << 16)));
        _a.or(rax, rdx);
        _a.mov(edi, (uint)Idt);
        _a.mov(ecx, 256);
        _a.Label(ref gates);
        _a.mov(__qword_ptr[rdi], rax);
        _a.mov(__qword_ptr[rdi + 8], 0);
        _a.add(rdi, 16);
        _a.dec(ecx);
        _a.jne(gates);
        _a.mov(__word_ptr[IdtPointer], 0xFFF);
        _a.mov(__qword_ptr[IdtPointer + 2], (int)Idt);
        _a.lidt(__[IdtPointer]);

        // 1 GiB pages: the first four, and the window of PCI above RAM.
        _a.mov(rdi, (long)Tables);
        _a.mov(__qword_ptr[rdi], (int)Tables + 0x1003);
        _a.mov(__qword_ptr[rdi + 16], (int)Tables + 0x2003);
        _a.mov(eax, 0x83);
        _a.xor(ecx, ecx);
        _a.Label(ref pages);
        _a.mov(__qword_ptr[rdi + (rcx * 8) + 0x1000], rax);
        _a.add(rax, 1 << 30);
        _a.inc(ecx);
        _a.cmp(ecx, 4);
        _a.jne(pages);
        _a.mov(rax, (long)MemoryMap.PciWindow64Start | 0x83);
        _a.mov(__qword_ptr[rdi + 0x2000], rax);
        _a.mov(cr3, rdi);
        _a.sti();
    }

    private void Step()
    {
        Label next = _a.CreateLabel();
        _a.lea(r15, __[next]);
        switch (random.Below(10))
        {
            case < 4:
                Memory();
                break;
            case < 7:
                Port();
                break;
            case < 9:
                ModelSpecificRegister();
                break;
            default:
                Other();
                break;
        }

        _a.Label(ref next);
        _a.nop();
    }

    private void Memory()
    {
        _a.mov(rdi, random.OneIn(8) ? BoardMap.Address(random) : BoardMap.DeviceAddress(random));
        _a.mov(rax, BoardMap.Value(random));
        _a.mov(ecx, 1 + random.Below(40));
        _a.mov(rsi, (long)Buffer);
        Action[] all =
        [
            () => _a.mov(al, __[rdi]), () => _a.mov(ax, __[rdi]), () => _a.mov(eax, __[rdi]), () => _a.mov(rax, __[rdi]),
            () => _a.mov(__[rdi], al), () => _a.mov(__[rdi], ax), () => _a.mov(__[rdi], eax), () => _a.mov(__[rdi], rax),
            () => _a.mov(__[rdi], eax), () => _a.mov(__[rdi], eax), () => _a.mov(eax, __[rdi]), () => _a.mov(eax, __[rdi]),
            () => _a.xadd(__[rdi], rax), () => _a.@lock.inc(__dword_ptr[rdi]), () => _a.cmpxchg16b(__[rdi]), () => _a.movups(xmm0, __[rdi]),
            () => _a.movups(__[rdi], xmm1), () => _a.fxsave(__[rdi]), () => _a.fxrstor(__[rdi]), () => _a.rep.movsb(), () => _a.rep.movsd(),
            () => _a.rep.stosb(), () => _a.rep.stosq(), () => _a.bts(__dword_ptr[rdi], ecx), () => _a.push(__qword_ptr[rdi]), () => _a.pop(__qword_ptr[rdi]),
            () => _a.repne.scasb(), () => _a.fstp(__tword_ptr[rdi]), () => _a.jmp(__qword_ptr[rdi]), () => _a.jmp(rdi), () => _a.xchg(__[rdi], eax),
        ];
        random.Pick(all)();
    }

    private void Port()
    {
        int size = 1 << random.Below(3);
        _a.mov(edx, BoardMap.Port(random, size));
        _a.mov(eax, (uint)BoardMap.Value(random));
        _a.mov(ecx, random.OneIn(50) ? 100_000 : 1 + random.Below(40));
        _a.mov(edi, (uint)Buffer);
        _a.mov(esi, (uint)Buffer);
        Action[] all = size switch
        {
            1 => [() => _a.@in(al, dx), () => _a.@out(dx, al), () => _a.rep.insb(), () => _a.rep.outsb()],
            2 => [() => _a.@in(ax, dx), () => _a.@out(dx, ax), () => _a.rep.insw(), () => _a.rep.outsw()],
            _ => [() => _a.@in(eax, dx), () => _a.@out(dx, eax), () => _a.rep.insd(), () => _a.rep.outsd()],
        };
        all[random.OneIn(6) ? 2 + random.Below(2) : random.Below(2)]();
    }

    private void ModelSpecificRegister()
    {
        ulong value = BoardMap.Value(random);
        _a.mov(ecx, BoardMap.Msr(random));
        _a.mov(eax, (uint)value);
        _a.mov(edx, random.OneIn(3) ? 0 : (uint)(value >> 32));
        if (random.OneIn(4))
        {
            _a.rdmsr();
        }
        else
        {
            _a.wrmsr();
        }
    }

    private void Other()
    {
        Action[] all =
        [
            () => _a.sti(), () => _a.cli(), _a.pause, () => _a.rdtsc(), () => _a.cpuid(), () => _a.@int((byte)random.Below(256)), () =>
            {
                _a.sti();
                _a.hlt();
            },
            () =>
            {
                _a.mov(eax, random.Below(20));
                _a.mov(cr8, rax);
            },
            () =>
            {
                // The timer: a mode, a divisor, a count.
                _a.mov(edi, (uint)MemoryMap.LocalApicStart);
                _a.mov(__dword_ptr[rdi + 0xF0], 0x1FF);
                _a.mov(__dword_ptr[rdi + 0x320], (16 + random.Below(240)) | (random.Below(4) << 17));
                _a.mov(__dword_ptr[rdi + 0x3E0], random.Below(16));
                _a.mov(__dword_ptr[rdi + 0x380], random.Below(2000));
            },
            StartPics,
            StartIntervalTimer,
        ];
        random.Pick(all)();
    }

    /// <summary>The initialization of both 8259, whole or cut off, and masks.</summary>
    private void StartPics()
    {
        byte slaves = random.OneIn(4) ? (byte)random.Below(256) : (byte)4;
        Out(MasterPic, (byte)(0x11 | (random.OneIn(8) ? random.Below(16) : 0)));
        Out(SlavePic, 0x11);
        Out(MasterPic + 1, (byte)random.Below(256));
        Out(SlavePic + 1, (byte)random.Below(256));
        Out(MasterPic + 1, slaves);
        Out(SlavePic + 1, 2);
        Out(MasterPic + 1, (byte)(random.OneIn(2) ? 1 : random.Below(32)));
        if (!random.OneIn(8))
        {
            Out(SlavePic + 1, (byte)(random.OneIn(2) ? 1 : random.Below(32)));
        }

        Out(MasterPic + 1, (byte)(random.OneIn(2) ? 0 : random.Below(256)));
        Out(SlavePic + 1, (byte)(random.OneIn(2) ? 0 : random.Below(256)));
    }

    /// <summary>A control word and a count, short ones above all.</summary>
    private void StartIntervalTimer()
    {
        int counter = random.OneIn(3) ? random.Below(3) : 0;
        Out(IntervalTimer + 3, (byte)((counter << 6) | random.Below(64)));
        Out((byte)(IntervalTimer + counter), (byte)(random.OneIn(2) ? random.Below(3) : random.Below(256)));
        Out((byte)(IntervalTimer + counter), (byte)(random.OneIn(2) ? 0 : random.Below(256)));
    }

    private void Out(byte port, byte value)
    {
        _a.mov(al, value);
        _a.@out(port, al);
    }
}
