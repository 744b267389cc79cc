using System.Runtime.InteropServices;
using Iced.Intel;

namespace Uml.Differential.Tests.Generation;

/// <summary>
/// Writes random encodings of one instruction form at the level of bytes (prefixes, REX, ModRM, SIB, displacement, immediate) and lets
/// Iced's decoder say whether the form came out. That reaches the encodings no assembler emits.
/// </summary>
internal sealed class EncodingGenerator(int bitness)
{
    private const int MaxLength = 15;
    private readonly byte[] _buffer = new byte[48];
    private readonly byte[] _decoded = new byte[48];

    /// <summary>Registers that memory operands prefer as base and index, or -1.</summary>
    public int PreferredBase { get; set; } = -1;

    public int PreferredIndex { get; set; } = -1;

    /// <summary>Draws one encoding; false when the bytes drawn are another form, which a caller answers by drawing again.</summary>
    /// <param name="rng">Source of randomness.</param>
    /// <param name="info">The form wanted.</param>
    /// <param name="address">Where the instruction will stand.</param>
    /// <param name="code">Receives the bytes.</param>
    /// <param name="instruction">What they decode to.</param>
    /// <param name="length">How many bytes there are.</param>
    public bool TryWrite(ref Rng rng, OpCodeInfo info, ulong address, Span<byte> code, out Instruction instruction, out int length)
    {
        var writer = new SpanWriter(_buffer);
        WritePrefixes(ref rng, info, ref writer);
        if (info.Encoding == EncodingKind.VEX)
        {
            VexPrefix.Write(ref rng, info, bitness, ref writer);
        }
        else
        {
            WriteRex(ref rng, info, ref writer);
        }

        WriteOpCode(ref rng, info, ref writer);
        WriteTail(ref rng, info, ref writer);
        return TryDecode(_buffer.AsSpan(0, writer.Position), address, info.Code, code, out instruction, out length);
    }

    /// <summary>Decodes bytes that were patched.</summary>
    public Instruction Decode(ReadOnlySpan<byte> code, ulong address, out ConstantOffsets offsets)
    {
        Decoder decoder = CreateDecoder(code, address);
        decoder.Decode(out Instruction instruction);
        offsets = decoder.GetConstantOffsets(instruction);
        return instruction;
    }

    private bool TryDecode(ReadOnlySpan<byte> bytes, ulong address, Code wanted, Span<byte> code, out Instruction instruction, out int length)
    {
        Decoder decoder = CreateDecoder(bytes, address);
        decoder.Decode(out instruction);
        length = instruction.Length;
        if (instruction.Code != wanted || length > MaxLength || instruction.SegmentPrefix == Register.FS)
        {
            return false;
        }

        bytes[..length].CopyTo(code);
        return true;
    }

    private Decoder CreateDecoder(ReadOnlySpan<byte> bytes, ulong address)
    {
        bytes.CopyTo(_decoded);
        return Decoder.Create(bitness, _decoded, address);
    }

    private void WritePrefixes(ref Rng rng, OpCodeInfo info, ref SpanWriter writer)
    {
        Span<byte> prefixes = stackalloc byte[8];

        // In front of VEX any of the prefixes that could mean something else raises #UD (Intel SDM vol. 2, 2.3.2 and 2.3.3).
        int count = info.Encoding == EncodingKind.VEX ? 0 : ChooseOperationPrefixes(ref rng, info, prefixes);
        bool wants67 = info.AddressSize != 0 && info.AddressSize != bitness;
        if (wants67 || (info.AddressSize == 0 && rng.OneIn(10)))
        {
            prefixes[count++] = 0x67;
        }

        if (info.CanUseLockPrefix && rng.OneIn(3))
        {
            prefixes[count++] = 0xF0;
        }

        if (rng.OneIn(16))
        {
            // ES, CS, SS, DS: ignored in 64-bit mode. GS: a base of its own.
            prefixes[count++] = bitness == 64 && rng.OneIn(2) ? (byte)0x65 : (byte)(0x26 + (8 * rng.Below(4)));
        }

        for (; count > 0; count--)
        {
            int pick = rng.Below(count);
            writer.Write(prefixes[pick]);
            prefixes[pick] = prefixes[count - 1];
        }
    }

