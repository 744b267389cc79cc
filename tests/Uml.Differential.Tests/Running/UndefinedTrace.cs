using Iced.Intel;
using Uml.Differential.Tests.Comparison;
using Uml.Differential.Tests.Engines;
using Uml.Differential.Tests.Generation;

namespace Uml.Differential.Tests.Running;

/// <summary>
/// Tells whether a program of arbitrary bytes ran into what instructions leave undefined, where engines may differ from then on: steps
/// through it in the interpreter.
/// </summary>
internal sealed class UndefinedTrace(int bitness) : IDisposable
{
    private readonly VirtualCpuExecutor _executor = new(bitness, writableCode: true, resumes: VirtualCpuExecutor.Resumes);
    private readonly byte[] _memory = new byte[Layout.MemorySize];

    /// <summary>Whether something was undefined before a program came to its stop of that number.</summary>
    public bool Explains(TestCase test, int stop)
    {
        MachineSnapshot state = test.State;
        byte[] code = test.Code;
        _executor.Load(state.Rip, code, test.Memory);
        try
        {
            for (int stops = 0; stops <= stop; stops++)
            {
                if (RunToStop(ref state))
                {
                    return true;
                }

                if (state.Vector < 0)
                {
                    return false;
                }

                _executor.Skip(ref state);
            }

            return false;
        }
        finally
        {
            _executor.Unload(code, _memory);
        }
    }

    /// <returns>Whether something was undefined on the way.</returns>
    private bool RunToStop(ref MachineSnapshot state)
    {
        long step = 1;
        for (long left = VirtualCpuExecutor.ResumingBudget; left > 0; left -= step)
        {
            step = 1;
            if (state.Rip - Layout.Code < Layout.PageSize)
            {
                Instruction instruction = _executor.DecodeAt(state.Rip);
                if (IsUndefined(in instruction, ref state))
                {
                    return true;
                }

                step = Math.Min(left, Repetitions(in instruction, ref state));
            }

            _executor.Continue(ref state, step, goesOn: left < VirtualCpuExecutor.ResumingBudget);
            if (state.Vector != MachineSnapshot.Endless)
            {
                return false;
            }
        }

        return false;
    }

    public void Dispose() => _executor.Dispose();

    /// <summary>
    /// How much of a repeated copy or fill runs at once: one that overwrites its own bytes would be fetched anew after each part, and the
    /// trace would leave the program's way.
    /// </summary>
    private static long Repetitions(in Instruction instruction, ref MachineSnapshot state)
    {
        bool repeats = (instruction.HasRepPrefix || instruction.HasRepnePrefix) && instruction.Mnemonic is Mnemonic.Movsb or Mnemonic.Movsw or Mnemonic.Movsd or Mnemonic.Movsq
            or Mnemonic.Stosb or Mnemonic.Stosw or Mnemonic.Stosd or Mnemonic.Stosq;
        ulong mask = instruction.Op0Kind switch { OpKind.MemoryESDI => ushort.MaxValue, OpKind.MemoryESEDI => uint.MaxValue, _ => ulong.MaxValue };
        return repeats ? (long)Math.Clamp(state.Gprs[1] & mask, 1UL, long.MaxValue) : 1;
    }

    /// <summary>Also which NaN a dot product keeps, and what stores the x87 unit's pointers.</summary>
    private static bool IsUndefined(in Instruction instruction, ref MachineSnapshot before) => instruction.Code is Code.Bswap_r16
        || ProcessorChoices.IsDotProduct(instruction.Mnemonic)
        || instruction.Mnemonic is Mnemonic.Fnstenv or Mnemonic.Fnsave or Mnemonic.Fxsave or Mnemonic.Fxsave64
        || instruction.Mnemonic is >= Mnemonic.Xsave and <= Mnemonic.Xsaves64
        || (instruction.Mnemonic is Mnemonic.Shld or Mnemonic.Shrd && instruction.Op1Register.GetSize() == 2)
        || Undefined.Flags(in instruction, ref before) != 0;
}
