using System.Runtime.InteropServices;
using Iced.Intel;
using Uml.Differential.Tests.Engines;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Differential.Tests.Native;

/// <summary>
/// Emits the code around a test program: the way in (save the host, load the guest, IRETQ), the way out (the reverse), and the signal
/// handler that turns a fault into a way out.
/// </summary>
/// <remarks>
/// IRETQ loads RIP, CS, RFLAGS and RSP at once, enters 32-bit code just as well, and is a serialising instruction, which makes code
/// written through another mapping visible (Intel SDM vol. 3, 9.1.3). While guest registers are loaded all asynchronous signals are
/// blocked: .NET's handlers would run on the guest's stack pointer. Faults come in on a signal stack of our own.
/// </remarks>
internal sealed class ThunkEmitter(ulong control, ulong code, bool hasGsBase, bool hasAvx)
{
    private static readonly AssemblerRegister64[] s_gprs =
        [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15];

    private static readonly AssemblerRegisterYMM[] s_ymms =
        [ymm0, ymm1, ymm2, ymm3, ymm4, ymm5, ymm6, ymm7, ymm8, ymm9, ymm10, ymm11, ymm12, ymm13, ymm14, ymm15];

    /// <summary>Offsets in ucontext_t of the general registers in <see cref="s_gprs"/> order (Linux struct sigcontext_64 at offset 40).</summary>
    private static readonly int[] s_contextGprs = [144, 152, 136, 128, 160, 120, 112, 104, 40, 48, 56, 64, 72, 80, 88, 96];

    private const int ContextStackPointer = 16, ContextStackSize = 32;
    private const int ContextRip = 168, ContextFlags = 176, ContextError = 192, ContextTrap = 200, ContextCr2 = 216, ContextFp = 224;

    private const int XsaveHeaderSize = 64, UpperYmmSize = 256;

    private readonly Assembler _asm = new(64);
    private Label _enter64, _enter32, _exit64, _restore, _handler;

    public ulong Enter64 { get; private set; }

    public ulong Enter32 { get; private set; }

    /// <summary>Where exit slots jump to, in 64-bit mode.</summary>
    public ulong Exit { get; private set; }

    public ulong Handler { get; private set; }

    public byte[] Emit()
    {
        _enter64 = _asm.CreateLabel();
        _enter32 = _asm.CreateLabel();
        _exit64 = _asm.CreateLabel();
        _restore = _asm.CreateLabel();
        _handler = _asm.CreateLabel();

        _asm.Label(ref _enter64);
        EmitEnter(Layout.UserCode64);
        _asm.Label(ref _enter32);
        EmitEnter(Layout.UserCode32);
        EmitExit();
        EmitRestore();
        EmitHandler();

        var stream = new MemoryStream();
        AssemblerResult result = _asm.Assemble(new StreamCodeWriter(stream), code, BlockEncoderOptions.ReturnNewInstructionOffsets);
        Enter64 = result.GetLabelRIP(_enter64);
        Enter32 = result.GetLabelRIP(_enter32);
        Exit = result.GetLabelRIP(_exit64);
        Handler = result.GetLabelRIP(_handler);
        return stream.ToArray();
    }

    private void EmitEnter(ushort codeSelector)
    {
        _asm.push(rbx);
        _asm.push(rbp);
        _asm.push(r12);
        _asm.push(r13);
        _asm.push(r14);
        _asm.push(r15);
        _asm.stmxcsr(__dword_ptr[Field(nameof(NativeControl.HostMxcsr))]);
        _asm.fnstcw(__word_ptr[Field(nameof(NativeControl.HostControlWord))]);
        EmitSignalMask(nameof(NativeControl.SignalMask), nameof(NativeControl.SavedSignalMask));
        EmitSignalStack(nameof(NativeControl.OwnStack), nameof(NativeControl.SavedStack));
        _asm.mov(rax, __qword_ptr.fs[0]);
        _asm.mov(__qword_ptr[Field(nameof(NativeControl.ActiveThread))], rax);
        _asm.mov(__qword_ptr[Field(nameof(NativeControl.HostStack))], rsp);
        if (hasGsBase)
        {
            _asm.mov(rax, __qword_ptr[State(nameof(MachineSnapshot.GsBase))]);
            _asm.wrgsbase(rax);
        }

        if (codeSelector == Layout.UserCode32)
        {
            EmitDataSegments(Layout.UserData);
        }

        _asm.fxrstor64(__[State(nameof(MachineSnapshot.Fx))]);
        for (int i = 0; hasAvx && i < s_ymms.Length; i++)
        {
            _asm.vinsertf128(s_ymms[i], s_ymms[i], __xmmword_ptr[UpperYmm(i)], 1);
        }

        // Runs the RET at the end of the program's page, so that the page is there when the program begins: some hypervisors emulate the
        // instruction that finds it missing, and do not know all of them.
        _asm.mov(rax, Layout.Code + Layout.PageSize - 1);
        _asm.call(rax);
        _asm.push(Layout.UserData);
        _asm.push(__qword_ptr[Gpr(4)]);
        _asm.push(__qword_ptr[State(nameof(MachineSnapshot.Rflags))]);
        _asm.push(codeSelector);
        _asm.push(__qword_ptr[State(nameof(MachineSnapshot.Rip))]);
        for (int i = 0; i < s_gprs.Length; i++)
        {
            if (s_gprs[i] != rsp)
            {
                _asm.mov(s_gprs[i], __qword_ptr[Gpr(i)]);
            }
        }

        _asm.iretq();
    }

