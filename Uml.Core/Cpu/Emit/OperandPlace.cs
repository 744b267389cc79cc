namespace Uml.Core.Cpu.Emit;

/// <summary>Where an operand of a host instruction is: in a register, or in memory at a base register and a displacement.</summary>
/// <param name="Register">The register, or the base.</param>
/// <param name="IsMemory">It is in memory.</param>
/// <param name="Displacement">From the base.</param>
internal readonly record struct OperandPlace(int Register, bool IsMemory, int Displacement)
{
    public static OperandPlace In(int register) => new(register, false, 0);

    public static OperandPlace At(int @base, int displacement) => new(@base, true, displacement);
}
