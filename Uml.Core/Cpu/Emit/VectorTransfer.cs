using System.Runtime.Intrinsics.X86;
using Uml.Core.Cpu.Contract;

namespace Uml.Core.Cpu.Emit;

/// <summary>Emits what moves the guest's vector registers and MXCSR between the state and the host's unit.</summary>
/// <param name="code">Writes it.</param>
/// <param name="wide">Translated code uses all of YMM0 to YMM15; otherwise the upper halves stay in the state.</param>
internal sealed unsafe class VectorTransfer(HostAssembler code, bool wide)
{
    // SAFETY: pointers are positions in the assembler's memory, and only taken to bind jumps. The slots are fields of the state, aligned for MOVAPS
    // by its layout.
    private const int Count = 16, UpperLane = 16;

    /// <summary>To the state.</summary>
    public void EmitStore()
    {
        for (int i = 0; i < Count; i++)
        {
            if (wide)
            {
                code.StoreAvx(GuestRegisters.State, StateLayout.Vector(i), i);
            }
            else
            {
                code.StoreVector(GuestRegisters.State, StateLayout.Vector(i), i);
            }
        }

        code.StoreMxcsr(GuestRegisters.State, StateLayout.Mxcsr);
        EmitHostControl();
    }

    /// <summary>MXCSR as C# code needs it.</summary>
    public void EmitHostControl() => code.LoadMxcsr(GuestRegisters.State, StateLayout.HostMxcsr);

    /// <summary>To the host's unit. Changes flags.</summary>
    public void EmitLoad()
    {
        if (wide)
        {
            EmitLoadWide();
        }
        else
        {
            EmitLoadNarrow();
        }

        code.LoadMxcsr(GuestRegisters.State, StateLayout.Mxcsr);
    }

    /// <summary>
    /// Once the host takes an upper half for used, each SSE instruction that writes the register depends on what was there before: guests
    /// that keep to SSE, whose upper halves are zero, get them by VZEROUPPER.
    /// </summary>
    private void EmitLoadWide()
    {
        code.LoadAvx(0, GuestRegisters.State, StateLayout.Vector(0) + UpperLane, is256: false);
        for (int i = 1; i < Count; i++)
        {
            code.OrAvx(0, GuestRegisters.State, StateLayout.Vector(i) + UpperLane);
        }

        code.TestAvx(0);
        byte* used = code.JumpIf(Condition.Ne);
        EmitLoadNarrow();
        byte* done = code.Jump();
        code.Bind(used);
        for (int i = 0; i < Count; i++)
        {
            code.LoadAvx(i, GuestRegisters.State, StateLayout.Vector(i), is256: true);
        }

        code.Bind(done);
    }

    private void EmitLoadNarrow()
    {
        if (Avx.IsSupported)
        {
            // For what .NET has left in the upper halves.
            code.ZeroUpperHalves();
        }

        for (int i = 0; i < Count; i++)
        {
            code.LoadVector(i, GuestRegisters.State, StateLayout.Vector(i));
        }
    }
}
