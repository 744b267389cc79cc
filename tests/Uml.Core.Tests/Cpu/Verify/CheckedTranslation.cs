using System.Runtime.InteropServices;
using Iced.Intel;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Emit;
using Uml.Core.Cpu.Execute;
using Uml.Core.Cpu.State;
using Uml.Core.Cpu.Verify;
using Uml.Core.Cpu;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Verify;

/// <summary>A translation written by hand: the entry and the way out that each has, and between them what a test is about.</summary>
internal sealed unsafe class CheckedTranslation : IDisposable
{
    private readonly CodeMemory _memory = new(1 << 20);
    private readonly CpuState* _state;
    private readonly Block* _block;

    public CheckedTranslation()
    {
        // SAFETY: both are freed in Dispose; nothing runs.
        _state = (CpuState*)NativeMemory.AllocZeroed((nuint)sizeof(ProcessorMemory));
        _block = (Block*)NativeMemory.AllocZeroed((nuint)sizeof(Block));
        _block->Count = 1;
        var code = new HostAssembler();
        Stubs = new RuntimeStubs(code, _memory, _state, Runtime.Table, CpuModels.OfHost());
        code.Align(16);
        Start = code.Position;
    }

    public RuntimeStubs Stubs { get; }

    public SiteTable Sites { get; } = new(1 << 16);

    /// <summary>Where the translation begins.</summary>
    public byte* Start { get; }

    /// <summary>How many bytes it is long.</summary>
    public int Length { get; private set; }

    /// <summary>Its flavor.</summary>
    public Flavor Flavor { get; set; }

    /// <summary>The number of instructions that it is entered with.</summary>
    public int Count { get; set; } = 1;

    /// <summary>The number of instructions of the block.</summary>
    public int BlockCount
    {
        set => _block->Count = (ushort)value;
    }

    /// <summary>What is called at the end of all, instead of what does not come back.</summary>
    public byte* LastStub { get; set; }

    /// <summary>A budget that is used up goes on as if it were not.</summary>
    public bool SkipsRefill { get; set; }

    /// <summary>Where a place of it is executed.</summary>
    public byte* ToExecutable(byte* writable) => _memory.ToExecutable(writable);

    /// <summary>From the stack pointer to a field.</summary>
    public static AssemblerMemoryOperand State(int displacement) => __qword_ptr[rsp + displacement];

    /// <summary>Adds a site of the block.</summary>
    public int AddSite(Site site)
    {
        site.Block = _block;
        site.Flavor = Flavor;
        return Sites.Add(in site);
    }

    /// <summary>Calls a stub, with a site's number behind it.</summary>
    public void Call(Assembler c, byte* stub, int site = -1)
    {
        c.call((ulong)stub);
        if (site >= 0)
        {
            c.db(0x0F, 0x1F, 0x80, (byte)site, (byte)(site >> 8), 0, 0);
        }
    }

    /// <summary>Emits a probe of the TLB, to the address register's host address.</summary>
    public static void Probe(Assembler c, int size, int tag, Label miss)
    {
        c.rorx(r13d, r14d, Core.Cpu.Paging.Tlb.IndexShift);
        c.and(r13d, Core.Cpu.Paging.Tlb.IndexMask);
        c.sub(r14, __[r15 + r13 + tag]);
        c.cmp(r14, 0x1000 - size);
        c.ja(miss);
        c.add(r14, __[r15 + r13 + Core.Cpu.Paging.TlbEntry.HostPageOffset]);
    }

    /// <summary>Emits the comparison of a guest's address with that of its entry in the jump table, which is in the scratch register then.</summary>
    public static void CompareJump(Assembler c)
    {
        c.mov(r14, rbx);
        c.imul(r13d, r14d, JumpTables.HashMultiplier);
        c.shr(r13d, JumpTables.HashShift);
        c.and(r13d, JumpTables.IndexMask);
        c.add(r13, State(StateLayout.JumpTable));
        c.cmp(r14, __qword_ptr[r13 + JumpTables.RipOffset(Flavor.Integer)]);
    }

    /// <summary>Emits the translation and checks it.</summary>
    /// <param name="emit">Writes what stands between entry and way out; the label is the way out.</param>
    /// <returns>What is wrong with it; null when nothing is.</returns>
    public string? Check(Action<Assembler, Label> emit)
    {
        var c = new Assembler(64) { PreferShortBranch = false };
        Label entry = c.CreateLabel(), exhausted = c.CreateLabel(), leave = c.CreateLabel();
        c.Label(ref entry);
        c.sub(State(StateLayout.Remaining), Count);
        c.js(exhausted);
        int body = Measure(c);
        emit(c, leave);
        c.jmp(leave);
        c.Label(ref exhausted);
        c.mov(r13d, 0);
        if (!SkipsRefill)
        {
            Call(c, Stubs.Refill(Flavor));
        }

        c.jmp(entry);
        int abandon = Measure(c);
        c.Label(ref leave);
        c.mov(r14, State(StateLayout.PageRip));
        Call(c, LastStub == null ? Stubs.Reenter(Flavor) : LastStub, AddSite(default));

        byte[] bytes = Assemble(c);
        Length = bytes.Length;
        bytes.CopyTo(new Span<byte>(Start, bytes.Length));
        return Check(body, abandon);
    }

    /// <summary>Checks what stands there now.</summary>
    private string? Check(int body, int abandon)
    {
        byte* end = Start + Length;
        var code = new EmittedBlock { Hot = Start, HotEnd = end, Cold = end, ColdEnd = end, Body = Start + body, Abandon = Start + abandon };
        return new CodeChecker(Stubs, Sites, _memory, hasWideVectors: true).Check(_block, Flavor, in code);
    }

    /// <summary>How many bytes the instructions so far take; jumps have their long form.</summary>
    public static int Measure(Assembler c)
    {
        // At address 0 all targets are in reach.
        Encoder encoder = Encoder.Create(64, new NullWriter());
        int length = 0;
        foreach (Instruction instruction in c.Instructions)
        {
            bool isData = instruction.Code is >= Code.DeclareByte and <= Code.DeclareQword;
            bool isJump = instruction.FlowControl is FlowControl.ConditionalBranch or FlowControl.UnconditionalBranch or FlowControl.Call;
            length += isData ? instruction.DeclareDataCount
                : isJump ? (instruction.FlowControl == FlowControl.ConditionalBranch ? 6 : 5)
                : (int)encoder.Encode(in instruction, 0);
        }

        return length;
    }

    private byte[] Assemble(Assembler c)
    {
        using var stream = new MemoryStream();
        c.Assemble(new StreamCodeWriter(stream), (ulong)Start, BlockEncoderOptions.DontFixBranches);
        return stream.ToArray();
    }

    public void Dispose()
    {
        _memory.Dispose();
        Sites.Dispose();
        NativeMemory.Free(_state);
        NativeMemory.Free(_block);
    }

    private sealed class NullWriter : CodeWriter
    {
        public override void WriteByte(byte value)
        {
        }
    }
}
