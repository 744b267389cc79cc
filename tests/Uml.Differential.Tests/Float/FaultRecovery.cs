using System.Runtime.InteropServices;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Differential.Tests.Float;

/// <summary>
/// Catches SIGFPE raised inside one page of native code and continues at a recovery address; any other SIGFPE goes to the
/// handler that was there before. This is how unmasked SIMD exceptions are observed on the real CPU.
/// </summary>
internal sealed unsafe partial class FaultRecovery : IDisposable
{
    private const int SigFpe = 8;
    private const int SaSigInfo = 4;
    private const int SaOnStack = 0x0800_0000;

    /// <summary>Offset of gregs[REG_RIP] in the x86-64 ucontext_t: flags, link and stack, then 16 registers of 8 bytes.</summary>
    private const int UContextRip = 40 + (16 * 8);

    private readonly NativeCode _handler;
    private readonly SigAction _previous;

    public FaultRecovery(NativeCode code, nint recovery)
    {
        _previous = default;
        if (SigActionCall(SigFpe, null, out _previous) != 0)
        {
            throw new InvalidOperationException("sigaction could not read the SIGFPE handler.");
        }

        nint old = _previous.Handler;
        _handler = new NativeCode(a => EmitHandler(a, code, recovery, old));
        SigAction action = default;
        action.Handler = _handler.Address;
        action.Flags = SaSigInfo | SaOnStack;
        if (SigActionCall(SigFpe, &action, out _) != 0)
        {
            throw new InvalidOperationException("sigaction could not install the SIGFPE handler.");
        }
    }

    public void Dispose()
    {
        SigAction previous = _previous;
        _ = SigActionCall(SigFpe, &previous, out _);
        _handler.Dispose();
    }

    private static void EmitHandler(Assembler a, NativeCode code, nint recovery, nint old)
    {
        Label chain = a.CreateLabel();
        a.mov(rax, __qword_ptr[rdx + UContextRip]);
        a.mov(rcx, (long)code.Address);
        a.cmp(rax, rcx);
        a.jb(chain);
        a.mov(rcx, (long)code.End);
        a.cmp(rax, rcx);
        a.jae(chain);
        a.mov(rax, (long)recovery);
        a.mov(__qword_ptr[rdx + UContextRip], rax);
        a.ret();
        a.Label(ref chain);
        a.mov(rax, (long)old);
        a.jmp(rax);
    }

    [LibraryImport("libc", EntryPoint = "sigaction")]
    private static partial int SigActionCall(int signal, SigAction* action, out SigAction previous);

    /// <summary>glibc's struct sigaction on x86-64: handler, 1024-bit mask, flags, restorer.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 152)]
    private struct SigAction
    {
        [FieldOffset(0)]
        public nint Handler;

        [FieldOffset(136)]
        public int Flags;
    }
}
