using Iced.Intel;
using Uml.Fuzz.Running;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Fuzz.Translations;

/// <summary>
/// A loop of random instructions, which a few rounds make hot: one of each kind that is translated in a way of its own (memory operands,
/// branches, calls, string instructions, flags, system instructions, vectors, x87).
/// </summary>
internal sealed class GuestProgram
{
    private const ulong Destination = BareGuest.Data, Source = BareGuest.Data + 0x800, Rounds = BareGuest.Data + 0xF00,
        Elsewhere = BareGuest.Code + 0x800;

    private static readonly AssemblerRegister64[] s_registers64 = [rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15];
    private static readonly AssemblerRegister32[] s_registers32 = [eax, ecx, edx, ebx, ebp, esi, edi, r8d, r9d, r10d, r11d, r12d, r13d, r14d, r15d];
    private static readonly AssemblerRegisterXMM[] s_vectors = [xmm0, xmm1, xmm2, xmm7, xmm9, xmm15];
    private static readonly int[] s_displacements = [0, 8, 16, 24, 32, 64, -8];

    private readonly FuzzRandom _random;
    private readonly Action<Assembler>[] _common;
    private readonly Action<Assembler>[] _x87;
    private readonly Action<Assembler>[] _vector;
    private Label _subroutine;

    public GuestProgram(FuzzRandom random)
    {
        _random = random;
        _common = [.. Accesses(), .. Flow(), .. Arithmetic(), .. SystemInstructions()];
        _x87 = [Compute, Compute, Compute, ReloadControlWord];
        _vector = [ComputeVectors, ReadBack];
    }

    private AssemblerRegister64 Register64 => _random.Pick(s_registers64);

    private AssemblerRegister32 Register32 => _random.Pick(s_registers32);

    private AssemblerRegisterXMM Vector => _random.Pick(s_vectors);

    private int Displacement => _random.Pick(s_displacements);

    /// <summary>Loads the program and points the registers that it uses to what they are used for.</summary>
    public unsafe void Load(BareGuest machine)
    {
        machine.Load(WriteLoop);
        machine.Load(
            a =>
            {
                a.add(rax, __[rsi]);
                a.ret();
            },
            Elsewhere);
        machine.Poke(Rounds, 12);
        machine.Rsp = BareGuest.Stack;
        machine.State->Gpr[6] = Source;
        machine.State->Gpr[7] = Destination;
        machine.State->Rip = BareGuest.Code;
    }

    private void WriteLoop(Assembler a)
    {
        Label again = a.CreateLabel(), done = a.CreateLabel();
        _subroutine = a.CreateLabel();
        a.Label(ref again);

        // Code that uses the vector or the x87 unit is translated in another flavor.
        Action<Assembler>[] unit = _random.Below(6) switch { 0 => _x87, <= 2 => _vector, _ => _common };
        for (int i = 3 + _random.Below(9); i > 0; i--)
        {
            _random.Pick(_random.OneIn(5) ? unit : _common)(a);
        }

        // Wherever the pointers have gone to.
        a.mov(rsi, Source);
        a.mov(rdi, Destination);
        a.dec(__dword_ptr[Rounds]);
        a.jz(done);
        if (_random.OneIn(2))
        {
            a.jmp(again);
        }
        else
        {
            a.mov(r10, BareGuest.Code);
            a.jmp(r10);
        }

        a.Label(ref _subroutine);
        a.mov(rbx, __[rsp]);
        a.ret();
        a.Label(ref done);
        a.hlt();
    }

    private Action<Assembler>[] Accesses() =>
    [
        a => a.mov(Register64, __[rsi + Displacement]),
        a => a.mov(__[rdi + Displacement], Register64),
        a => a.add(__[rdi + Displacement], Register32),
        a => a.mov(Register32, __[rsi + (rcx * 4)]),
        a => a.movzx(Register32, __byte_ptr[rsi + 3]),
        a => a.xchg(__[rdi + Displacement], r8),
        a => a.@lock.cmpxchg(__[rdi + Displacement], r9),
        a => a.bts(__dword_ptr[rdi + 4], 5),
        a => a.mov(rax, __[Destination + 0x40]),
        PushAndPop,
        FillString,
        MoveString,
        KeepOnStack,
    ];

    private Action<Assembler>[] Flow() => [a => a.call(_subroutine), SkipStore, CallElsewhere];

    private Action<Assembler>[] Arithmetic() =>
    [
        a => a.add(Register64, Register64),
        a => a.sub(Register64, 1),
        a => a.lea(Register64, __[rsi + (rdx * 8) + 5]),
        a => a.imul(Register32, Register32, 77),
        Divide,
        StoreCarry,
        AddCarry,
    ];

    private static Action<Assembler>[] SystemInstructions() => [a => a.cpuid(), a => a.rdtsc(), ReadFlags, SwitchInterrupts, SwapTwice];

    private void PushAndPop(Assembler a)
    {
        a.push(Register64);
        a.pop(Register64);
    }

    private static void FillString(Assembler a)
    {
        a.mov(ecx, 16);
        a.rep.stosb();
        a.mov(rdi, Destination);
    }

    private static void MoveString(Assembler a)
    {
        a.mov(ecx, 8);
        a.rep.movsq();
        a.mov(rdi, Destination);
        a.mov(rsi, Source);
    }

    private static void KeepOnStack(Assembler a)
    {
        a.mov(__[rsp - 8], rsi);
        a.mov(__[rsp - 16], rdi);
        a.mov(rax, __[rsp - 8]);
    }

    private void SkipStore(Assembler a)
    {
        Label behind = a.CreateLabel();
        a.test(Register64, Register64);
        a.jz(behind);
        a.add(rax, 3);
        a.mov(__[rsp - 16], rax);
        a.Label(ref behind);
        a.nop();
    }

    private static void CallElsewhere(Assembler a)
    {
        a.mov(r11, Elsewhere);
        a.call(r11);
    }

    private static void Divide(Assembler a)
    {
        a.xor(edx, edx);
        a.mov(r8d, 7);
        a.div(r8d);
    }

    private void StoreCarry(Assembler a)
    {
        a.shl(Register32, 3);
        a.setc(__byte_ptr[rdi]);
    }

    private static void AddCarry(Assembler a)
    {
        a.lahf();
        a.sahf();
        a.adc(rax, __[rsi]);
    }

    private static void ReadFlags(Assembler a)
    {
        a.pushfq();
        a.pop(rax);
    }

    private static void SwitchInterrupts(Assembler a)
    {
        a.cli();
        a.sti();
        a.nop();
    }

    private static void SwapTwice(Assembler a)
    {
        a.swapgs();
        a.swapgs();
    }

    private static void Compute(Assembler a)
    {
        a.fld(__qword_ptr[rsi]);
        a.fadd(st0, st0);
        a.fstp(__qword_ptr[rdi + 8]);
    }

    private static void ReloadControlWord(Assembler a)
    {
        Compute(a);
        a.fnstcw(__word_ptr[rdi]);
        a.fldcw(__word_ptr[rdi]);
    }

    private void ComputeVectors(Assembler a)
    {
        a.movups(Vector, __[rsi + 8]);
        a.paddd(Vector, Vector);
        a.movaps(__[rdi + 16], Vector);
    }

    private void ReadBack(Assembler a)
    {
        ComputeVectors(a);
        a.mov(rax, __[rdi + 8]);
        a.movaps(xmm1, __[rdi + 16]);
    }
}
