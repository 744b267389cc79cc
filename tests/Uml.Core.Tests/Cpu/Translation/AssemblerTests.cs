using System.Reflection;
using Uml.Core.Cpu.Emit;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>Emitted code is written by named instructions: bytes and opcodes are the assembler's own business.</summary>
[TestFixture]
public sealed class AssemblerTests
{
    private const BindingFlags Declared = BindingFlags.DeclaredOnly | BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic;

    private static readonly string[] s_parts = ["Byte", "Int32", "Int64", "Immediate", "Rex", "Vex", "ModRmRegister", "ModRmMemory", "Register", "Memory", "Sized"];

    [Test]
    public void Nothing_but_the_assembler_can_write_a_part_of_an_instruction([ValueSource(nameof(s_parts))] string part)
    {
        MethodInfo[] methods = [.. typeof(InstructionWriter).GetMethods(Declared).Where(method => method.Name == part)];
        Assert.That(methods, Is.Not.Empty);
        Assert.That(methods.Where(method => !method.IsFamily && !method.IsPrivate), Is.Empty);
    }

    [Test]
    public void The_assembler_lies_in_the_folder_of_emitted_code()
    {
        IEnumerable<Type> writers = typeof(InstructionWriter).Assembly.GetTypes().Where(typeof(InstructionWriter).IsAssignableFrom);
        Assert.That(writers.Where(type => type.Namespace != typeof(InstructionWriter).Namespace), Is.Empty);
    }

    /// <summary>But those that write an instruction of the guest again, which take what the decoder says.</summary>
    [Test]
    public void No_instruction_takes_an_opcode()
    {
        IEnumerable<string> offenders =
            from type in new[] { typeof(InstructionWriter), typeof(BranchAssembler), typeof(IntegerAssembler), typeof(HostAssembler) }
            from method in type.GetMethods(Declared)
            where method.IsPublic && method.GetParameters().Any(parameter => parameter is { Name: "opcode" } && parameter.ParameterType == typeof(int))
            select $"{type.Name}.{method.Name}";
        Assert.That(offenders, Is.Empty);
    }
}
