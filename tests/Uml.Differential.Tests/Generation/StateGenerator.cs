using Iced.Intel;
using Uml.Differential.Tests.Engines;
using Uml.Differential.Tests.Native;

namespace Uml.Differential.Tests.Generation;

/// <summary>Random processor and memory states, biased to edges.</summary>
internal static class StateGenerator
{
    public const uint Cf = 1, Pf = 4, Af = 0x10, Zf = 0x40, Sf = 0x80, Tf = 0x100, If = 0x200, Df = 0x400, Of = 0x800, Ac = 0x4_0000, Id = 0x20_0000;
    public const uint StatusFlags = Cf | Pf | Af | Zf | Sf | Of;
    private const uint FixedFlags = 2 | If;

    private static readonly bool s_hasGsBase = HostProcessor.Has(CpuidFeature.FSGSBASE);
    private static readonly byte[] s_background = CreateBackground();

    public static void Fill(ref Rng rng, TestCase test)
    {
        ref MachineSnapshot state = ref test.State;
        state = default;
        state.Rip = Layout.Program;
        state.Vector = MachineSnapshot.Completed;
        foreach (ref ulong register in state.Gprs)
        {
            register = EdgeValues.Integer(ref rng);
            if (test.Bitness == 32)
            {
                register = (uint)register;
            }
        }

        if (test.Bitness == 32)
        {
            state.Gprs[8..].Clear();
        }

        state.Rflags = FixedFlags | ((uint)rng.Next() & (StatusFlags | Df));
        if (rng.OneIn(4))
        {
            state.Rflags |= Id;
        }

        if (rng.OneIn(16))
        {
            state.Rflags |= Ac;
        }

        state.GsBase = test.Bitness == 32 || !s_hasGsBase ? 0 : rng.Below(4) switch
        {
            0 => Layout.High,
            1 => Layout.Data,
            2 => (ulong)rng.Below(0x10_0000),
            _ => 0,
        };
        FillFloatingPoint(ref rng, ref state, test.Bitness);
        s_background.CopyTo(test.Memory, 0);
    }

    private static void FillFloatingPoint(ref Rng rng, ref MachineSnapshot state, int bitness)
    {
        state.Mxcsr = rng.OneIn(2) ? 0x1F80 : (uint)rng.Next() & 0xFFFF & (rng.OneIn(2) ? ~0x3Fu : ~0u);
        if (!rng.OneIn(6))
        {
            state.Mxcsr |= 0x1F80;
        }

        FillX87Control(ref rng, ref state);
        int xmms = bitness == 64 ? 16 : 8;
        for (int i = 0; i < xmms; i++)
        {
            EdgeValues.Fill(ref rng, state.Xmm(i));
            if (HostProcessor.HasAvx && !rng.OneIn(8))
            {
                EdgeValues.Fill(ref rng, state.UpperYmm(i));
            }
        }

        for (int i = 0; i < 8; i++)
        {
            if (rng.OneIn(6))
            {
                EdgeValues.Fill(ref rng, state.St(i)[..8]);
                state.St(i)[8..].Fill(0xFF); // as MMX instructions leave it
            }
            else
            {
                EdgeValues.Extended(ref rng, state.St(i));
            }
        }
    }

    private static void FillX87Control(ref Rng rng, ref MachineSnapshot state)
    {
        int control = 0x037F;
        if (!rng.OneIn(3))
        {
            control = 0x40 | (rng.Below(4) << 10) | (rng.Below(4) << 8) | 0x3F;
            if (((control >> 8) & 3) == 1 && !rng.OneIn(8))
            {
                control |= 0x300; // precision control 01 is reserved: rarely
            }

            if (rng.OneIn(6))
            {
                control &= ~0x3F | rng.Below(64);
            }
        }

        int status = (rng.Below(8) << 11) | (rng.Below(2) << 14) | (rng.Below(8) << 8);
        if (rng.OneIn(3))
        {
            int exceptions = rng.Below(128);
            if (!rng.OneIn(8))
            {
                exceptions &= control | 0x40; // mostly nothing pending
            }

            status |= exceptions;
        }

        if ((status & ~control & 0x3F) != 0)
        {
            status |= 0x8080; // ES and its copy B
        }

        state.ControlWord = (ushort)control;
        state.StatusWord = (ushort)status;
        state.Tags = rng.Below(5) switch
        {
            0 => 0,
            1 => (byte)rng.Next(),
            2 => (byte)(rng.Next() | rng.Next()),
            _ => 0xFF,
        };
    }

    /// <summary>What the windows hold where a case puts nothing of its own.</summary>
    private static byte[] CreateBackground()
    {
        var rng = new Rng(0xBAC6);
        byte[] memory = new byte[Layout.MemorySize];
        for (int i = 0; i < memory.Length; i += 64)
        {
            EdgeValues.Fill(ref rng, memory.AsSpan(i, 64));
        }

        // Wherever a return pops from, it goes to an exit slot.
        int stack = Layout.OffsetOf(Layout.Stack);
        for (int i = 0; i < Layout.PageSize; i += 8)
        {
            BitConverter.TryWriteBytes(memory.AsSpan(stack + i), Layout.SlotBehind);
        }

        return memory;
    }
}
