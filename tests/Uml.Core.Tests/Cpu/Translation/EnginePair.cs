using System.Buffers.Binary;
using Iced.Intel;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.Semantics.Float;
using Uml.Core.Cpu.State;
using Uml.Core.Cpu;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>
/// Two bare processors, of which one interprets and the other translates each block at once. What is done to one is done to the other, and
/// after every run all that a guest can see is compared.
/// </summary>
internal sealed unsafe class EnginePair : IDisposable
{
    private readonly BareGuest _interpreter;

    /// <param name="codeCacheSize">Room for translated code.</param>
    /// <param name="bitness">64, or 32 for protected mode without paging.</param>
    public EnginePair(ulong codeCacheSize = 4 << 20, int bitness = 64)
    {
        _interpreter = new BareGuest(CpuEngine.Interpreter);
        Jit = new BareGuest(CpuEngine.Jit, codeCacheSize);
        Each(machine => _ = bitness == 64 ? machine.Start64() : machine.Start32());
        Each(machine =>
        {
            // Vector and x87 units on, AVX too, with #XM and #MF.
            machine.State->Cr0 |= 1 << 1;
            machine.State->Cr4 |= (1 << 9) | (1 << 10) | (1 << 18);
            machine.State->Xcr0 = 7;
            machine.State->Mxcsr = 0x1F80;
            X87.Initialize(ref machine.State->X87);
            Mmu.UpdateMode(machine.State);
        });
    }

    /// <summary>The one that translates.</summary>
    public BareGuest Jit { get; }

    /// <summary>The exception whose handler the last run came to a halt in, or -1 when it halted elsewhere.</summary>
    public int Vector { get; private set; }

    /// <summary>RIP in the frame of the exception.</summary>
    public ulong FaultRip => Jit.Frame(HasError ? 1 : 0);

    private bool HasError => Vector is 8 or (>= 10 and <= 14) or 17;

    public void Each(Action<BareGuest> action)
    {
        action(_interpreter);
        action(Jit);
    }

    /// <summary>Puts code at an address, of the width the processors began with unless another is said.</summary>
    public void Load(Action<Assembler> code, ulong at = BareGuest.Code, int bitness = 0) => Each(machine => machine.Load(code, at, bitness));

    /// <summary>Fixed values for all general registers and no flags, so that runs do not depend on each other; the stack is empty.</summary>
    public void ResetRegisters() => Each(machine =>
    {
        for (int i = 0; i < CpuState.GprCount; i++)
        {
            machine.State->Gpr[i] = 0x0101_0101_0101_0101UL * (ulong)(i + 1);
        }

        machine.Rsp = BareGuest.Stack;
        Flags.Set(machine.State, Flags.Fixed1);
    });

    public void Set(int register, ulong value) => Each(machine => machine.State->Gpr[register] = value);

    /// <summary>Runs both from an address and compares them.</summary>
    public RunResult Run(ulong from = BareGuest.Code, long budget = 10_000, string what = "")
    {
        Each(machine =>
        {
            machine.State->Halted = false;
            machine.State->Rip = from;
        });
        return Continue(budget, what);
    }

    /// <summary>Goes on with both and compares them.</summary>
    public RunResult Continue(long budget = 10_000, string what = "")
    {
        RunResult expected = _interpreter.Cpu.Run(budget);
        RunResult actual = Jit.Cpu.Run(budget);
        Assert.That(actual, Is.EqualTo(expected), what);
        Compare(what);
        ulong rip = Jit.State->Rip;
        Vector = rip is > BareGuest.Handlers and <= BareGuest.Handlers + 0x1000 ? (int)((rip - 1 - BareGuest.Handlers) / 16) : -1;
        return actual;
    }

    /// <summary>Fails unless code was translated: a comparison of the interpreter with itself says nothing.</summary>
    public void AssertTranslated() => Assert.That(Jit.Cpu.Jit!.Sites.Count, Is.Positive, "nothing was translated");

    public void Dispose()
    {
        _interpreter.Dispose();
        Jit.Dispose();
    }

    private void Compare(string what)
    {
        Assert.That(Describe(Jit.State, Jit.Cpu), Is.EqualTo(Describe(_interpreter.State, _interpreter.Cpu)), what);
        ReadOnlySpan<byte> expected = _interpreter.ReadMemory(), actual = Jit.ReadMemory();
        int same = expected.CommonPrefixLength(actual);
        if (same != expected.Length)
        {
            Assert.Fail($"{what}: memory differs at 0x{same:x}: expected 0x{expected[same]:x}, got 0x{actual[same]:x}");
        }
    }

    private static string[] Describe(CpuState* s, VirtualCpu cpu)
    {
        List<string> lines = [];
        for (int i = 0; i < CpuState.GprCount; i++)
        {
            lines.Add($"gpr{i} {s->Gpr[i]:x}");
        }

        lines.Add($"rip {s->Rip:x} rflags {Flags.Get(s):x} retired {cpu.InstructionsRetired} halted {s->Halted} shadow {s->InterruptShadow}");
        lines.Add($"cr0 {s->Cr0:x} cr2 {s->Cr2:x} cr3 {s->Cr3:x} cr4 {s->Cr4:x} dr6 {s->Dr6:x} cpl {s->Cpl}");
        lines.Add($"mxcsr {s->Mxcsr:x} fcw {s->X87.ControlWord:x} fsw {s->X87.StatusWord:x} tags {s->X87.ValidTags:x}");
        lines.Add($"fip {s->X87.InstructionPointer:x} fdp {s->X87.DataPointer:x} fop {s->X87.LastOpcode:x}");
        for (int i = 0; i < 8; i++)
        {
            lines.Add($"st{i} {s->X87.St(i).SignExponent:x} {s->X87.St(i).Significand:x}");
        }

        // SAFETY: sixteen slots of 32 bytes lie in the CPU's unmanaged state.
        var vectors = new ReadOnlySpan<byte>((byte*)s + CpuState.VectorsOffset, 16 * 32);
        for (int i = 0; i < 16; i++)
        {
            UInt128 lower = BinaryPrimitives.ReadUInt128LittleEndian(vectors[(i * 32)..]);
            lines.Add($"ymm{i} {BinaryPrimitives.ReadUInt128LittleEndian(vectors[((i * 32) + 16)..]):x} {lower:x}");
        }

        return [.. lines];
    }
}
