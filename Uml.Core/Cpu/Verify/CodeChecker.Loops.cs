using Iced.Intel;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;

namespace Uml.Core.Cpu.Verify;

/// <summary>Checks loops within a translation.</summary>
// SAFETY: a site is one that TryGetSite has checked; addresses are looked up and not followed.
internal sealed unsafe partial class CodeChecker
{
    private enum Visit : byte { None, Open, Done }

    private readonly Stack<int> _path = new();
    private Visit[] _visits = new Visit[256];

    /// <summary>
    /// Finds a loop that neither passes through the entry, which counts and polls, nor calls a stub that exits once the poll word is set: a
    /// depth-first search without edges to the entry or behind such calls.
    /// </summary>
    private string? CheckLoops()
    {
        if (_visits.Length < _count)
        {
            _visits = new Visit[_instructions.Length];
        }

        Array.Clear(_visits, 0, _count);
        for (int start = 0; start < _count; start++)
        {
            if (_visits[start] == Visit.None && FindLoop(start) is { } defect)
            {
                _path.Clear();
                return defect;
            }
        }

        return null;
    }

    private string? FindLoop(int start)
    {
        _path.Push(start);
        while (_path.TryPeek(out int index))
        {
            if (_visits[index] != Visit.None)
            {
                _visits[index] = Visit.Done;
                _path.Pop();
                continue;
            }

            _visits[index] = Visit.Open;
            if (!Visits(index, Target(index)) || !Visits(index, Following(index)))
            {
                return Describe(index, "it begins a loop that is not counted");
            }
        }

        return null;
    }

    /// <returns>False when the instruction is on the path already.</returns>
    private bool Visits(int from, int index)
    {
        if (index > 0 && _visits[index] == Visit.Open)
        {
            return false;
        }

        if (index > 0 && _visits[index] == Visit.None)
        {
            _path.Push(index);
        }

        return true;
    }

    private int Target(int index)
    {
        ref readonly Instruction i = ref _instructions[index].Instruction;
        return i.FlowControl switch
        {
            FlowControl.UnconditionalBranch or FlowControl.ConditionalBranch => IndexOf((nint)i.NearBranchTarget),
            FlowControl.Call => WayOn(index),
            _ => -1,
        };
    }

    /// <summary>Where the runtime may continue instead of behind a call.</summary>
    private int WayOn(int call) => _isReached[call]
        && _stubs.ContractAt((nint)_instructions[call].Instruction.NearBranchTarget)?.Kind is StubKind.Lookup or StubKind.CheckPage
        && TryGetSite(call, _states[call].Flavor, out Site* site)
        ? IndexOf((nint)_memory.ToWritable(site->Unlinked))
        : -1;

    private int Following(int index)
    {
        ref readonly Instruction i = ref _instructions[index].Instruction;
        bool runsOn = i.FlowControl is FlowControl.Next or FlowControl.ConditionalBranch
            || (i.FlowControl == FlowControl.Call && _stubs.ContractAt((nint)i.NearBranchTarget) is { FindsWay: false });
        return runsOn ? IndexOf((nint)i.NextIP) : -1;
    }
}
