using System.Runtime.InteropServices;
using Iced.Intel;
using Uml.Differential.Tests.Engines;

namespace Uml.Differential.Tests.Generation;

/// <summary>
/// Makes programs as someone would write them who looks for a way out: loops of random bytes, of valid instructions with a few bits and
/// bytes changed, and stores into their own code. Registers hold addresses of the guest's, mapped or not, and of the host's memory.
/// </summary>
internal sealed class ByteGenerator(FormCatalog catalog)
{
    private const int FirstPatchGroup = 1000;

    private readonly EncodingGenerator _encodings = new(catalog.Bitness);
    private readonly bool _isLong = catalog.Bitness == 64;
    private readonly byte[] _code = new byte[16];

    public TestCase Create(ulong seed)
    {
        var rng = new Rng(seed);
        var test = new TestCase { Bitness = catalog.Bitness, Seed = seed, Form = null, Kind = ProgramKind.Bytes };
        StateGenerator.Fill(ref rng, test);
        test.State.Rflags &= ~(ulong)StateGenerator.Ac;
        for (int i = 0; i < (_isLong ? 16 : 8); i++)
        {
            test.State.Gprs[i] = Value(ref rng);
        }

        if (!rng.OneIn(5))
        {
            test.State.Gprs[4] = Targets.ChooseStack(ref rng, catalog.Bitness);
        }

        if (_isLong)
        {
            test.State.GsBase = rng.OneIn(2) ? 0 : Value(ref rng) & 0x7FFF_FFFF_FFFF;
        }

        PlacePointers(ref rng, test);
        test.Steps = Steps(ref rng);
        return test;
    }

    /// <summary>An address, or a number.</summary>
    private ulong Value(ref Rng rng)
    {
        ulong value = rng.Below(16) switch
        {
            < 5 => Targets.Choose(ref rng, 8, reachesHigh: _isLong),
            < 7 => HostCanary.Low + (ulong)rng.Below(HostCanary.Size),
            < 10 => _isLong ? HostCanary.High + (ulong)rng.Below(HostCanary.Size) : HostCanary.Low + (ulong)rng.Below(HostCanary.Size),
            < 11 => Layout.Program + (ulong)rng.Below(0x40),
            < 13 => (ulong)rng.Below(64) - 16,
            _ => EdgeValues.Integer(ref rng),
        };
        return _isLong ? value : (uint)value;
    }

    /// <summary>Addresses in memory, for what loads them.</summary>
    private void PlacePointers(ref Rng rng, TestCase test)
    {
        for (int i = 0; i < 64; i++)
        {
            MemoryMarshal.Write(test.Memory.AsSpan(rng.Below(Layout.MemorySize / 8) * 8), Value(ref rng));
        }
    }

    private List<Step> Steps(ref Rng rng)
    {
        while (true)
        {
            List<Step> steps = [];
            int kind = rng.Below(4);
            int count = 1 + rng.Below(kind == 0 ? 3 : 8);
            for (int i = 0; i < count; i++)
            {
                steps.Add(new Step(kind == 0 ? RandomBytes(ref rng) : Damaged(ref rng)));
            }

            for (int patch = rng.OneIn(2) ? 1 + rng.Below(3) : 0; patch > 0; patch--)
            {
                AddPatch(ref rng, steps, FirstPatchGroup + patch);
            }

            // Back to the start, for ever.
            steps.Add(new Step([0xE9, 0, 0, 0, 0]) { Target = 0, TargetSize = 4 });
            if (Step.TryLink(steps, out _))
            {
                return steps;
            }
        }
    }

    private byte[] RandomBytes(ref Rng rng)
    {
        byte[] bytes = new byte[1 + rng.Below(20)];
        for (int i = 0; i < bytes.Length; i++)
        {
            bytes[i] = rng.OneIn(4) ? Prefix(ref rng) : (byte)rng.Next();
        }

        return bytes;
    }

    private byte Prefix(ref Rng rng) => _isLong && rng.OneIn(2) ? (byte)(0x40 | rng.Below(16)) : PrefixPatterns.Legacy[rng.Below(PrefixPatterns.Legacy.Length)];