    /// <summary>Reached from an exit slot with every guest register still in place.</summary>
    private void EmitExit()
    {
        _asm.Label(ref _exit64);
        for (int i = 0; i < s_gprs.Length; i++)
        {
            _asm.mov(__qword_ptr[Gpr(i)], s_gprs[i]);
        }

        _asm.mov(rsp, __qword_ptr[Field(nameof(NativeControl.HostStack))]);
        _asm.pushfq();
        _asm.pop(__qword_ptr[State(nameof(MachineSnapshot.Rflags))]);
        _asm.fxsave64(__[State(nameof(MachineSnapshot.Fx))]);
        for (int i = 0; hasAvx && i < s_ymms.Length; i++)
        {
            _asm.vextractf128(__xmmword_ptr[UpperYmm(i)], s_ymms[i], 1);
        }

        _asm.mov(eax, __dword_ptr[Field(nameof(NativeControl.ExitRip))]);
        _asm.mov(__qword_ptr[State(nameof(MachineSnapshot.Rip))], rax);
        _asm.mov(__dword_ptr[State(nameof(MachineSnapshot.Vector))], MachineSnapshot.Completed);
        _asm.jmp(_restore);
    }

    /// <summary>Back to the host from anywhere: RSP is the host's, everything else is loaded here.</summary>
    private void EmitRestore()
    {
        _asm.Label(ref _restore);
        _asm.push(2);
        _asm.popfq();
        if (hasGsBase)
        {
            _asm.rdgsbase(rax);
            _asm.mov(__qword_ptr[State(nameof(MachineSnapshot.GsBase))], rax);
            _asm.xor(eax, eax);
            _asm.wrgsbase(rax);
        }

        EmitStoreSegment(ds, nameof(MachineSnapshot.Ds));
        EmitStoreSegment(es, nameof(MachineSnapshot.Es));
        EmitDataSegments(0);
        _asm.fninit();
        _asm.fldcw(__word_ptr[Field(nameof(NativeControl.HostControlWord))]);
        _asm.ldmxcsr(__dword_ptr[Field(nameof(NativeControl.HostMxcsr))]);
        if (hasAvx)
        {
            _asm.vzeroupper();
        }

        _asm.mov(__qword_ptr[Field(nameof(NativeControl.ActiveThread))], 0);
        EmitSignalStack(nameof(NativeControl.SavedStack), null);
        EmitSignalMask(nameof(NativeControl.SavedSignalMask), null);
        _asm.pop(r15);
        _asm.pop(r14);
        _asm.pop(r13);
        _asm.pop(r12);
        _asm.pop(rbp);
        _asm.pop(rbx);
        _asm.ret();
    }

    /// <summary>
    /// <c>handler(signo, siginfo*, ucontext*)</c>. A fault of the thread inside the thunk is recorded and left by the way out, without
    /// sigreturn; anything else goes to the process's own handler as if this one were not there.
    /// </summary>
    private void EmitHandler()
    {
        Label chain = _asm.CreateLabel();
        _asm.Label(ref _handler);
        _asm.mov(rax, __qword_ptr.fs[0]);
        _asm.cmp(rax, __qword_ptr[Field(nameof(NativeControl.ActiveThread))]);
        _asm.jne(chain);

        for (int i = 0; i < s_gprs.Length; i++)
        {
            EmitCopy(s_contextGprs[i], Gpr(i));
        }

        EmitCopy(ContextRip, State(nameof(MachineSnapshot.Rip)));
        EmitCopy(ContextFlags, State(nameof(MachineSnapshot.Rflags)));
        EmitCopy(ContextCr2, State(nameof(MachineSnapshot.Cr2)));
        _asm.mov(eax, __dword_ptr[rdx + ContextTrap]);
        _asm.mov(__dword_ptr[State(nameof(MachineSnapshot.Vector))], eax);
        _asm.mov(eax, __dword_ptr[rdx + ContextError]);
        _asm.mov(__dword_ptr[State(nameof(MachineSnapshot.ErrorCode))], eax);
        _asm.mov(rsi, __qword_ptr[rdx + ContextFp]);
        _asm.mov(edi, (uint)State(nameof(MachineSnapshot.Fx)));
        _asm.mov(ecx, MachineSnapshot.FxSize / 8);
        _asm.rep.movsq();
        if (hasAvx)
        {
            // The kernel's frame is an XSAVE area in the standard format: the AVX component lies behind legacy area and header.
            _asm.add(rsi, XsaveHeaderSize);
            _asm.mov(edi, (uint)UpperYmm(0));
            _asm.mov(ecx, UpperYmmSize / 8);
            _asm.rep.movsq();
        }

        _asm.mov(rsp, __qword_ptr[Field(nameof(NativeControl.HostStack))]);
        _asm.jmp(_restore);

        _asm.Label(ref chain);
        EmitLeaveSignalStack();
        _asm.mov(eax, edi);
        _asm.jmp(__qword_ptr[(rax * 8) + Field(nameof(NativeControl.PreviousHandlers))]);
    }

