using System.Reflection;
using System.Runtime.Intrinsics;
using Uml.Core.Cpu;

namespace Uml.Core.Tests.Cpu.Registers;

/// <summary>A value for every register that can be written, other than the one after power-on.</summary>
internal static class RegisterValues
{
    private const ulong High = 0xFFFF_8123_4567_8000, Low = 0x7123_4567_8000;

    /// <summary>
    /// By property. The order is one that a state can be written in: what follows from another register comes behind it.
    /// </summary>
    public static IReadOnlyList<(string Name, object Value)> Properties { get; } =
    [
        ("Rax", 0x0101_0101_0101_0101UL), ("Rcx", 0x0202_0202_0202_0202UL), ("Rdx", 0x0303_0303_0303_0303UL), ("Rbx", 0x0404_0404_0404_0404UL),
        ("Rsp", 0x0505_0505_0505_0505UL), ("Rbp", 0x0606_0606_0606_0606UL), ("Rsi", 0x0707_0707_0707_0707UL), ("Rdi", 0x0808_0808_0808_0808UL),
        ("R8", 0x0909_0909_0909_0909UL), ("R9", 0x0A0A_0A0A_0A0A_0A0AUL), ("R10", 0x0B0B_0B0B_0B0B_0B0BUL), ("R11", 0x0C0C_0C0C_0C0C_0C0CUL),
        ("R12", 0x0D0D_0D0D_0D0D_0D0DUL), ("R13", 0x0E0E_0E0E_0E0E_0E0EUL), ("R14", 0x0F0F_0F0F_0F0F_0F0FUL), ("R15", 0x1010_1010_1010_1010UL),
        ("Rip", High), ("Rflags", 0x4_0AD7UL),
        ("Es", new SegmentState(0x2B, 0x1000, 0xFFFF_FFF0, 0xC0F3)), ("Cs", new SegmentState(0x33, 0x2000, 0xFFFF_FFF1, 0xA0FB)),
        ("Ss", new SegmentState(0x2B, 0x3000, 0xFFFF_FFF2, 0xC0D3)), ("Ds", new SegmentState(0x2B, 0x4000, 0xFFFF_FFF3, 0xC0F3)),
        ("Fs", new SegmentState(0x63, Low, 0xFFFF_FFF4, 0xC0F3)), ("Gs", new SegmentState(0x6B, High, 0xFFFF_FFF5, 0xC0F3)),
        ("Ldtr", new SegmentState(0x48, High + 0x1000, 0x7F, 0x82)), ("Tr", new SegmentState(0x40, High + 0x2000, 0x206F, 0x8B)),
        ("PrivilegeLevel", 3), ("Gdtr", new DescriptorTable(High + 0x3000, 0x7F)), ("Idtr", new DescriptorTable(High + 0x4000, 0xFFF)),
        ("Cr0", 0x8005_0033UL), ("Cr2", 0xDEAD_B000UL), ("Cr3", 0x12_3000UL), ("Cr4", 0x37_0FF0UL), ("Xcr0", 7UL), ("Efer", 0xD01UL),
        ("Dr0", High + 1), ("Dr1", High + 2), ("Dr2", High + 3), ("Dr3", High + 4), ("Dr6", 0xFFFF_4FF3UL), ("Dr7", 0x4555_0755UL),
        ("Star", 0x0023_0010_0000_0000UL), ("LStar", High + 0x10), ("CStar", High + 0x20), ("FMask", 0x4_7700UL), ("KernelGsBase", High + 0x30),
        ("SysenterCs", 0x10UL), ("SysenterEsp", High + 0x40), ("SysenterEip", High + 0x50), ("Pat", 0x0107_0506_0007_0106UL),
        ("TscAdjust", 0xFFFF_FFFF_0000_0001UL), ("TscAux", 0x1003UL), ("MiscEnable", 0x1800UL), ("DebugControl", 3UL), ("MachineCheckStatus", 5UL),
        ("Mxcsr", 0x9FC0U), ("FpuControlWord", (ushort)0x077B), ("FpuStatusWord", (ushort)0xBA84), ("FpuTags", (byte)0x5A), ("FpuOpcode", (ushort)0x7AB),
        ("FpuInstructionPointer", High + 0x60), ("FpuInstructionSelector", (ushort)0x33), ("FpuDataPointer", High + 0x70),
        ("FpuDataSelector", (ushort)0x2B),
        ("IsHalted", true), ("InterruptShadow", true), ("NmiBlocked", true), ("NmiPending", true), ("PendingBreakpoints", 9U),
    ];

    /// <summary>Those of <see cref="MsrRegisters.Stored"/> that have no property.</summary>
    public static IReadOnlyDictionary<uint, ulong> MemoryTypes { get; } = Enumerable.Range(0x200, 16).Select(static number => (uint)number)
        .ToDictionary(static number => number, static number => (number & 1) == 0 ? ((ulong)number << 20) | 6 : 0x3FFF_C000_0800UL + ((ulong)number << 12))
        .Concat(new uint[] { 0x250, 0x258, 0x259, 0x268, 0x269, 0x26A, 0x26B, 0x26C, 0x26D, 0x26E, 0x26F }
            .Select(static number => KeyValuePair.Create(number, 0x0505_0404_0101_0505UL)))
        .Append(KeyValuePair.Create(0x2FFU, 0x806UL))
        .ToDictionary();

    public static PropertyInfo Property(string name) => typeof(ProcessorRegisters).GetProperty(name)!;

    /// <summary>All properties that a register is read and written by.</summary>
    public static IEnumerable<string> Writable => typeof(ProcessorRegisters).GetProperties()
        .Where(static property => property.SetMethod is { IsPublic: true } && property.GetIndexParameters().Length == 0)
        .Select(static property => property.Name);

    /// <summary>Writes all of them.</summary>
    public static void Apply(ProcessorRegisters registers)
    {
        foreach ((string name, object value) in Properties)
        {
            Property(name).SetValue(registers, value);
        }

        foreach ((uint number, ulong value) in MemoryTypes)
        {
            registers.Msr[number] = value;
        }

        Span<byte> significand = stackalloc byte[X87Stack.RegisterBytes];
        for (int i = 0; i < 8; i++)
        {
            significand.Fill((byte)(0x81 + i));
            registers.St.CopyFrom(i, significand);
        }

        registers.FpuTags = 0x5A;
        for (int i = 0; i < 16; i++)
        {
            registers.Ymm[i] = Vector256.Create((byte)(0x20 + i));
        }
    }

    /// <summary>Copies all that a guest can see from one processor to another, as a user of the registers would.</summary>
    public static void Copy(ProcessorRegisters from, ProcessorRegisters to)
    {
        foreach ((string name, _) in Properties)
        {
            Property(name).SetValue(to, Property(name).GetValue(from));
        }

        foreach (uint number in MsrRegisters.Stored)
        {
            to.Msr[number] = from.Msr[number];
        }

        Span<byte> register = stackalloc byte[X87Stack.RegisterBytes];
        for (int i = 0; i < 8; i++)
        {
            from.St.CopyTo(i, register);
            to.St.CopyFrom(i, register);
        }

        to.FpuTags = from.FpuTags;
        for (int i = 0; i < 16; i++)
        {
            to.Ymm[i] = from.Ymm[i];
        }
    }
}
