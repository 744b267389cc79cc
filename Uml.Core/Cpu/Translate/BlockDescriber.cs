using Iced.Intel;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Decode;

namespace Uml.Core.Cpu.Translate;

/// <summary>Decodes the instructions of a block once more, for all of their fields, and has each planned.</summary>
internal sealed unsafe class BlockDescriber
{
    // SAFETY: operations and bytes are those of the context's block, which lasts longer than the call; the reader stops at an instruction's end.
    private readonly Planner _planner;
    private readonly CodeBytesReader _reader = new();
    private readonly Decoder _decoder64;
    private readonly Decoder _decoder32;

    public BlockDescriber(Planner planner)
    {
        _planner = planner;
        _decoder64 = Decoder.Create(64, _reader);
        _decoder32 = Decoder.Create(32, _reader);
    }

    /// <summary>Fills in the plans of the block's instructions.</summary>
    /// <returns>The lowest flavor that the block can be translated in.</returns>
    public Flavor Describe(BlockContext context)
    {
        Flavor needed = Flavor.Integer;
        Block* block = context.Block;
        Op* ops = Block.Ops(block);
        byte* code = Block.Code(block);
        Decoder decoder = context.IsLong ? _decoder64 : _decoder32;
        for (int i = 0; i < context.Count; i++)
        {
            ref Plan plan = ref context[i];
            plan = default;
            plan.PageOffset = context.PageOffset + ops[i].Offset;
            _reader.Reset(code + ops[i].Offset, code + ops[i].Offset + ops[i].Length);
            decoder.IP = (ulong)plan.PageOffset;
            decoder.Decode(out plan.Instruction);
            _planner.Describe(ref plan, block, ops + i);
            if (plan.Form == Form.SetInterrupt && i + 1 == context.Count)
            {
                // What must not be interrupted is in another block.
                Planner.GiveUp(ref plan);
            }

            plan.IsSideExit = plan.Form == Form.JumpIf && i + 1 < context.Count;
            if (plan.Form != Form.Handler && plan.Needed > needed)
            {
                needed = plan.Needed;
            }
        }

        return needed;
    }
}
