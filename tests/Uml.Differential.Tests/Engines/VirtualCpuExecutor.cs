using System.Buffers.Binary;
using System.Numerics;
using Iced.Intel;
using Uml.Core.Cpu.Control;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;
using Uml.Core.Cpu;
using Uml.Differential.Tests.Native;

namespace Uml.Differential.Tests.Engines;

/// <summary>Runs test programs on a virtual CPU of ours, in user mode of the small system that <see cref="GuestSystem"/> sets up.</summary>
/// <remarks>Exceptions are delivered through the guest's IDT. The exit slots are HLT, which is an exception in user mode.</remarks>
internal sealed unsafe class VirtualCpuExecutor : IExecutor
{
    /// <summary>How often programs of arbitrary bytes go on after an exception.</summary>
    public const int Resumes = 8;

    /// <summary>Instructions of a program, and of one that goes on after exceptions, each time.</summary>
    public const long Budget = 100_000, ResumingBudget = 400;

    /// <summary>Accessed bits are set in tables from the start.</summary>
    private const ulong TableFlags = 0x27;

    private readonly BareGuest _guest;
    private readonly GuestSystem _system;
    private readonly VirtualCpu _cpu;
    private readonly int _bitness;
    private readonly int _resumes;
    private readonly List<Stop> _stops = [];
    private ulong _start, _end;

    /// <param name="bitness">Of the programs: 64, or 32.</param>
    /// <param name="engine">What runs them; the translator translates at once.</param>
    /// <param name="writableCode">Programs may write to their code page.</param>
    /// <param name="resumes">How often a program goes on behind an instruction that raised an exception.</param>
    public VirtualCpuExecutor(int bitness = 64, CpuEngine engine = CpuEngine.Interpreter, bool writableCode = false, int resumes = 0)
    {
        Name = engine.ToString();
        _bitness = bitness;
        _resumes = resumes;
        _guest = new BareGuest(engine, codeCacheSize: 1 << 20, memorySize: GuestSystem.RamSize) { TableFlags = TableFlags };
        _system = new GuestSystem(_guest, hasCode32: bitness == 32 || HostProcessor.HasCode32, writableCode);
        _cpu = _guest.Cpu;
    }

    public string Name { get; }

    /// <inheritdoc/>
    /// <remarks>Most of the vector instructions that are translated are the host's own.</remarks>
    public ProcessorVendor Vendor => Name == nameof(CpuEngine.Jit) ? HostProcessor.Vendor : ProcessorVendor.None;

    /// <summary>The code page as the last program left it.</summary>
    public byte[] CodePage { get; } = new byte[Layout.PageSize];

    /// <summary>Programs that left other code than they were.</summary>
    public long ProgramsChanged { get; private set; }

    /// <summary>Where the last program came to a stop, in order.</summary>
    public IReadOnlyList<Stop> Stops => _stops;

    public void Execute(ref MachineSnapshot state, ReadOnlySpan<byte> code, Span<byte> memory)
    {
        Load(state.Rip, code, memory);
        try
        {
            Continue(ref state, _resumes == 0 ? Budget : ResumingBudget);
            for (int resume = 0; resume < _resumes && state.Vector >= 0; resume++)
            {
                Skip(ref state);
                Continue(ref state, ResumingBudget);
            }
        }
        finally
        {
            Unload(code, memory);
        }
    }

    /// <summary>Puts a program and its memory in place.</summary>
    public void Load(ulong start, ReadOnlySpan<byte> code, ReadOnlySpan<byte> memory)
    {
        (_start, _end) = (start, start + (ulong)code.Length);
        code.CopyTo(_system.Memory(GuestSystem.CodePhysical + (start - Layout.Code), code.Length));
        memory.CopyTo(_system.Memory(GuestSystem.DataPhysical, Layout.MemorySize));
        _stops.Clear();
        _cpu.System.Entropy = new SeededEntropySource(start);
    }

