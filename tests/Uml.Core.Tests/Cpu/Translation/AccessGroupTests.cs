using System.Runtime.Intrinsics;
using Iced.Intel;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>Accesses near several registers that are looked up together, wherever their pages end and whatever the next ones are.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class AccessGroupTests : IDisposable
{
    private const ulong First = 0x22000, Second = 0x25000, Stack = 0x28000;
    private const ulong ReadWrite = 7, ReadOnly = 5, Missing = 0;

    private readonly EnginePair _pair = new();

    public void Dispose() => _pair.Dispose();

    [TestCase(ReadWrite, ReadWrite, ReadWrite)]
    [TestCase(Missing, ReadWrite, ReadWrite)]
    [TestCase(ReadWrite, Missing, ReadWrite)]
    [TestCase(ReadWrite, ReadOnly, Missing)]
    [TestCase(ReadOnly, ReadWrite, ReadOnly)]
    public void Groups_inside_each_other_do_at_any_page_end_what_the_interpreter_does(ulong first, ulong second, ulong stack)
    {
        _pair.Load(a => Write(a));
        _pair.Each(machine =>
        {
            machine.SetGate64(ExceptionVector.PF, BareGuest.Handlers + (ExceptionVector.PF * 16), ist: 1);
            machine.Map(First, First, first);
            machine.Map(Second, Second, second);
            machine.Map(Stack, Stack, stack);
        });
        for (int before = -8; before < 56; before++)
        {
            for (int other = -8; other < 56; other += 9)
            {
                RunAt(before, other);
            }
        }

        _pair.AssertTranslated();
    }

    private void RunAt(int before, int other)
    {
        _pair.ResetRegisters();
        _pair.Each(machine =>
        {
            for (ulong i = 0; i < 64; i += 8)
            {
                machine.Poke(First - 64 + i, (i * 0x0101) + 3);
                machine.Poke(Second - 64 + i, ~i);
                machine.Poke(First + i, i << 60);
                machine.Poke(Second + i, i | 1);
            }

            CpuState.At<Vector128<byte>>(machine.State, CpuState.VectorsOffset) = default;
        });
        _pair.Set(3, First - (ulong)before);
        _pair.Set(6, Second - (ulong)other);
        _pair.Set(4, Stack + 24 - (ulong)((before + other) / 8 * 8));
        _pair.Set(13, 5);
        _pair.Run(what: $"{before} and {other} bytes before the ends");
    }

    /// <summary>
    /// Flags live across the accesses, are kept, remade and saved; bases move; one way leaves in the middle. No shifts: the flags that they
    /// leave undefined are the host's own in translated code.
    /// </summary>
    private static void Write(Assembler a)
    {
        Label end = a.CreateLabel();
        a.add(r9, rbp);
        a.mov(rax, __[rbx]);
        a.push(rax);
        a.neg(r10);
        a.mov(r10, __[rsi + 8]);
        a.adc(rax, __[rsi + 16]);
        a.mov(__[rbx + 16], rax);
        a.push(r12);
        a.cmp(rax, rdi);
        a.mov(rax, __[rsp + 8]);
        a.mov(__[rsi], rax);
        a.je(end);
        a.sub(r8, 7);
        a.mov(r8, __[rbx + 24]);
        a.sbb(r11, 0);
        a.add(rbx, 8);
        a.inc(__dword_ptr[rbx]);
        a.pop(r14);
        a.and(rdi, r13);
        a.mov(edi, __[rsi + r13]);
        a.mov(__[rbx - 8], edi);
        a.lea(rdx, __[rdi + r8]);
        a.add(__[rsp], rdx);
        a.setc(__byte_ptr[rsi + 3]);
        a.movups(xmm0, __[rbx + 8]);
        a.paddb(xmm0, xmm0);
        a.movups(__[rsi + 8], xmm0);
        a.pop(rcx);
        a.neg(rcx);
        a.mov(rcx, __[rbx + 4]);
        a.Label(ref end);
        a.hlt();
    }
}
