using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Uml.Core.Cpu.Semantics;

/// <summary>One physical x87 register: 80 bits in a 16-byte slot; the significand doubles as an MMX register.</summary>
[StructLayout(LayoutKind.Sequential, Size = 16)]
internal struct X87Register
{
    public ulong Significand;
    public ushort SignExponent;
}

[InlineArray(8)]
internal struct X87Registers
{
    private X87Register _element;
}

/// <summary>The x87 FPU: physical registers (not rotated by TOP), control and status words.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct X87State
{
    public X87Registers Registers;
    public ushort ControlWord;
    public ushort StatusWord;

    /// <summary>Abridged tags, one bit a physical register: 1 = not empty (FXSAVE form).</summary>
    public byte Valid;
    public ushort LastOpcode;
    public ushort LastCs, LastDs;
    public ulong LastIp, LastDp;
}