    /// <summary>
    /// The runtime handles some faults on the stack that faulted and throws from there. Moves the kernel's signal frame (everything
    /// from RSP to the top of the signal stack) below the interrupted stack pointer and its red zone, as if SA_ONSTACK was not set.
    /// </summary>
    private void EmitLeaveSignalStack()
    {
        Label stay = _asm.CreateLabel();
        _asm.bt(__qword_ptr[Field(nameof(NativeControl.InterruptedStackSignals))], rdi);
        _asm.jnc(stay);
        _asm.mov(rax, __qword_ptr[rdx + ContextStackPointer]);
        _asm.mov(rcx, __qword_ptr[rdx + ContextStackSize]);
        _asm.mov(r8, rsp);
        _asm.sub(r8, rax);
        _asm.cmp(r8, rcx);
        _asm.jae(stay);
        _asm.sub(rcx, r8); // bytes of the frame
        _asm.mov(r9, __qword_ptr[rdx + s_contextGprs[4]]);
        _asm.sub(r9, 128);
        _asm.sub(r9, rcx);
        _asm.mov(rax, r9);
        _asm.sub(rax, rsp);
        _asm.and(eax, 63);
        _asm.sub(r9, rax); // same alignment: the frame holds an XSAVE area
        _asm.mov(r10, r9);
        _asm.sub(r10, rsp);
        _asm.mov(r11, rdi);
        _asm.lea(r8, __[rsi + r10]);
        _asm.mov(rsi, rsp);
        _asm.mov(rdi, r9);
        _asm.rep.movsb();
        _asm.add(rdx, r10);
        _asm.add(__qword_ptr[rdx + ContextFp], r10);
        _asm.mov(rdi, r11);
        _asm.mov(rsi, r8);
        _asm.mov(rsp, r9);
        _asm.Label(ref stay);
    }

    private void EmitCopy(int contextOffset, long destination)
    {
        _asm.mov(rax, __qword_ptr[rdx + contextOffset]);
        _asm.mov(__qword_ptr[destination], rax);
    }

    private void EmitStoreSegment(AssemblerRegisterSegment segment, string field)
    {
        _asm.mov(eax, segment);
        _asm.mov(__word_ptr[State(field)], ax);
    }

    private void EmitDataSegments(int selector)
    {
        _asm.mov(eax, selector);
        _asm.mov(ds, ax);
        _asm.mov(es, ax);
    }

    private void EmitSignalMask(string from, string? to)
    {
        _asm.mov(eax, Libc.SYS_rt_sigprocmask);
        _asm.mov(edi, Libc.SIG_SETMASK);
        _asm.mov(esi, (uint)Field(from));
        _asm.mov(edx, to is null ? 0 : (uint)Field(to));
        _asm.mov(r10d, 8);
        _asm.syscall();
    }

    private void EmitSignalStack(string from, string? to)
    {
        _asm.mov(eax, Libc.SYS_sigaltstack);
        _asm.mov(edi, (uint)Field(from));
        _asm.mov(esi, to is null ? 0 : (uint)Field(to));
        _asm.syscall();
    }

    private long Field(string name) => (long)control + (long)Marshal.OffsetOf<NativeControl>(name);

    private long State(string name) => Field(nameof(NativeControl.State)) + (long)Marshal.OffsetOf<MachineSnapshot>(name);

    private long UpperYmm(int number) => State(nameof(MachineSnapshot.YmmHigh)) + (16 * number);

    private long Gpr(int number) => State(nameof(MachineSnapshot.Gpr)) + (8 * number);
}
