using Uml.Differential.Tests.Engines;

namespace Uml.Differential.Tests.Generation;

/// <summary>
/// Makes programs, on request where it gets difficult: memory operands around the ends of pages, of which some are read-only or missing,
/// and stores into the immediates of instructions of the same program.
/// </summary>
internal sealed class ProgramGenerator(FormCatalog catalog)
{
    private const int Stack = 4, FirstPatchGroup = 1000;

    /// <summary>Those out of reach of 32-bit code come last.</summary>
    private static readonly ulong[] s_edges =
    [
        Layout.Data, Layout.Data + Layout.PageSize, Layout.ReadOnlyData, Layout.ReadOnlyData + Layout.PageSize,
        Layout.Stack + Layout.PageSize, Layout.High, Layout.High + Layout.PageSize,
    ];

    private readonly SequenceGenerator _sequences = new(catalog);
    private readonly ByteGenerator _bytes = new(catalog);
    private readonly bool _isLong = catalog.Bitness == 64;
    private readonly int _edges = s_edges.Count(edge => catalog.Bitness == 64 || edge <= uint.MaxValue);

    private int Word => _isLong ? sizeof(ulong) : sizeof(uint);

    public TestCase Create(ProgramKind kind, ulong seed)
    {
        if (kind == ProgramKind.Bytes)
        {
            return _bytes.Create(seed);
        }

        TestCase test = _sequences.Create(seed);
        var rng = new Rng(~seed);
        test.Kind = kind;
        switch (kind)
        {
            case ProgramKind.PageEnd:
                MoveToPageEnd(test, ref rng);
                break;
            case ProgramKind.SelfModifying:
                MakeSelfModifying(test, ref rng);
                break;
        }

        return test;
    }

    private void MoveToPageEnd(TestCase test, ref Rng rng)
    {
        ulong edge = s_edges[rng.Below(_edges)];
        test.State.Gprs[_sequences.Base] = edge + (ulong)(rng.Below(40) - 30);
        if (rng.OneIn(3))
        {
            ulong end = Layout.Stack + (rng.OneIn(2) ? (ulong)Layout.PageSize : 0);
            test.State.Gprs[Stack] = end + (ulong)(rng.Below(48) - 24);
            if (end == edge)
            {
                RemoveCalls(test);
            }
        }
    }

    /// <summary>
    /// For where operands are on the stack: with another return address a program goes to the middle of its instructions, which may leave
    /// flags undefined.
    /// </summary>
    private static void RemoveCalls(TestCase test)
    {
        const byte call = 0xE8;
        for (int i = test.Steps.Count - 1; i >= 0; i--)
        {
            if (i < test.Steps.Count && test.Steps[i].Bytes[0] == call)
            {
                test.Steps = Step.Without(test.Steps, i);
            }
        }
    }

    /// <summary>Adds stores to immediates of the program's own instructions, in front of them and behind.</summary>
    private void MakeSelfModifying(TestCase test, ref Rng rng)
    {
        while (true)
        {
            List<Step> steps = [.. test.Steps];
            for (int patch = 1 + rng.Below(4); patch > 0; patch--)
            {
                AddPatch(ref rng, steps, FirstPatchGroup + patch);
            }

            if (Step.TryLink(steps, out byte[] code) && code.Length <= Layout.MaxProgramSize)
            {
                test.Steps = steps;
                return;
            }
        }
    }

    /// <summary>MOV of as wide an immediate as there is somewhere, and a store to it somewhere.</summary>
    private void AddPatch(ref Rng rng, List<Step> steps, int group)
    {
        int register = Free(ref rng);
        byte[] target = [.. Rex(0x48 | (register >> 3)), (byte)(0xB8 | (register & 7)), .. new byte[Word]];
        int immediate = target.Length - Word;
        rng.Fill(target.AsSpan(immediate));
        int place = Insert(ref rng, steps, new Step(target) { Group = group });
        byte[] store = Store(ref rng, out int displacement, out int size);
        var step = new Step(store)
        {
            Group = group,
            RipOffset = displacement,
            RipEnd = _isLong ? store.Length : 0,
            RipStep = place,
            RipTarget = (ulong)(immediate + rng.Below(Word + 1 - size)),
        };

        // Right in front of what it changes half of the time.
        Insert(ref rng, steps, step, rng.OneIn(2) ? place : -1);
    }

    /// <summary>A prefix that 32-bit code has not.</summary>
    private byte[] Rex(int rex) => _isLong ? [(byte)rex] : [];

    /// <summary>An instruction that writes to a RIP-relative operand, or in 32-bit code to an absolute address.</summary>
    private byte[] Store(ref Rng rng, out int displacement, out int size)
    {
        int register = Free(ref rng);
        byte modRm = (byte)(5 | ((register & 7) << 3));
        byte[] rex = Rex(0x40 | ((register >> 3) << 2)), wide = Rex(0x48 | ((register >> 3) << 2));
        byte any = (byte)rng.Next();
        (byte[] Bytes, int Size, int After)[] forms =
        [
            ([0xC6, 0x05, 0, 0, 0, 0, any], 1, 1), // mov [], imm8
            ([.. rex, 0x88, modRm, 0, 0, 0, 0], 1, 0), // mov [], r8
            ([.. rex, 0x89, modRm, 0, 0, 0, 0], 4, 0), // mov [], r32
            ([.. wide, 0x89, modRm, 0, 0, 0, 0], Word, 0), // mov [], r64
            ([.. rex, 0x01, modRm, 0, 0, 0, 0], 4, 0), // add [], r32
            ([.. wide, 0x11, modRm, 0, 0, 0, 0], Word, 0), // adc [], r64
            ([0xFE, 0x05, 0, 0, 0, 0], 1, 0), // inc byte []
            ([0xF0, 0xFE, 0x0D, 0, 0, 0, 0], 1, 0), // lock dec byte []
            ([.. rex, 0x87, modRm, 0, 0, 0, 0], 4, 0), // xchg [], r32
            ([.. wide, 0x0F, 0xC1, modRm, 0, 0, 0, 0], Word, 0), // xadd [], r64
            ([0x66, .. rex, 0x0F, (byte)(_isLong ? 0xD6 : 0x7E), modRm, 0, 0, 0, 0], Word, 0), // movq or movd [], xmm
            ([0x0F, 0x90, 0x05, 0, 0, 0, 0], 1, 0), // seto []
        ];
        (byte[] bytes, size, int after) = forms[rng.Below(forms.Length)];
        displacement = bytes.Length - 4 - after;
        return bytes;
    }

    private int Free(ref Rng rng)
    {
        int register;
        do
        {
            register = rng.Below(_isLong ? 16 : 8);
        }
        while (_sequences.IsReserved(register));

        return register;
    }

    private static int Insert(ref Rng rng, List<Step> steps, Step step, int at = -1)
    {
        at = at < 0 ? rng.Below(steps.Count + 1) : at;
        Step.Insert(steps, step, at);
        return at;
    }
}
