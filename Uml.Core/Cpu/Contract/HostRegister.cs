namespace Uml.Core.Cpu.Contract;

/// <summary>General registers of an x86-64 host, by encoding.</summary>
internal static class HostRegister
{
    public const int Rax = 0, Rcx = 1, Rdx = 2, Rbx = 3, Rsp = 4, Rbp = 5, Rsi = 6, Rdi = 7, R8 = 8, R9 = 9, R10 = 10, R11 = 11,
        R12 = 12, R13 = 13, R14 = 14, R15 = 15;
}

/// <summary>Condition codes, as the low four bits of Jcc, SETcc and CMOVcc have them (Intel SDM vol. 2, appendix B.1.4.7).</summary>
internal static class Condition
{
    public const int O = 0, No = 1, B = 2, Ae = 3, E = 4, Ne = 5, Be = 6, A = 7, S = 8, Ns = 9, P = 10, Np = 11, L = 12, Ge = 13, Le = 14, G = 15;
}

/// <summary>The /digit of the immediate arithmetic instructions 80H to 83H (Intel SDM vol. 2, table A-6, group 1).</summary>
internal static class Arithmetic
{
    public const int Add = 0, Or = 1, Adc = 2, Sbb = 3, And = 4, Sub = 5, Xor = 6, Cmp = 7;
}

/// <summary>The /digit of the shifts C0H, C1H and D0H to D3H (Intel SDM vol. 2, table A-6, group 2).</summary>
internal static class Shift
{
    public const int Left = 4, Right = 5, ArithmeticRight = 7;
}
