using System.Runtime.Intrinsics.X86;
using Uml.Core.Cpu.Contract;

namespace Uml.Core.Cpu.Emit;

/// <summary>Emits what moves the guest's vector registers and MXCSR between the state and the host's unit.</summary>
/// <param name="code">Writes it.</param>
/// <param name="wide">Translated code uses all of YMM0 to YMM15; otherwise the upper halves stay in the state.</param>
internal sealed unsafe class VectorTransfer(HostAssembler code, bool wide)
{
    private const int Count = 16, UpperLane = 16;
    private const int Load128 = 0x28, Store128 = 0x29, Load256 = 0x10, Store256 = 0x11, Or = 0x56;

    /// <summary>To the state.</summary>
    public void EmitStore()
    {
        for (int i = 0; i < Count; i++)
        {
            if (wide)
            {
                EmitWide(Store256, i, StateLayout.Vector(i), is256: true);
            }
            else
            {
                EmitNarrow(Store128, i);
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
        EmitWide(Load256, 0, StateLayout.Vector(0) + UpperLane, is256: false);
        for (int i = 1; i < Count; i++)
        {
            EmitWide(Or, 0, StateLayout.Vector(i) + UpperLane, is256: false);
        }

        // vptest xmm0, xmm0
        code.Vex(map: 2, pp: 1, wide: false, is256: false, reg: 0, vvvv: 0, rm: 0);
        code.Byte(0x17);
        code.ModRmRegister(0, 0);
        byte* used = code.JumpIf(Condition.Ne);
        EmitLoadNarrow();
        byte* done = code.Jump();
        code.Bind(used);
        for (int i = 0; i < Count; i++)
        {
            EmitWide(Load256, i, StateLayout.Vector(i), is256: true);
        }

        code.Bind(done);
    }

    private void EmitLoadNarrow()
    {
        if (Avx.IsSupported)
        {
            // For what .NET has left in the upper halves.
            code.Byte(0xC5);
            code.Byte(0xF8);
            code.Byte(0x77); // vzeroupper
        }

        for (int i = 0; i < Count; i++)
        {
            EmitNarrow(Load128, i);
        }
    }

    /// <summary>MOVAPS between a register and its slot.</summary>
    private void EmitNarrow(int opcode, int number)
    {
        code.Rex(false, number, 0, GuestRegisters.State);
        code.Byte(0x0F);
        code.Byte(opcode);
        code.ModRmMemory(number, GuestRegisters.State, StateLayout.Vector(number));
    }

    /// <summary>VMOVUPS, or VORPS into its first source, with memory.</summary>
    private void EmitWide(int opcode, int number, int displacement, bool is256)
    {
        code.Vex(map: 1, pp: 0, wide: false, is256, number, vvvv: opcode == Or ? number : 0, GuestRegisters.State);
        code.Byte(opcode);
        code.ModRmMemory(number, GuestRegisters.State, displacement);
    }
}