    /// <summary>Operand size, and what repeats or selects an operation.</summary>
    private static int ChooseOperationPrefixes(ref Rng rng, OpCodeInfo info, Span<byte> prefixes)
    {
        int count = 0;
        bool isBranch = info.Code.IsJccShortOrNear() || info.Code.IsJmpShortOrNear() || info.Code.IsCallNear() || IsTransfer(info);
        bool wants66 = info.OperandSize == 16 || info.MandatoryPrefix == MandatoryPrefix.P66;

        // Redundant operand-size prefixes stay off branches (EncodingChoices.IsAmbiguous).
        if (wants66 || (!isBranch && info.MandatoryPrefix != MandatoryPrefix.PNP && rng.OneIn(24)))
        {
            prefixes[count++] = 0x66;
        }

        if (info.MandatoryPrefix is MandatoryPrefix.PF2 or MandatoryPrefix.PF3)
        {
            prefixes[count++] = info.MandatoryPrefix == MandatoryPrefix.PF2 ? (byte)0xF2 : (byte)0xF3;
        }
        else if ((info.CanUseRepPrefix || info.CanUseRepnePrefix) && rng.OneIn(2))
        {
            prefixes[count++] = rng.OneIn(2) ? (byte)0xF2 : (byte)0xF3;
        }
        else if (info.Table == OpCodeTableKind.Normal && !isBranch && rng.OneIn(40))
        {
            prefixes[count++] = rng.OneIn(2) ? (byte)0xF2 : (byte)0xF3;
        }

        return count;
    }

    /// <summary>Near returns and indirect branches, which Iced's branch predicates leave out.</summary>
    private static bool IsTransfer(OpCodeInfo info) => info.Mnemonic
        is Mnemonic.Ret or Mnemonic.Jmp or Mnemonic.Call or Mnemonic.Loop or Mnemonic.Loope or Mnemonic.Loopne
        or Mnemonic.Jcxz or Mnemonic.Jecxz or Mnemonic.Jrcxz;

    private void WriteRex(ref Rng rng, OpCodeInfo info, ref SpanWriter writer)
    {
        if (bitness != 64)
        {
            return;
        }

        int rex = rng.OneIn(3) ? 0 : rng.Below(8);
        bool needsW = info.W == 1 || (info.OperandSize == 64 && !info.DefaultOpSize64 && !info.ForceOpSize64);
        if (needsW || (info.OperandSize is 0 or 64 && rng.OneIn(8)))
        {
            rex |= 8;
        }

        if (info.Mnemonic == Mnemonic.Pause)
        {
            rex &= ~1; // with REX.B some processors take it for XCHG R8
        }

        if (rex != 0 || rng.OneIn(4))
        {
            writer.Write((byte)(0x40 | rex));
        }
    }

    private static void WriteOpCode(ref Rng rng, OpCodeInfo info, ref SpanWriter writer)
    {
        switch (info.Encoding == EncodingKind.VEX ? OpCodeTableKind.Normal : info.Table)
        {
            case OpCodeTableKind.T0F:
                writer.Write(0x0F);
                break;
            case OpCodeTableKind.T0F38:
                writer.Write(0x0F);
                writer.Write(0x38);
                break;
            case OpCodeTableKind.T0F3A:
                writer.Write(0x0F);
                writer.Write(0x3A);
                break;
        }

        uint opCode = info.OpCode;
        if (HasRegisterInOpCode(info))
        {
            opCode += (uint)rng.Below(8);
        }

        if (info.OpCodeLength == 2)
        {
            writer.Write((byte)(opCode >> 8));
        }

        writer.Write((byte)opCode);
    }

