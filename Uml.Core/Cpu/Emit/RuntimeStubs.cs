using System.Numerics;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Semantics.Float;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Emit;

/// <summary>
/// The fixed pieces of emitted code around translations: getting in, getting out, and calling the runtime with all of the guest's state in
/// memory. They stand at the start of code memory and outlive every emptying of it.
/// </summary>
/// <remarks>
/// Translations have no stack: the stack pointer points to the state. The host's is at <see cref="EngineState.HostStack"/>, aligned for a call.
/// A runtime function takes the state, the return
/// address (which identifies the place, see <see cref="SiteTable"/>) and the address register. It returns <see cref="SlowPaths.Continue"/>, to go
/// on behind the call; <see cref="SlowPaths.Leave"/>; or an address to go on at.
/// </remarks>
internal sealed unsafe class RuntimeStubs
{
    // SAFETY: stubs are positions in code memory, which the engine keeps for as long as translations run. The slow paths are unmanaged
    // functions of static methods, and the state's address stays for the engine's life.
    private const int StackAlignment = 8;

    // System V ABI: what a callee preserves is still there after a call of the runtime.
    private static readonly int[] CalleeSaved = [HostRegister.Rbx, HostRegister.Rbp, HostRegister.R12, HostRegister.R13, HostRegister.R14, HostRegister.R15];

    private readonly HostAssembler _code;
    private readonly CodeMemory _memory;
    private readonly VectorTransfer _vectors;
    private readonly byte*[] _access = new byte*[(int)Flavor.Count];
    private readonly byte*[] _commit = new byte*[(int)Flavor.Count];
    private readonly byte*[] _handlerAside = new byte*[(int)Flavor.Count];
    private readonly byte*[] _handler = new byte*[(int)Flavor.Count];
    private readonly byte*[] _reenter = new byte*[(int)Flavor.Count];
    private readonly byte*[] _lookup = new byte*[(int)Flavor.Count];
    private readonly byte*[] _link = new byte*[(int)Flavor.Count];
    private readonly byte*[] _checkPage = new byte*[(int)Flavor.Count];
    private readonly byte*[] _specialize = new byte*[(int)Flavor.Count];
    private readonly byte*[] _refill = new byte*[(int)Flavor.Count];
    private readonly byte*[] _strings = new byte*[16];
    private readonly byte* _loadX87;
    private readonly byte* _walkForRead;
    private readonly byte* _walkForWrite;
    private readonly byte* _loadVectors;
    private readonly byte* _interpret;
    private readonly Dictionary<nint, StubContract> _contracts = [];
    private byte* _epilogue;

