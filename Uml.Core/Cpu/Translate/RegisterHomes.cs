using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Emit;

namespace Uml.Core.Cpu.Translate;

/// <summary>Guest registers as operands of host instructions: in their own register of the host, or on their way from and to the state.</summary>
/// <param name="code">Writes loads and stores.</param>
internal sealed class RegisterHomes(HostAssembler code)
{
    /// <summary>A register of the guest in a register of the host.</summary>
    /// <param name="guest">Its number.</param>
    /// <param name="scratch">Where it goes if it is kept in the state.</param>
    /// <param name="load">It is read: its value is needed.</param>
    /// <returns>The host register.</returns>
    public int Use(int guest, int scratch, bool load)
    {
        int host = GuestRegisters.Host(guest);
        if (host != GuestRegisters.None)
        {
            return host;
        }

        if (load)
        {
            code.Load(scratch, GuestRegisters.State, StateLayout.Gpr(guest));
        }

        return scratch;
    }

    /// <summary>Ends a write to a register that is kept in the state.</summary>
    /// <param name="guest">Its number.</param>
    /// <param name="used">What <see cref="Use"/> gave for it.</param>
    public void PutBack(int guest, int used)
    {
        if (GuestRegisters.IsInState(guest))
        {
            code.Store(GuestRegisters.State, StateLayout.Gpr(guest), used);
        }
    }

    /// <summary>Adds to the guest's RSP, or ESP. Flags stay.</summary>
    public void MoveStackPointer(int by, bool wide) => code.LoadAddress(GuestRegisters.StackPointer, GuestRegisters.StackPointer, by, wide);
}
