using Iced.Intel;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Contract;

/// <summary>
/// Where the guest's general registers live while translated code runs. All but RSP, R12 to R15 are in the host register of the same
/// number, so that implicit operands (RAX and RDX of MUL, CL of shifts, AH) need no moves. R12 to R15, which compilers hand out last, are
/// in <see cref="CpuState.Gpr"/>.
/// </summary>
internal static class GuestRegisters
{
    public const int Rax = Gpr.Rax, Rcx = Gpr.Rcx, Rdx = Gpr.Rdx, Rsp = Gpr.Rsp;

    /// <summary>The host register of the guest's RSP.</summary>
    public const int StackPointer = HostRegister.R12;

    /// <summary>Scratch: never holds anything of the guest between instructions.</summary>
    public const int Scratch = HostRegister.R13;

    /// <summary>The address of a memory operand: the linear address, then the host address.</summary>
    public const int Address = HostRegister.R14;

    /// <summary>The TLB in force.</summary>
    public const int Tlb = HostRegister.R15;

    /// <summary>The CPU's state (see <see cref="StateLayout"/>). The stack pointer, because emitted code has no use for it otherwise.</summary>
    public const int State = HostRegister.Rsp;

    /// <summary>No host register: the guest's register is in memory.</summary>
    public const int None = -1;

    /// <summary>The host register of a guest register, or <see cref="None"/>.</summary>
    public static int Host(int guest) => guest == Rsp ? StackPointer : guest < 12 ? guest : None;

    /// <summary>Whether a guest register is kept in the state.</summary>
    public static bool IsInState(int guest) => Host(guest) == None;

    /// <summary>The host register of a general register of any size, AH to BH as part of theirs, or <see cref="None"/>.</summary>
    public static int Host(Register register) => Host(register.GetFullRegister().GetNumber());
}
