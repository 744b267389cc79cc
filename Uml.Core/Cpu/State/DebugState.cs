namespace Uml.Core.Cpu.State;

/// <summary>
/// The debug registers (Intel SDM vol. 3, 18.2): when they require single-stepping, and which breakpoints an access hits.
/// </summary>
// SAFETY: s is a live processor's state (the handler contract, see Op); only its fields are touched.
internal static unsafe class DebugState
{
    /// <summary>DR6: BD, a debug register was touched while DR7.GD; BS, single step; BT, task switch.</summary>
    public const uint BD = 1 << 13, BS = 1 << 14;

    /// <summary>DR6: B0 to B3.</summary>
    public const uint Breakpoints = 0xF;

    /// <summary>DR7.GD; L0..G3, the enable bits.</summary>
    public const uint GD = 1 << 13, Enables = 0xFF;

    /// <summary>DR6 bits that read as one, and those a write can change (no RTM: bit 16 is fixed).</summary>
    public const uint Dr6Fixed = 0xFFFF0FF0, Dr6Writable = 0xE00F;

    /// <summary>DR7 bit 10 reads as one; 12, 14, 15 and RTM (11) as zero.</summary>
    public const uint Dr7Fixed = 0x400, Dr7Writable = 0xFFFF23FF;

    /// <summary>Conditions of a breakpoint, its R/W field in DR7.</summary>
    public const int Execute = 0;

    private const int Write = 1, InputOutput = 2;

    /// <summary>Bits 63..32 of DR6 and DR7 must be zero.</summary>
    public static RegisterRefusal CheckControl(ulong value) => value >> 32 != 0 ? RegisterRefusal.ReservedBits : RegisterRefusal.None;

    /// <summary>DR6 as it is when a value has been written.</summary>
    public static ulong HeldDr6(ulong value) => (value & Dr6Writable) | Dr6Fixed;

    /// <summary>DR7 as it is when a value has been written.</summary>
    public static ulong HeldDr7(ulong value) => (value & Dr7Writable) | Dr7Fixed;

    /// <summary>Sets or clears single-stepping in the poll word. Call after a change of TF, DR7 or the interrupt shadow.</summary>
    public static void RefreshStepping(CpuState* s)
    {
        bool wanted = (s->SystemFlags & Flags.TF) != 0 || s->InterruptShadow || (s->Dr7 & Enables) != 0;
        bool set = (Volatile.Read(ref s->Engine->Poll) & (int)Attention.SingleStep) != 0;
        if (wanted == set)
        {
            return;
        }

        if (wanted)
        {
            Interlocked.Or(ref s->Engine->Poll, (int)Attention.SingleStep);
        }
        else
        {
            Interlocked.And(ref s->Engine->Poll, ~(int)Attention.SingleStep);
        }
    }

    /// <summary>Records data breakpoints that an access hits; #DB is raised after the instruction.</summary>
    public static void NoteAccess(CpuState* s, ulong linear, int size, bool write) =>
        s->Engine->PendingDebug |= Match(s, linear, size, write ? Write : 3);

    /// <summary>
    /// After MOV SS and POP SS: data breakpoints that their operand hit are raised after the next instruction, and no single-step trap
    /// follows (Intel SDM vol. 3, 6.8.3). A fault of that instruction, or INT1, discards them.
    /// </summary>
    public static void HoldOff(CpuState* s)
    {
        s->Engine->StepTrap = false;
        s->HeldDebug = s->Engine->PendingDebug;
        s->Engine->PendingDebug = 0;
    }

    /// <summary>Records I/O breakpoints (CR4.DE, R/W = 10b) that a port access hits.</summary>
    public static void NotePort(CpuState* s, ushort port, int size)
    {
        if ((s->Dr7 & Enables) != 0 && (s->Cr4 & Cr4.DE) != 0)
        {
            s->Engine->PendingDebug |= Match(s, port, size, InputOutput);
        }
    }

    /// <summary>Breakpoints that cover an access; a load (kind 3) hits read-write ones only, a store those and write ones.</summary>
    public static uint Match(CpuState* s, ulong address, int size, int kind)
    {
        uint hits = 0;
        for (int i = 0; i < 4; i++)
        {
            int condition = (int)(s->Dr7 >> (16 + (i * 4))) & 3;
            if (((s->Dr7 >> (i * 2)) & 3) == 0 || !(condition == kind || (kind == Write && condition == 3)))
            {
                continue;
            }

            // LEN: 00 one byte, 01 two, 11 four, 10 eight; the address is aligned down to it.
            ulong length = ((s->Dr7 >> (18 + (i * 4))) & 3) switch { 0 => 1UL, 1 => 2UL, 3 => 4UL, _ => 8UL };
            ulong start = (i switch { 0 => s->Dr0, 1 => s->Dr1, 2 => s->Dr2, _ => s->Dr3 }) & ~(length - 1);
            if (address < start + length && start < address + (ulong)size)
            {
                hits |= 1u << i;
            }
        }

        return hits;
    }
}
