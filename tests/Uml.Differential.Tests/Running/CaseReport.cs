using System.Globalization;
using System.Text;
using Iced.Intel;
using Uml.Core.Cpu;
using Uml.Differential.Tests.Comparison;
using Uml.Differential.Tests.Engines;
using Uml.Differential.Tests.Generation;

namespace Uml.Differential.Tests.Running;

/// <summary>What a person needs to understand and replay a case.</summary>
internal static class CaseReport
{
    public static string Write(TestCase test, string reference, string subject, List<string> differences)
    {
        var text = new StringBuilder();
        string prefixes = test.Prefixes is { } bytes ? $" UML_DIFF_PREFIXES={Convert.ToHexStringLower(bytes)}" : "";
        string form = test.Form is { } code ? $" UML_DIFF_CODE={code}{prefixes}"
            : test.Kind != ProgramKind.Sequence ? $" UML_DIFF_KIND={test.Kind}"
            : "";
        string bits = test.Bitness == 32 ? " UML_DIFF_BITS=32" : "";
        string engines = $"{Option("--engine", subject)}{Option("--reference", reference)}";
        text.AppendLine(CultureInfo.InvariantCulture, $"replay: UML_DIFF_SEED=0x{test.Seed:x}{form}{bits} dotnet run -c Release --project tests/Uml.Differential.Tests --{engines}");
        byte[] program = test.Code;
        foreach (string line in Disassembly.Write(test.Bitness, program))
        {
            text.Append("  ").AppendLine(line);
        }

        WriteInput(test, program, text);
        text.AppendLine(CultureInfo.InvariantCulture, $"differences ({subject} against {reference}):");
        foreach (string difference in differences)
        {
            text.Append("  ").AppendLine(difference);
        }

        return text.ToString();
    }

    private static string Option(string name, string executor) => Enum.IsDefined(typeof(CpuEngine), executor) ? $" {name} {executor}" : "";

    private static void WriteInput(TestCase test, byte[] program, StringBuilder text)
    {
        ref MachineSnapshot state = ref test.State;
        var used = new SortedSet<Register>();
        var factory = new InstructionInfoFactory();
        bool usesX87 = false;
        text.AppendLine(CultureInfo.InvariantCulture, $"input: rflags=0x{state.Rflags:x} mxcsr=0x{state.Mxcsr:x} gs=0x{state.GsBase:x}");
        foreach (Instruction instruction in Disassembly.Decode(test.Bitness, program))
        {
            foreach (UsedRegister register in factory.GetInfo(instruction).GetUsedRegisters())
            {
                usesX87 |= register.Register.IsST() || register.Register.IsMM();
                used.Add(register.Register.IsGPR() ? register.Register.GetFullRegister() : register.Register);
            }

            usesX87 |= instruction.CpuidFeatures.Contains(CpuidFeature.FPU);
            WriteMemory(test, instruction, text);
        }

        foreach (Register register in used)
        {
            if (Operands.GprNumber(register) is >= 0 and int number)
            {
                text.AppendLine(CultureInfo.InvariantCulture, $"  {SnapshotComparer.GprName(number)} = 0x{state.Gprs[number]:x}");
            }
            else if (register.IsXMM())
            {
                text.AppendLine(CultureInfo.InvariantCulture, $"  {register} = {SnapshotComparer.Hex(state.Xmm(register - Register.XMM0))}");
            }
            else if (register.IsYMM())
            {
                int slot = register - Register.YMM0;
                text.AppendLine(
                    CultureInfo.InvariantCulture,
                    $"  {register} = {SnapshotComparer.Hex(state.UpperYmm(slot))}'{SnapshotComparer.Hex(state.Xmm(slot))}");
            }
        }

        if (usesX87)
        {
            WriteX87(ref state, text);
        }
    }

    private static void WriteX87(ref MachineSnapshot state, StringBuilder text)
    {
        text.AppendLine(CultureInfo.InvariantCulture, $"  fcw = 0x{state.ControlWord:x} fsw = 0x{state.StatusWord:x} tags = 0x{state.Tags:x}");
        for (int i = 0; i < 8; i++)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"  st({i}) = {SnapshotComparer.Extended(state.St(i))}");
        }
    }

    private static void WriteMemory(TestCase test, in Instruction instruction, StringBuilder text)
    {
        if (!Operands.HasMemory(instruction))
        {
            return;
        }

        ulong address = Operands.EffectiveAddress(instruction, test.Bitness, ref test.State);
        int size = Math.Min(Operands.MemorySize(instruction), 32);
        string content = test.TryGetMemory(address, size, out Span<byte> bytes) ? Convert.ToHexStringLower(bytes) : "outside of one window";
        text.AppendLine(CultureInfo.InvariantCulture, $"  [0x{address:x}] = {content} (at the start)");
    }
}
