using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Iced.Intel;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Decode;

/// <summary>
/// Decodes guest code into operations, from one address to the first jump that ends a block, the end of the page, or a limit of length.
/// </summary>
// SAFETY: the block has room for the longest one (IBlockDecoder), and the loop stops at MaxInstructions and at the end of what was fetched:
// within one page, which is RAM, and within the pinned buffer. Of a second page only the bytes to complete one instruction are read.
internal sealed unsafe class BlockDecoder : IBlockDecoder
{
    private const int MaxInstructionLength = Block.MaxInstructionLength;

    /// <summary>
    /// The most conditional jumps in the middle of a block. Compilers place the likely path behind a forward jump; but with each further
    /// one the rest of the block is less likely to run, and may be decoded again in a block that begins there.
    /// </summary>
    private const int MaxSideExits = 6;

    private readonly CodeBytesReader _reader = new();
    private readonly IInstructionBinder _binder;
    private readonly Decoder[] _decoders;

    /// <summary>
    /// Guest code, read from guest memory once, so that decoding, translation and the block's copy agree even if another agent writes to it
    /// meanwhile. Pinned.
    /// </summary>
    private readonly byte[] _fetched = GC.AllocateUninitializedArray<byte>(Block.MaxBytes, pinned: true);

    public BlockDecoder(IInstructionBinder binder)
    {
        _binder = binder;

        // Indexed by bitness / 32: 16, 32, 64.
        _decoders = [Decoder.Create(16, _reader), Decoder.Create(32, _reader), Decoder.Create(64, _reader)];
    }

    /// <inheritdoc/>
    public bool Decode(CpuState* s, Block* block, ulong linear, ulong physical)
    {
        byte* memory = PageWalk.Host(s, physical);
        int inPage = GuestRam.PageSize - (int)Page.Offset(physical);
        int available = Math.Min(inPage, Block.MaxBytes);
        new ReadOnlySpan<byte>(memory, available).CopyTo(_fetched);

        // SAFETY: the array is pinned, and lives as long as the decoder.
        byte* code = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_fetched));
        *block = new Block
        {
            Physical = physical,
            HostPage = memory - Page.Offset(physical),
            Mode = s->Mode,
            SecondPage = Block.NoPage,
        };

        Decoder decoder = _decoders[BitnessOf(s->Mode) / 32];
        Op* ops = Block.Ops(block);
        int count = 0;
        int offset = 0;
        int exits = 0;
        bool open = true;
        while (open && count < Block.MaxInstructions && offset < available)
        {
            _reader.Reset(code + offset, code + available);
            decoder.IP = linear + (ulong)offset;
            decoder.Decode(out Instruction instruction);
            if (instruction.IsInvalid && decoder.LastError == DecoderError.NoMoreBytes && inPage - offset < MaxInstructionLength)
            {
                if (count > 0)
                {
                    break;
                }

                return DecodeCrossing(s, block, decoder, linear, code, inPage);
            }

            if (count > 0 && ops[count - 1].Continues)
            {
                exits++;
            }

            open = Append(s, block, ref instruction, ops + count, offset, code + offset);
            if (!open && exits < MaxSideExits && IsForward(in instruction, ops + count, s->Mode))
            {
                open = ops[count].Continues = true;
            }

            count++;
            offset += Math.Max(1, instruction.Length);
        }

        // No instruction follows in this block.
        ops[count - 1].Continues = false;
        Close(block, count, offset, code);
        return true;
    }

    /// <summary>Whether the instruction is a forward conditional jump, after which the block continues.</summary>
    private static bool IsForward(in Instruction instruction, Op* op, CpuMode mode) =>
        (mode & CpuMode.Segmented) == 0 && instruction.IsJccShortOrNear && op->IsImplemented && op->Disp > op->Offset;

    /// <summary>Decodes a block of one instruction that crosses into the next page.</summary>
    private bool DecodeCrossing(CpuState* s, Block* block, Decoder decoder, ulong linear, byte* code, int available)
    {
        ulong next = Page.Base(linear) + GuestRam.PageSize;
        if ((s->Mode & CpuMode.Long64) == 0)
        {
            next = (uint)next;
        }

        if (!Mmu.TranslateFetch(s, next, out ulong second))
        {
            return false;
        }

        // Read again: the walk may have set accessed bits in these bytes, which are not known to be code yet.
        new ReadOnlySpan<byte>(block->HostPage + Page.Offset(block->Physical), available).CopyTo(_fetched);
        byte* secondHost = PageWalk.Host(s, second);
        Span<byte> rest = _fetched.AsSpan(available, MaxInstructionLength - available);
        if (secondHost == null)
        {
            rest.Fill(0xFF);
        }
        else
        {
            new ReadOnlySpan<byte>(secondHost, rest.Length).CopyTo(rest);
        }

        _reader.Reset(code, code + MaxInstructionLength);
        decoder.IP = linear;
        decoder.Decode(out Instruction instruction);
        block->SecondPage = second;
        block->SecondHostPage = secondHost;
        Append(s, block, ref instruction, Block.Ops(block), 0, code);
        Close(block, 1, Math.Max(1, instruction.Length), code);
        return true;
    }

    private bool Append(CpuState* s, Block* block, ref Instruction instruction, Op* op, int offset, byte* code)
    {
        *op = new Op { Offset = (ushort)offset, Length = (byte)instruction.Length, Code = (ushort)instruction.Code };
        if (instruction.IsInvalid)
        {
            // An instruction that is invalid only because it does not end within fifteen bytes raises #GP (Intel SDM vol. 3, 6.15, #GP).
            op->Handler = instruction.Length == MaxInstructionLength && !EndsInTime(s->Mode, code) ? &Raise.TooLong : &Raise.Undefined;
            return false;
        }

        OperandFields.Fill(in instruction, op, block->Mode);
        Handler handler = _binder.Bind(in instruction, op, block->Mode, s->Features);
        op->Handler = handler != null ? handler : _binder.NotImplemented;
        op->IsImplemented = handler != null;
        return instruction.FlowControl == FlowControl.Next && handler != null && !_binder.EndsBlock(in instruction);
    }

    /// <summary>
    /// Whether an invalid instruction ends within fifteen bytes: it does if it decodes without checks for invalid combinations (LOCK with
    /// an instruction that does not take it, REX before VEX).
    /// </summary>
    private bool EndsInTime(CpuMode mode, byte* code)
    {
        _reader.Reset(code, code + MaxInstructionLength);
        var lenient = Decoder.Create(BitnessOf(mode), _reader, DecoderOptions.NoInvalidCheck);
        lenient.Decode(out Instruction instruction);
        return !instruction.IsInvalid;
    }

    private static int BitnessOf(CpuMode mode) => (mode & CpuMode.Long64) != 0 ? 64 : (mode & CpuMode.Code32) != 0 ? 32 : 16;

    private static void Close(Block* block, int count, int length, byte* code)
    {
        block->Count = (ushort)count;
        block->ByteLength = (ushort)length;

        // The last operation jumps to the next instruction: for a conditional jump that is not taken, or a block that ends at a limit.
        Op* tail = Block.Ops(block) + count;
        *tail = new Op { Handler = &Flow.FallThrough, Offset = (ushort)length, Disp = length };
        Unsafe.CopyBlockUnaligned(Block.Code(block), code, (uint)length);
    }
}