    private static bool HasRegisterInOpCode(OpCodeInfo info)
    {
        for (int i = 0; i < info.OpCount; i++)
        {
            if (info.GetOpKind(i) is OpCodeOperandKind.r8_opcode or OpCodeOperandKind.r16_opcode or OpCodeOperandKind.r32_opcode
                or OpCodeOperandKind.r64_opcode or OpCodeOperandKind.sti_opcode)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>ModRM and SIB where the form has them, then bytes that serve as displacement and immediate, as many as the form takes.</summary>
    private void WriteTail(ref Rng rng, OpCodeInfo info, ref SpanWriter writer)
    {
        int modRm = rng.OneIn(2) ? rng.Below(256) | 0xC0 : rng.Below(256);
        if (PreferredBase >= 0 && !rng.OneIn(3))
        {
            modRm = (modRm & 0xF8) | (rng.OneIn(3) ? 4 : PreferredBase & 7);
        }

        if (info.IsGroup)
        {
            modRm = (modRm & 0xC7) | (info.GroupIndex << 3);
        }

        if (info.IsRmGroup)
        {
            modRm = (modRm & 0xF8) | info.RmGroupIndex;
        }

        if (VexPrefix.HasIndexVector(info))
        {
            modRm = ((modRm & 0xF8) | 4) - (modRm >= 0xC0 ? 0x40 * (1 + rng.Below(3)) : 0);
        }

        Span<byte> tail = stackalloc byte[24];
        WriteImmediateBytes(ref rng, tail);
        if (info.IsGroup || info.IsRmGroup || HasModRm(info))
        {
            writer.Write((byte)modRm);
            if ((modRm & 7) == 4 && modRm < 0xC0)
            {
                int sib = rng.Below(256);
                if (PreferredBase >= 0)
                {
                    sib = (sib & 0xC0) | ((PreferredIndex & 7) << 3) | (PreferredBase & 7);
                }

                writer.Write((byte)sib);
            }
        }

        foreach (byte value in tail)
        {
            writer.Write(value);
        }
    }

    private static bool HasModRm(OpCodeInfo info)
    {
        if (info.Encoding == EncodingKind.VEX)
        {
            return info.OpCount > 0;
        }

        for (int i = 0; i < info.OpCount; i++)
        {
            switch (info.GetOpKind(i))
            {
                case OpCodeOperandKind.mem or OpCodeOperandKind.mem_mpx or OpCodeOperandKind.mem_mib:
                case OpCodeOperandKind.r8_or_mem or OpCodeOperandKind.r16_or_mem or OpCodeOperandKind.r32_or_mem:
                case OpCodeOperandKind.r64_or_mem or OpCodeOperandKind.r32_or_mem_mpx or OpCodeOperandKind.r64_or_mem_mpx:
                case OpCodeOperandKind.mm_or_mem or OpCodeOperandKind.xmm_or_mem:
                case OpCodeOperandKind.r16_reg or OpCodeOperandKind.r16_reg_mem or OpCodeOperandKind.r32_reg or OpCodeOperandKind.r32_reg_mem:
                case OpCodeOperandKind.r64_reg or OpCodeOperandKind.r64_reg_mem or OpCodeOperandKind.r8_reg:
                case OpCodeOperandKind.r16_rm or OpCodeOperandKind.r32_rm or OpCodeOperandKind.r64_rm:
                case OpCodeOperandKind.mm_reg or OpCodeOperandKind.mm_rm or OpCodeOperandKind.xmm_reg or OpCodeOperandKind.xmm_rm:
                case OpCodeOperandKind.seg_reg or OpCodeOperandKind.cr_reg or OpCodeOperandKind.dr_reg:
                    return true;
            }
        }

        return false;
    }

    private static void WriteImmediateBytes(ref Rng rng, Span<byte> tail)
    {
        if (rng.OneIn(2))
        {
            rng.Fill(tail);
            return;
        }

        // Displacements of one byte and immediates of every size meet their edges this way.
        for (int i = 0; i < tail.Length; i += 8)
        {
            MemoryMarshal.Write(tail[i..], EdgeValues.Integer(ref rng));
        }

        int shift = rng.Below(5);
        tail[shift..].CopyTo(tail);
    }
}

/// <summary>Appends bytes to a span.</summary>
internal ref struct SpanWriter(Span<byte> buffer)
{
    private readonly Span<byte> _buffer = buffer;

    public int Position { get; private set; }

    public void Write(byte value) => _buffer[Position++] = value;
}
