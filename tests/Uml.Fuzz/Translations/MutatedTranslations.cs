using System.Globalization;
using System.Text;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Verify;
using Uml.Fuzz.Running;

namespace Uml.Fuzz.Translations;

/// <summary>Damages each translation many times, and leaves in it what the checker accepts.</summary>
internal sealed unsafe class MutatedTranslations(FuzzCase test)
{
    private const int Attempts = 60;

    /// <summary>A guest that has gone astray makes hundreds of translations, of bytes that are all alike.</summary>
    private const int MaximumTranslations = 32;

    private readonly StringBuilder _description = new();
    private int _attempted;
    private int _translations;

    /// <summary>How many mutations the checker has accepted.</summary>
    public int Accepted { get; private set; }

    /// <summary>How many mutations were tried so far. Callable from any thread.</summary>
    public int Attempted => Volatile.Read(ref _attempted);

    /// <inheritdoc cref="TranslationHook"/>
    public void Mutate(CodeChecker checker, Block* block, Flavor flavor, in EmittedBlock code)
    {
        if (_translations++ >= MaximumTranslations)
        {
            return;
        }

        _description.Append(CultureInfo.InvariantCulture, $"\n  block at 0x{block->Physical:x}, {flavor}");
        for (int i = 0; i < Attempts; i++)
        {
            Volatile.Write(ref _attempted, _attempted + 1);
            bool isHot = test.Random.OneIn(2);
            byte* start = isHot ? code.Hot : code.Cold, end = isHot ? code.HotEnd : code.ColdEnd;
            if (new CodeMutation(test.Random, start, end).Apply(out Span<byte> where) is not { } before)
            {
                continue;
            }

            if (checker.Check(block, flavor, in code) is not null)
            {
                test.Count("mutants refused");
                before.CopyTo(where);
                continue;
            }

            Accepted++;
            test.Count("mutants accepted");
            Describe(isHot ? "hot" : "cold", start, where, before);

            // A few of them, or many on top of each other.
            if (test.Random.OneIn(3))
            {
                break;
            }
        }

        test.Description = _description.ToString().TrimStart();
    }

    private void Describe(string part, byte* start, ReadOnlySpan<byte> now, ReadOnlySpan<byte> before)
    {
        // SAFETY: only the address counts; code memory does not move.
        fixed (byte* at = now)
        {
            _description.Append(CultureInfo.InvariantCulture, $"\n    {part}+0x{at - start:x}: {Disassemble(before, at)} -> {Disassemble(now, at)}");
        }
    }

    private static string Disassemble(ReadOnlySpan<byte> bytes, byte* at)
    {
        var decoder = Iced.Intel.Decoder.Create(64, bytes.ToArray(), (ulong)at);
        List<string> text = [];
        while (decoder.IP < (ulong)(at + bytes.Length))
        {
            text.Add(decoder.Decode().ToString());
        }

        return string.Join("; ", text);
    }
}
