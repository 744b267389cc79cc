using System.Runtime.InteropServices;
using Uml.Differential.Tests.Engines;

namespace Uml.Differential.Tests.Generation;

/// <summary>A piece of a program that stays together, with the places in it that depend on where it ends up.</summary>
/// <param name="Bytes">One or a few instructions.</param>
internal sealed record Step(byte[] Bytes)
{
    /// <summary>Steps of one group make sense only together; shrinking removes them together.</summary>
    public int Group { get; init; } = -1;

    /// <summary>Number of the step that the relative branch at the end of <see cref="Bytes"/> goes to, or -1; the count of steps is the end.</summary>
    public int Target { get; init; } = -1;

    /// <summary>Size of that branch's displacement, which ends the step: 1 or 4.</summary>
    public int TargetSize { get; init; }

    /// <summary>Offset of the displacement of a RIP-relative operand, or -1.</summary>
    public int RipOffset { get; init; } = -1;

    /// <summary>End of the instruction with that operand; 0 when the operand is an absolute address, as in 32-bit code.</summary>
    public int RipEnd { get; init; }

    /// <summary>What the operand refers to.</summary>
    public ulong RipTarget { get; init; }

    /// <summary>Number of the step the operand refers to, for code that changes itself, or -1: <see cref="RipTarget"/> is an offset in it then.</summary>
    public int RipStep { get; init; } = -1;

    /// <summary>Lays steps out one behind another from <see cref="Layout.Program"/>.</summary>
    /// <returns>False when a short branch does not reach its target.</returns>
    public static bool TryLink(IReadOnlyList<Step> steps, out byte[] code)
    {
        int[] offsets = new int[steps.Count + 1];
        for (int i = 0; i < steps.Count; i++)
        {
            offsets[i + 1] = offsets[i] + steps[i].Bytes.Length;
        }

        code = new byte[offsets[^1]];
        for (int i = 0; i < steps.Count; i++)
        {
            Step step = steps[i];
            Span<byte> bytes = code.AsSpan(offsets[i], step.Bytes.Length);
            step.Bytes.CopyTo(bytes);
            if (step.RipOffset >= 0)
            {
                ulong next = step.RipEnd == 0 ? 0 : Layout.Program + (ulong)(offsets[i] + step.RipEnd);
                ulong target = step.RipStep < 0 ? step.RipTarget : Layout.Program + (ulong)offsets[step.RipStep] + step.RipTarget;
                MemoryMarshal.Write(bytes[step.RipOffset..], (uint)(target - next));
            }

            if (step.Target < 0)
            {
                continue;
            }

            int distance = offsets[step.Target] - offsets[i + 1];
            if (step.TargetSize == 1 && distance != (sbyte)distance)
            {
                return false;
            }

            if (step.TargetSize == 1)
            {
                bytes[^1] = (byte)distance;
            }
            else
            {
                MemoryMarshal.Write(bytes[^4..], distance);
            }
        }

        return true;
    }

    /// <summary>The same step among others that have new numbers.</summary>
    public Step Renumber(int[] numbers) => this with
    {
        Target = Target < 0 ? -1 : numbers[Target],
        RipStep = RipStep < 0 ? -1 : numbers[RipStep],
    };

    /// <summary>Inserts a step, whose own references count the steps as they were.</summary>
    public static void Insert(List<Step> steps, Step step, int at)
    {
        int[] numbers = [.. Enumerable.Range(0, steps.Count + 1).Select(i => i < at ? i : i + 1)];
        for (int i = 0; i < steps.Count; i++)
        {
            steps[i] = steps[i].Renumber(numbers);
        }

        steps.Insert(at, step.Renumber(numbers));
    }

    /// <summary>The steps without those of one group or the single one at <paramref name="index"/>; branches to what went go to what follows.</summary>
    public static List<Step> Without(IReadOnlyList<Step> steps, int index)
    {
        int group = steps[index].Group;
        bool[] gone = [.. steps.Select((step, i) => i == index || (group >= 0 && step.Group == group))];
        int[] numbers = new int[steps.Count + 1];
        for (int i = 0; i < steps.Count; i++)
        {
            numbers[i + 1] = numbers[i] + (gone[i] ? 0 : 1);
        }

        var kept = new List<Step>();
        for (int i = 0; i < steps.Count; i++)
        {
            if (!gone[i])
            {
                kept.Add(steps[i].Renumber(numbers));
            }
        }

        return kept;
    }
}