    /// <summary>An instruction, of which some bits or bytes may be others, missing, or more.</summary>
    private byte[] Damaged(ref Rng rng)
    {
        Instruction instruction;
        int length;
        do
        {
            // Few of those that leave flags undefined, after which engines may differ.
        }
        while (!_encodings.TryWrite(ref rng, catalog.Covered[rng.Below(catalog.Covered.Count)], Layout.Program, _code, out instruction, out length)
            || (instruction.RflagsUndefined != RflagsBits.None && !rng.OneIn(8)));

        Aim(ref rng, _code.AsSpan(0, length));
        List<byte> bytes = [.. _code.AsSpan(0, length)];
        for (int change = rng.OneIn(4) ? 0 : 1 + rng.Below(3); change > 0 && bytes.Count > 0; change--)
        {
            Damage(ref rng, bytes);
        }

        return [.. bytes];
    }

    /// <summary>Makes a displacement of four bytes small, or one that reaches the windows from the program.</summary>
    private void Aim(ref Rng rng, Span<byte> code)
    {
        Instruction instruction = _encodings.Decode(code, Layout.Program, out ConstantOffsets offsets);
        if (offsets.DisplacementSize == 4 && !rng.OneIn(8))
        {
            int distance = rng.Below(256) - 128;
            ulong window = Layout.Data + (ulong)(0x800 + distance);
            bool isAbsolute = instruction.MemoryBase == Register.None && instruction.MemoryIndex == Register.None;
            uint displacement = isAbsolute ? (uint)window : instruction.IsIPRelativeMemoryOperand ? (uint)(window - Layout.Program) : (uint)distance;
            MemoryMarshal.Write(code[offsets.DisplacementOffset..], displacement);
        }
    }

    private void Damage(ref Rng rng, List<byte> bytes)
    {
        int at = rng.Below(bytes.Count);
        switch (rng.Below(10))
        {
            case < 4:
                // A prefix, among those that are there most of the time.
                bytes.Insert(rng.OneIn(4) ? at : rng.Below(Math.Min(4, bytes.Count)), Prefix(ref rng));
                break;
            case < 6:
                bytes[at] ^= (byte)(1 << rng.Below(8));
                break;
            case 6:
                int other = rng.Below(bytes.Count);
                (bytes[at], bytes[other]) = (bytes[other], bytes[at]);
                break;
            case 7:
                bytes.RemoveRange(at, bytes.Count - at);
                break;
            case 8:
                bytes.RemoveAt(at);
                break;
            default:
                bytes[at] = (byte)rng.Next();
                break;
        }
    }

    /// <summary>Adds an instruction that changes bytes of another each time it runs: a prefix, the opcode, ModR/M, whatever is there.</summary>
    private void AddPatch(ref Rng rng, List<Step> steps, int group)
    {
        int target = rng.Below(steps.Count);
        int length = steps[target].Bytes.Length;
        byte value = rng.OneIn(2) ? Prefix(ref rng) : rng.OneIn(2) ? (byte)(1 << rng.Below(8)) : (byte)rng.Next();
        (byte[] bytes, int after) = Patch(ref rng, value);
        int at = rng.Below(steps.Count + 1);
        var patch = new Step(bytes)
        {
            Group = group,
            RipOffset = bytes.Length - 4 - after,
            RipEnd = _isLong ? bytes.Length : 0,
            RipStep = target,
            RipTarget = (ulong)(rng.OneIn(3) ? rng.Below(Math.Max(1, length)) : rng.Below(Math.Min(4, Math.Max(1, length)))),
        };
        Step.Insert(steps, patch, at);
    }

    /// <summary>An instruction that writes to a RIP-relative operand, or an absolute one, and how much of it lies behind the displacement.</summary>
    private static (byte[] Bytes, int After) Patch(ref Rng rng, byte value) => rng.Below(8) switch
    {
        0 => ([0x80, 0x05, 0, 0, 0, 0, value], 1), // add byte [], value
        1 => ([0x80, 0x35, 0, 0, 0, 0, value], 1), // xor
        2 => ([0xC6, 0x05, 0, 0, 0, 0, value], 1), // mov
        3 => ([0xFE, 0x05, 0, 0, 0, 0], 0), // inc
        4 => ([0xC0, 0x05, 0, 0, 0, 0, value], 1), // rol
        5 => ([0x66, 0x81, 0x35, 0, 0, 0, 0, value, (byte)rng.Next()], 2), // xor word
        6 => ([0xF0, 0x80, 0x35, 0, 0, 0, 0, value], 1), // lock xor
        _ => ([0xF6, 0x15, 0, 0, 0, 0], 0), // not
    };
}
