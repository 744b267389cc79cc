using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Emit;

namespace Uml.Core.Cpu.Translate;

/// <summary>
/// The ways into a translation: the entry, which counts the block's instructions and looks whether something waits, and what is done when the
/// block is not entered there, or was dropped.
/// </summary>
/// <param name="code">Writes it.</param>
/// <param name="calls">Calls stubs.</param>
/// <param name="jumpTable">Has the epoch.</param>
/// <param name="flagEmitter">Saves flags that the block is entered with.</param>
/// <param name="context">The block.</param>
internal sealed unsafe class EntryEmitter(
    HostAssembler code,
    StubCalls calls,
    JumpTableEmitter jumpTable,
    FlagEmitter flagEmitter,
    BlockContext context)
{
    // SAFETY: pointers are positions in the block that is emitted, bound before it ends; the gate's target is the translation of a block that is
    // not dropped meanwhile, and dropping it redirects the gate's too.
    private const int Scratch = GuestRegisters.Scratch, Address = GuestRegisters.Address;

    /// <summary>Where the block begins.</summary>
    private byte* _entry;

    /// <summary>The jump taken when the block is not entered.</summary>
    private byte* _exhausted;

    /// <summary>
    /// Of a block that runs over the end of its page: where it looks whether the page behind is still the same, the epoch in which it is,
    /// and the jump taken in another.
    /// </summary>
    private byte* _check, _checkEpoch, _unchecked;

    /// <summary>Counts the block's instructions and looks whether something waits (see <see cref="Flow.Enter"/>).</summary>
    /// <returns>Entry and body of a translation.</returns>
    public EmittedBlock EmitEntry()
    {
        code.Align(16);
        _entry = code.Position;
        code.ArithmeticMemoryImmediate(Arithmetic.Sub, GuestRegisters.State, StateLayout.Remaining, context.Count);
        _exhausted = code.JumpIf(Condition.S);
        if (context.Block->SecondPage != Block.NoPage)
        {
            _check = code.Position;
            _unchecked = jumpTable.EmitEpochCheck(out _checkEpoch);
        }

        return new EmittedBlock { Hot = _entry, Body = code.Position };
    }

    /// <summary>What is done when the block is not entered.</summary>
    /// <returns>Where it goes on once it is dropped.</returns>
    public byte* EmitLeave()
    {
        code.Bind(_exhausted);
        GiveBackCount();
        flagEmitter.SaveRemade(in context.Incoming);
        code.MoveImmediate(Scratch, context.PageOffset);
        calls.Refill();
        code.Jump(_entry);
        byte* overrun = context.Block->SecondPage == Block.NoPage ? null : EmitPageCheck();
        byte* abandoned = code.Position;
        if (overrun != null)
        {
            code.Bind(overrun);
        }

        flagEmitter.SaveRemade(in context.Incoming);
        code.Load(Address, GuestRegisters.State, StateLayout.PageRip);
        code.LoadAddress(Address, Address, context.PageOffset);
        calls.Reenter();
        return abandoned;
    }

    /// <summary>Goes from one flavor to a translation in a higher one: loads what that has in registers besides.</summary>
    public void EmitGate(byte* target, Flavor needed)
    {
        byte* unmasked = null;
        if (context.Flavor == Flavor.Integer)
        {
            calls.LoadVectors();
            unmasked = code.JumpIf(Condition.Ne);
        }

        if (needed == Flavor.X87)
        {
            calls.LoadX87()->Flavor = Flavor.Vector;
        }

        code.Jump(target);
        if (unmasked != null)
        {
            code.Bind(unmasked);
            calls.Interpret();
        }
    }

    /// <summary>Looks whether the page behind the block's is the same in the present epoch.</summary>
    /// <returns>A jump taken when it is not, with the block as if it had not been entered.</returns>
    private byte* EmitPageCheck()
    {
        code.Bind(_unchecked);
        flagEmitter.SaveRemade(in context.Incoming);
        Site* site = calls.CheckPage();
        site->Epoch = _checkEpoch;
        code.Jump(_check);
        calls.MarkUnlinked(site);
        GiveBackCount();
        return code.Jump();
    }

    private void GiveBackCount() =>
        code.ArithmeticMemoryImmediate(Arithmetic.Add, GuestRegisters.State, StateLayout.Remaining, context.Count);
}