    /// <param name="code">Writes them.</param>
    /// <param name="memory">Where they go.</param>
    /// <param name="state">The state that emitted code runs with.</param>
    /// <param name="slowPaths">What they call.</param>
    /// <param name="features">What both the guest's processor and the host's have.</param>
    public RuntimeStubs(HostAssembler code, CodeMemory memory, CpuState* state, in SlowPaths slowPaths, CpuFeatures features)
    {
        _code = code;
        _memory = memory;
        _vectors = new VectorTransfer(code, (features & CpuFeatures.Avx) != 0);
        code.Begin(memory.Writable);
        byte* enter = EmitEnter();
        for (Flavor flavor = Flavor.Integer; flavor < Flavor.Count; flavor++)
        {
            _access[(int)flavor] = Note(StubKind.Access, flavor, EmitRuntimeCall(flavor, slowPaths.Access, isAccess: true));
            _commit[(int)flavor] = Note(StubKind.Commit, flavor, EmitRuntimeCall(flavor, slowPaths.Commit));
            _handler[(int)flavor] = Note(
                StubKind.Handler, flavor, EmitRuntimeCall(flavor, slowPaths.Handle, changesRegisters: true, sharesX87: flavor == Flavor.X87));
            _handlerAside[(int)flavor] = Note(StubKind.Handler, flavor, EmitRuntimeCall(flavor, slowPaths.HandleAside, changesRegisters: true));
            _lookup[(int)flavor] = Note(StubKind.Lookup, flavor, EmitRuntimeCall(flavor, slowPaths.Lookup));
            _link[(int)flavor] = Note(StubKind.Link, flavor, EmitRuntimeCall(flavor, slowPaths.Link));
            _checkPage[(int)flavor] = Note(StubKind.CheckPage, flavor, EmitRuntimeCall(flavor, slowPaths.CheckPage));
            _specialize[(int)flavor] = Note(StubKind.Specialize, flavor, EmitRuntimeCall(flavor, slowPaths.Specialize));
            _reenter[(int)flavor] = Note(StubKind.Reenter, flavor, EmitRuntimeCall(flavor, slowPaths.Reenter));
            _refill[(int)flavor] = Note(StubKind.Refill, flavor, EmitRefill(flavor));
        }

        var strings = new EmittedStrings(code, new TlbProbe(code));
        for (int i = 0; i < _strings.Length; i++)
        {
            _strings[i] = Note(StubKind.String, Flavor.Count, strings.Emit(moves: (i & 1) != 0, size: 1 << (i >> 2), isLong: (i & 2) != 0));
        }

        var walk = new EmittedPageWalk(code);
        _walkForRead = Note(StubKind.WalkForRead, Flavor.Count, walk.Emit(write: false));
        _walkForWrite = Note(StubKind.WalkForWrite, Flavor.Count, walk.Emit(write: true));
        _interpret = Note(StubKind.Interpret, Flavor.Integer, EmitRuntimeCall(Flavor.Integer, slowPaths.Interpret));
        _loadX87 = Note(StubKind.LoadX87, Flavor.Vector, EmitRuntimeCall(Flavor.Vector, slowPaths.PrepareX87, sharesX87: true));
        _loadVectors = Note(StubKind.LoadVectors, Flavor.Integer, EmitLoadVectors());
        Recovery = memory.ToExecutable(EmitRecovery(state, slowPaths.Fault));
        FloatingPoint = new FloatingPointSwitch(code, memory);
        byte* readTimeStamp = EmitReadTimeStamp();
        ReadTimeStamp = (delegate* unmanaged[SuppressGCTransition]<ulong>)memory.ToExecutable(readTimeStamp);
        Enter = (delegate* unmanaged<CpuState*, byte*, void>)memory.ToExecutable(enter);
        End = code.Position;
    }

    /// <summary>Runs translated code from an address on, until it leaves.</summary>
    public delegate* unmanaged<CpuState*, byte*, void> Enter { get; }

    /// <summary>Reads the host's time-stamp counter, for which .NET has nothing.</summary>
    public delegate* unmanaged[SuppressGCTransition]<ulong> ReadTimeStamp { get; }

    /// <summary>Puts the application's floating-point settings aside and gives them back.</summary>
    public FloatingPointSwitch FloatingPoint { get; }

    /// <summary>Where emitted code goes on after a fault, in executable memory.</summary>
    public byte* Recovery { get; }

    /// <summary>The first byte behind the stubs.</summary>
    public byte* End { get; }

    /// <summary>What there is at an address that translated code calls.</summary>
    /// <returns>Null when it is no stub.</returns>
    public StubContract? ContractAt(nint address) => _contracts.TryGetValue(address, out StubContract contract) ? contract : null;

    /// <summary>Finds the operand of a memory access that is not in the TLB. ZF: the address register points to it; else to a buffer.</summary>
    public byte* Access(Flavor flavor) => _access[(int)flavor];

    /// <summary>Fills the TLB entry of an address (see <see cref="EmittedPageWalk"/>).</summary>
    public byte* Walk(bool write) => write ? _walkForWrite : _walkForRead;

    /// <summary>A repeated string instruction (see <see cref="EmittedStrings"/>).</summary>
    public byte* String(bool moves, int size, bool isLong) =>
        _strings[(BitOperations.Log2((uint)size) << 2) | (isLong ? 2 : 0) | (moves ? 1 : 0)];

    /// <summary>Writes the buffer to the guest.</summary>
    public byte* Commit(Flavor flavor) => _commit[(int)flavor];

    /// <summary>Calls an instruction's handler.</summary>
    /// <param name="flavor">The caller's.</param>
    /// <param name="sharesX87">The handler may look at the x87 unit's state or change it.</param>
    public byte* CallHandler(Flavor flavor, bool sharesX87) => (sharesX87 ? _handler : _handlerAside)[(int)flavor];

