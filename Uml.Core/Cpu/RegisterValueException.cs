using System.Runtime.CompilerServices;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu;

/// <summary>A value that a register of the processor cannot hold: an instruction that wrote it would raise #GP(0).</summary>
public sealed class RegisterValueException : ArgumentException
{
    internal RegisterValueException(string register, ulong value, string problem)
        : base($"{register} cannot be 0x{value:X}: {problem}.")
    {
        Register = register;
        Value = value;
    }

    /// <summary>The register: the property's name, or MSR and a number.</summary>
    public string Register { get; }

    /// <summary>The value that was refused.</summary>
    public ulong Value { get; }

    internal static void ThrowIf(RegisterRefusal refusal, ulong value, [CallerMemberName] string register = "")
    {
        if (refusal != RegisterRefusal.None)
        {
            throw new RegisterValueException(register, value, Describe(refusal));
        }
    }

    private static string Describe(RegisterRefusal refusal) => refusal switch
    {
        RegisterRefusal.NotWritable => "it is read-only",
        RegisterRefusal.NotCanonical => "the address is not canonical, bits 63 to 47 have to be equal",
        RegisterRefusal.MemoryType => "a byte of it is no memory type",
        RegisterRefusal.Combination => "bits of it exclude each other",
        RegisterRefusal.Components => "it sets a state component that the CPU model does not have, or lacks one that another needs, or x87's, which is always set",
        RegisterRefusal.PrivilegeLevel => "privilege levels are 0 to 3",
        _ => "reserved bits are set",
    };
}
