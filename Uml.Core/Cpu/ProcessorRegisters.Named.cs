using Iced.Intel;

namespace Uml.Core.Cpu;

/// <content>Access by Iced's register names.</content>
public sealed partial class ProcessorRegisters
{
    /// <summary>
    /// A register by its name: general registers of any width (writing a 32-bit one clears the upper half, as instructions do;
    /// narrower ones keep the rest), RIP, EIP, the selectors of segment registers, CR0, CR2 to CR4, DR0 to DR3, DR6 and DR7.
    /// </summary>
    /// <param name="register">The register. Vector and x87 registers have properties of their own: <see cref="Xmm"/>, <see cref="St"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">The register is none of these.</exception>
    /// <exception cref="RegisterValueException">The register cannot hold the value.</exception>
    /// <exception cref="ArgumentException">Segment selectors are read here and written with their hidden parts, such as <see cref="Cs"/>.</exception>
    public ulong this[Register register]
    {
        get => register.IsGPR() ? ReadGpr(register) : ReadSystem(register);
        set
        {
            if (register.IsGPR())
            {
                WriteGpr(register, value);
            }
            else
            {
                WriteSystem(register, value);
            }
        }
    }

    private static bool IsHighByte(Register register) => register is >= Register.AH and <= Register.BH;

    private static ArgumentOutOfRangeException Unknown(Register register) =>
        new(nameof(register), register, $"{register} is not a general, segment or control register; XMM and ST have properties of their own.");

    private ulong ReadGpr(Register register)
    {
        ulong value = GetGpr(register.GetFullRegister().GetNumber());
        return register.GetSize() switch
        {
            1 => IsHighByte(register) ? (byte)(value >> 8) : (byte)value,
            2 => (ushort)value,
            4 => (uint)value,
            _ => value,
        };
    }

    private void WriteGpr(Register register, ulong value)
    {
        int number = register.GetFullRegister().GetNumber();
        lock (Access)
        {
            ulong old = GetGpr(number);
            SetGpr(number, register.GetSize() switch
            {
                1 when IsHighByte(register) => (old & ~0xFF00UL) | ((ulong)(byte)value << 8),
                1 => (old & ~0xFFUL) | (byte)value,
                2 => (old & ~0xFFFFUL) | (ushort)value,
                4 => (uint)value,
                _ => value,
            });
        }
    }

    private ulong ReadSystem(Register register) => register switch
    {
        Register.RIP => Rip,
        Register.EIP => (uint)Rip,
        Register.ES => Es.Selector,
        Register.CS => Cs.Selector,
        Register.SS => Ss.Selector,
        Register.DS => Ds.Selector,
        Register.FS => Fs.Selector,
        Register.GS => Gs.Selector,
        Register.CR0 => Cr0,
        Register.CR2 => Cr2,
        Register.CR3 => Cr3,
        Register.CR4 => Cr4,
        Register.DR0 => Dr0,
        Register.DR1 => Dr1,
        Register.DR2 => Dr2,
        Register.DR3 => Dr3,
        Register.DR6 => Dr6,
        Register.DR7 => Dr7,
        _ => throw Unknown(register),
    };

    private void WriteSystem(Register register, ulong value)
    {
        switch (register)
        {
            case Register.RIP: Rip = value; break;
            case Register.EIP: Rip = (uint)value; break;
            case Register.CR0: Cr0 = value; break;
            case Register.CR2: Cr2 = value; break;
            case Register.CR3: Cr3 = value; break;
            case Register.CR4: Cr4 = value; break;
            case Register.DR0: Dr0 = value; break;
            case Register.DR1: Dr1 = value; break;
            case Register.DR2: Dr2 = value; break;
            case Register.DR3: Dr3 = value; break;
            case Register.DR6: Dr6 = value; break;
            case Register.DR7: Dr7 = value; break;
            case >= Register.ES and <= Register.GS:
                throw new ArgumentException($"Set {register} through the property of that name, with its hidden part.", nameof(register));
            default: throw Unknown(register);
        }
    }
}