    /// <summary>Finds the target of a computed jump, which is in the address register.</summary>
    public byte* Lookup(Flavor flavor) => _lookup[(int)flavor];

    /// <summary>Finds the target of a direct jump.</summary>
    public byte* Link(Flavor flavor) => _link[(int)flavor];

    /// <summary>Looks whether the page behind the block's is still the one it was made from.</summary>
    public byte* CheckPage(Flavor flavor) => _checkPage[(int)flavor];

    /// <summary>Makes the target of a direct jump ready for the source of the flags it comes with.</summary>
    public byte* Specialize(Flavor flavor) => _specialize[(int)flavor];

    /// <summary>Goes on at the address in the address register, whose translation was dropped.</summary>
    public byte* Reenter(Flavor flavor) => _reenter[(int)flavor];

    /// <summary>
    /// Takes another slice of the budget (see <see cref="Slices"/>), or leaves when there is none or something waits; the scratch register
    /// says where in the page RIP is.
    /// </summary>
    public byte* Refill(Flavor flavor) => _refill[(int)flavor];

    /// <summary>From <see cref="Flavor.Vector"/> to <see cref="Flavor.X87"/>; leaves when the guest's exceptions do not let its x87 code run on the host.</summary>
    public byte* LoadX87 => _loadX87;

    /// <summary>Runs the first instruction of a block in the interpreter, and leaves.</summary>
    public byte* Interpret => _interpret;

    /// <summary>From <see cref="Flavor.Integer"/> to <see cref="Flavor.Vector"/>. ZF clear: the guest has unmasked exceptions, nothing was done.</summary>
    public byte* LoadVectors => _loadVectors;

    private byte* Note(StubKind kind, Flavor flavor, byte* stub)
    {
        _contracts.Add((nint)stub, new StubContract(kind, flavor));
        return stub;
    }

    private byte* EmitEnter()
    {
        byte* start = _code.Position;
        foreach (int register in CalleeSaved)
        {
            _code.Push(register);
        }

        _code.ArithmeticImmediate(Arithmetic.Sub, HostRegister.Rsp, StackAlignment);
        _code.Store(HostRegister.Rdi, StateLayout.HostStack + StateLayout.Bias, HostRegister.Rsp);
        _code.LoadAddress(GuestRegisters.State, HostRegister.Rdi, StateLayout.Bias);
        _code.Move(GuestRegisters.Scratch, HostRegister.Rsi);
        LoadTlb();
        LoadGeneral(all: true);
        _code.JumpRegister(GuestRegisters.Scratch);

        // Everything is in memory. Without a stack of the host nothing of this engine can be interrupted by a fault.
        _epilogue = _code.Position;
        _code.Load(GuestRegisters.Scratch, GuestRegisters.State, StateLayout.HostStack);
        _code.StoreImmediate(GuestRegisters.State, StateLayout.HostStack, 0);
        _code.Move(HostRegister.Rsp, GuestRegisters.Scratch);
        _code.ArithmeticImmediate(Arithmetic.Add, HostRegister.Rsp, StackAlignment);
        for (int i = CalleeSaved.Length - 1; i >= 0; i--)
        {
            _code.Pop(CalleeSaved[i]);
        }

        _code.Return();
        return start;
    }

