using Iced.Intel;
using Uml.Differential.Tests.Engines;

namespace Uml.Differential.Tests.Running;

/// <summary>Test programs as text.</summary>
internal static class Disassembly
{
    public static List<Instruction> Decode(int bitness, byte[] code)
    {
        Decoder decoder = Decoder.Create(bitness, code, Layout.Program);
        var instructions = new List<Instruction>();
        while (decoder.IP < Layout.Program + (ulong)code.Length)
        {
            instructions.Add(decoder.Decode());
        }

        return instructions;
    }

    public static IEnumerable<string> Write(int bitness, byte[] code)
    {
        var formatter = new NasmFormatter();
        formatter.Options.FirstOperandCharIndex = 8;
        foreach (Instruction instruction in Decode(bitness, code))
        {
            var output = new StringOutput();
            formatter.Format(instruction, output);
            int offset = (int)(instruction.IP - Layout.Program);
            string bytes = Convert.ToHexStringLower(code.AsSpan(offset, instruction.Length));
            yield return $"{instruction.IP:x}  {bytes,-24} {output.ToStringAndReset()}   ; {instruction.Code}";
        }
    }
}