    /// <summary>Runs the program that was loaded.</summary>
    /// <param name="state">Where it starts from; afterwards where it came to a stop.</param>
    /// <param name="budget">The most instructions.</param>
    /// <param name="goesOn">It does not start, but goes on where the last budget ended, with what the snapshot does not have.</param>
    public void Continue(ref MachineSnapshot state, long budget, bool goesOn = false)
    {
        if (!goesOn)
        {
            LoadState(ref state);
        }

        ulong before = _cpu.InstructionsRetired;
        RunResult result = _cpu.Run(budget);
        CpuState* s = _cpu.State;
        if (result == RunResult.BudgetExhausted && s->Cpl == 0)
        {
            // An exception came last, and its handler's HLT is still to come.
            result = _cpu.Run(1);
        }

        ulong retired = _cpu.InstructionsRetired - before;
        StoreState(s, ref state);
        ushort cs;
        switch (result)
        {
            case RunResult.Halted:
                _system.ReadFrame(s, ref state, out cs);
                break;
            case RunResult.BudgetExhausted:
                // It has overwritten its return address with that of a function, say.
                state.Vector = MachineSnapshot.Endless;
                state.Rip = s->Rip;
                state.Rflags = Flags.Get(s);
                cs = s->Segments[(int)SegmentIndex.Cs].Selector;
                break;
            default:
                throw new InvalidOperationException($"{result} at RIP 0x{s->Rip:x}.");
        }

        // Everything on the code page that is not the program is HLT, which user mode may not execute.
        if (state.Vector == 13 && state.Rip - Layout.Code < Layout.PageSize && (state.Rip < _start || state.Rip >= _end))
        {
            state.Vector = MachineSnapshot.Completed;
        }

        ref SegmentRegister fs = ref s->Segments[(int)SegmentIndex.Fs];
        _stops.Add(new Stop(state.Vector, state.Rip, state.Vector == 14 ? state.Cr2 : 0, retired, cs, fs.Selector, fs.Base, Hash(ref state)));
    }

    /// <summary>
    /// Goes on behind an instruction that raised an exception, as what its bytes have become by now; from the start when it is none of the
    /// program's.
    /// </summary>
    public void Skip(ref MachineSnapshot state)
    {
        state.Rflags &= ~(ulong)(Flags.TF | Flags.RF);
        if (state.Rip < _start || state.Rip >= _end)
        {
            state.Rip = _start;
            return;
        }

        Instruction instruction = DecodeAt(state.Rip);
        state.Rip += (ulong)Math.Max(1, instruction.Length);
    }

    /// <summary>What the bytes at an address of the program's page are now.</summary>
    public Instruction DecodeAt(ulong rip)
    {
        int offset = (int)(rip - Layout.Code);
        byte[] bytes = _system.Memory(GuestSystem.CodePhysical, Layout.PageSize).Slice(offset, Math.Min(15, Layout.PageSize - offset)).ToArray();
        return Decoder.Create(_bitness, bytes, rip).Decode();
    }

    /// <summary>What only engines of ours tell: how many instructions they ran, and what they made of the code.</summary>
    /// <returns>What differs in the last program, empty when nothing does.</returns>
    public static IEnumerable<string> Compare(VirtualCpuExecutor expected, VirtualCpuExecutor actual)
    {
        int first = FirstDifferentStop(expected, actual);
        if (first < Math.Max(expected._stops.Count, actual._stops.Count))
        {
            yield return $"stop {first}: expected {expected.DescribeStop(first)}, got {actual.DescribeStop(first)}";
        }

        int same = expected.CodePage.AsSpan().CommonPrefixLength(actual.CodePage);
        if (same != Layout.PageSize)
        {
            yield return $"code at 0x{Layout.Code + (ulong)same:x}: expected {expected.CodePage[same]:x}, got {actual.CodePage[same]:x}";
        }
    }

    /// <summary>Number of the first stop of the last program at which two differ; how many there were when none does.</summary>
    public static int FirstDifferentStop(VirtualCpuExecutor expected, VirtualCpuExecutor actual)
    {
        int same = 0;
        while (same < expected._stops.Count && same < actual._stops.Count && expected._stops[same] == actual._stops[same])
        {
            same++;
        }

        return same;
    }

    private string DescribeStop(int number) => number < _stops.Count ? _stops[number].ToString() : "none";

    public void Dispose() => _guest.Dispose();

    /// <summary>Takes the program away, and its memory as it left it.</summary>
    public void Unload(ReadOnlySpan<byte> code, Span<byte> memory)
    {
        Span<byte> page = _system.Memory(GuestSystem.CodePhysical, Layout.PageSize);
        page.CopyTo(CodePage);
        ProgramsChanged += page.Slice((int)(_start - Layout.Code), code.Length).SequenceEqual(code) ? 0 : 1;
        page.Fill(BareGuest.Hlt);
        _system.Memory(GuestSystem.DataPhysical, Layout.MemorySize).CopyTo(memory);
    }