    /// <param name="flavor">The caller's.</param>
    /// <param name="function">What is called.</param>
    /// <param name="isAccess">It returns a host address.</param>
    /// <param name="changesRegisters">It changes general registers of the guest.</param>
    /// <param name="sharesX87">It takes and leaves the x87 unit's state in the image.</param>
    private byte* EmitRuntimeCall(
        Flavor flavor,
        delegate* unmanaged<CpuState*, byte*, ulong, nint> function,
        bool isAccess = false,
        bool changesRegisters = false,
        bool sharesX87 = false)
    {
        _code.Align(16);
        byte* start = _code.Position;

        // Loading it is what the call is for where a vector block goes on with x87 code.
        bool isLoaded = sharesX87 || flavor == Flavor.X87;
        _code.Pop(GuestRegisters.Scratch);
        StoreGeneral();
        StoreVectors(flavor);
        LeaveX87(flavor, isTaken: sharesX87);
        _code.LoadAddress(HostRegister.Rdi, GuestRegisters.State, -StateLayout.Bias);
        _code.Move(HostRegister.Rsi, GuestRegisters.Scratch);
        _code.Move(HostRegister.Rdx, GuestRegisters.Address);

        // The return address and the state are in registers that a callee preserves.
        _code.Move(GuestRegisters.Tlb, GuestRegisters.State);
        _code.Load(HostRegister.Rsp, GuestRegisters.State, StateLayout.HostStack);
        _code.MoveImmediate(HostRegister.Rax, (long)function);
        _code.CallRegister(HostRegister.Rax);
        _code.Move(GuestRegisters.State, GuestRegisters.Tlb);
        LoadTlb();
        _code.Move(GuestRegisters.Address, HostRegister.Rax);
        _code.ArithmeticImmediate(Arithmetic.Cmp, GuestRegisters.Address, (int)SlowPaths.Leave);
        byte* leave = _code.JumpIf(Condition.E);
        byte* elsewhere = isAccess ? null : _code.JumpIf(Condition.A);
        RestoreX87(isLoaded);
        LoadVectorsAgain(flavor);
        LoadGeneral(all: changesRegisters);
        if (isAccess)
        {
            _code.ArithmeticMemoryImmediate(Arithmetic.Cmp, GuestRegisters.State, StateLayout.CommitSize, 0, wide: false);
        }

        _code.Push(GuestRegisters.Scratch);
        _code.Return();
        if (!isAccess)
        {
            _code.Bind(elsewhere);
            RestoreX87(isLoaded);
            LoadVectorsAgain(flavor);
            LoadGeneral(all: true);
            _code.JumpRegister(GuestRegisters.Address);
        }

        _code.Bind(leave);
        if (flavor == Flavor.X87 && !sharesX87)
        {
            NoteX87();
        }

        _code.Jump(_epilogue);
        return start;
    }

    /// <summary>
    /// After a fault, with nothing to be relied on but the state's place: general registers are stored for a look at them afterwards, and the
    /// runtime writes a report.
    /// </summary>
    private byte* EmitRecovery(CpuState* state, delegate* unmanaged<CpuState*, void> fault)
    {
        _code.Align(16);
        byte* start = _code.Position;
        _code.MoveImmediate(GuestRegisters.State, (long)((byte*)state + StateLayout.Bias));
        StoreGeneral();
        _vectors.EmitHostControl();
        _code.InitializeX87();
        _code.LoadAddress(HostRegister.Rdi, GuestRegisters.State, -StateLayout.Bias);
        _code.Move(GuestRegisters.Tlb, GuestRegisters.State);
        _code.Load(HostRegister.Rsp, GuestRegisters.State, StateLayout.HostStack);
        _code.MoveImmediate(HostRegister.Rax, (long)fault);
        _code.CallRegister(HostRegister.Rax);
        _code.Move(GuestRegisters.State, GuestRegisters.Tlb);
        _code.Jump(_epilogue);
        return start;
    }

    private byte* EmitRefill(Flavor flavor)
    {
        _code.Align(16);
        byte* start = _code.Position;
        _code.HideReturnAddress();
        _code.ArithmeticMemoryImmediate(Arithmetic.Cmp, GuestRegisters.State, StateLayout.Poll, 0, wide: false);
        byte* attention = _code.JumpIf(Condition.Ne);
        _code.Load(GuestRegisters.Address, GuestRegisters.State, StateLayout.Reserve);
        _code.ArithmeticRegister(Arithmetic.Or, GuestRegisters.Address, GuestRegisters.Address);
        byte* exhausted = _code.JumpIf(Condition.Le);
        _code.ArithmeticImmediate(Arithmetic.Cmp, GuestRegisters.Address, Slices.Length);
        byte* last = _code.JumpIf(Condition.Be);
        _code.MoveImmediate(GuestRegisters.Address, Slices.Length);
        _code.Bind(last);
        _code.ArithmeticToMemory(Arithmetic.Sub, GuestRegisters.State, StateLayout.Reserve, GuestRegisters.Address);
        _code.ArithmeticToMemory(Arithmetic.Add, GuestRegisters.State, StateLayout.Remaining, GuestRegisters.Address);
        _code.ReturnToHidden();
        _code.Bind(attention);
        _code.Bind(exhausted);
        StoreGeneral();
        StoreVectors(flavor);
        LeaveX87(flavor, isTaken: true);
        _code.ArithmeticMemory(Arithmetic.Add, GuestRegisters.Scratch, GuestRegisters.State, StateLayout.PageRip);
        _code.Store(GuestRegisters.State, StateLayout.Rip, GuestRegisters.Scratch);
        _code.StoreImmediate(GuestRegisters.State, StateLayout.Exit, (int)ExitCode.Attention, wide: false);
        _code.StoreImmediate(GuestRegisters.State, StateLayout.NextOp, 0);
        _code.Jump(_epilogue);
        return start;
    }

