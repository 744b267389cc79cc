namespace Uml.Core.Cpu.State;

/// <summary>Numbers of general registers, as encoded and as in <see cref="CpuState.Gpr"/>.</summary>
internal static class Gpr
{
    public const int Rax = 0, Rcx = 1, Rdx = 2, Rbx = 3, Rsp = 4, Rsi = 6, Rdi = 7, R11 = 11;
}