    private static ulong Hash(ref MachineSnapshot state)
    {
        ulong hash = 0;
        foreach (ulong register in state.Gprs)
        {
            hash = BitOperations.RotateLeft(hash, 5) * 0x9E37_79B9_7F4A_7C15 ^ register;
        }

        return hash;
    }

    private void LoadState(ref MachineSnapshot state)
    {
        CpuState* s = _cpu.State;
        GuestSystem.Enter(s, _bitness, state.GsBase);
        if (_resumes > 0)
        {
            // This system has no kernel to call, and none of the catalogue's forms calls one; arbitrary bytes do. Without SCE it is #UD.
            s->Efer &= ~1UL;
        }

        for (int i = 0; i < 16; i++)
        {
            s->Gpr[i] = state.Gprs[i];
            state.Xmm(i).CopyTo(Vector(s, i));
            state.UpperYmm(i).CopyTo(Vector(s, i)[16..]);
        }

        s->Rip = state.Rip;
        Flags.Set(s, state.Rflags);
        DebugState.RefreshStepping(s);
        s->Mxcsr = state.Mxcsr;
        s->X87.ControlWord = state.ControlWord;
        s->X87.StatusWord = state.StatusWord;
        s->X87.ValidTags = state.Tags;
        for (int i = 0; i < 8; i++)
        {
            ref Float80 register = ref s->X87.St(i);
            register.Significand = BinaryPrimitives.ReadUInt64LittleEndian(state.St(i));
            register.SignExponent = BinaryPrimitives.ReadUInt16LittleEndian(state.St(i)[8..]);
        }

        Mmu.SwitchAddressSpace(s, keep: true);
    }

    private static void StoreState(CpuState* s, ref MachineSnapshot state)
    {
        for (int i = 0; i < 16; i++)
        {
            state.Gprs[i] = s->Gpr[i];
            Vector(s, i)[..16].CopyTo(state.Xmm(i));
            Vector(s, i)[16..].CopyTo(state.UpperYmm(i));
        }

        state.Ds = s->Segments[(int)SegmentIndex.Ds].Selector;
        state.Es = s->Segments[(int)SegmentIndex.Es].Selector;
        state.GsBase = s->Segments[(int)SegmentIndex.Gs].Base;
        state.Mxcsr = s->Mxcsr;
        state.ControlWord = s->X87.ControlWord;
        state.StatusWord = s->X87.StatusWord;
        state.Tags = s->X87.ValidTags;
        for (int i = 0; i < 8; i++)
        {
            ref Float80 register = ref s->X87.St(i);
            BinaryPrimitives.WriteUInt64LittleEndian(state.St(i), register.Significand);
            BinaryPrimitives.WriteUInt16LittleEndian(state.St(i)[8..], register.SignExponent);
        }
    }

    // SAFETY: sixteen 32-byte slots lie in the CPU's unmanaged state.
    private static Span<byte> Vector(CpuState* s, int number) => new((byte*)s + CpuState.VectorsOffset + (32 * number), 32);
}

/// <summary>Where a program of ours came to a stop, and what the snapshot does not tell.</summary>
/// <param name="Vector">The exception, or why there was none.</param>
/// <param name="Rip">Of the instruction that raised it.</param>
/// <param name="Cr2">The address of a page fault, else 0.</param>
/// <param name="Retired">Instructions since the last stop, those of exception delivery included.</param>
/// <param name="Cs">Selector of the code that was interrupted.</param>
/// <param name="Fs">Selector.</param>
/// <param name="FsBase">Its base.</param>
/// <param name="Registers">Hash of the general registers.</param>
internal readonly record struct Stop(int Vector, ulong Rip, ulong Cr2, ulong Retired, ushort Cs, ushort Fs, ulong FsBase, ulong Registers)
{
    public override string ToString() => $"vector {Vector} at 0x{Rip:x} cr2 0x{Cr2:x} after {Retired}, cs {Cs:x} fs {Fs:x}:{FsBase:x}, registers {Registers:x16}";
}