    private byte* EmitLoadVectors()
    {
        _code.Align(16);
        byte* start = _code.Position;

        _code.HideReturnAddress();

        // An unmasked exception would be the host's.
        const int masks = (int)SseFloat.AllMasks;
        _code.Load(GuestRegisters.Scratch, GuestRegisters.State, StateLayout.Mxcsr, wide: false);
        _code.ArithmeticImmediate(Arithmetic.And, GuestRegisters.Scratch, masks, wide: false);
        _code.ArithmeticImmediate(Arithmetic.Cmp, GuestRegisters.Scratch, masks, wide: false);
        byte* unmasked = _code.JumpIf(Condition.Ne);
        LoadVectorsAgain(Flavor.Vector);

        // Loading may have changed it.
        _code.SetZeroFlag(true);
        _code.Bind(unmasked);
        _code.ReturnToHidden();
        return start;
    }

    private byte* EmitReadTimeStamp()
    {
        _code.Align(16);
        byte* start = _code.Position;
        _code.LoadFence();
        _code.ReadTimeStamp();
        _code.Return();
        return start;
    }

    private void LoadTlb() => _code.Load(GuestRegisters.Tlb, GuestRegisters.State, StateLayout.Tlb);

    private void StoreGeneral()
    {
        for (int guest = 0; guest < CpuState.GprCount; guest++)
        {
            if (GuestRegisters.Host(guest) is var host and not GuestRegisters.None)
            {
                _code.Store(GuestRegisters.State, StateLayout.Gpr(guest), host);
            }
        }
    }

    /// <summary>Loads what a call has destroyed, or all.</summary>
    private void LoadGeneral(bool all)
    {
        for (int guest = 0; guest < CpuState.GprCount; guest++)
        {
            if (GuestRegisters.Host(guest) is var host and not GuestRegisters.None && (all || Array.IndexOf(CalleeSaved, host) < 0))
            {
                _code.Load(host, GuestRegisters.State, StateLayout.Gpr(guest));
            }
        }
    }

    private void StoreVectors(Flavor flavor)
    {
        if (flavor != Flavor.Integer)
        {
            _vectors.EmitStore();
        }
    }

    private void LoadVectorsAgain(Flavor flavor)
    {
        if (flavor != Flavor.Integer)
        {
            _vectors.EmitLoad();
        }
    }

    /// <summary>
    /// Takes the x87 unit's state out of the host's, which is as after FNINIT then: what a device calls may use it, and counts on an empty
    /// stack of registers and the default control word (System V ABI for x86-64, 3.2.1).
    /// </summary>
    /// <param name="flavor">The caller's.</param>
    /// <param name="isTaken">The interpreter's state takes it over; otherwise it comes back as it is.</param>
    private void LeaveX87(Flavor flavor, bool isTaken)
    {
        if (flavor == Flavor.X87)
        {
            _code.SaveX87(GuestRegisters.State, StateLayout.X87Image);
            if (isTaken)
            {
                NoteX87();
            }
        }
    }

    private void NoteX87() => _code.StoreImmediate(GuestRegisters.State, StateLayout.X87Left, 1, wide: false);

    private void RestoreX87(bool wanted)
    {
        if (wanted)
        {
            _code.RestoreX87(GuestRegisters.State, StateLayout.X87Image);
        }
    }
}
