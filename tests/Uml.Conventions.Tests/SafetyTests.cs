using System.Text.RegularExpressions;

namespace Uml.Conventions.Tests;

[TestFixture]
public sealed partial class SafetyTests
{
    [Test]
    public void Each_file_with_unsafe_code_says_who_upholds_what()
    {
        IEnumerable<string> offenders = Repository.Files(".cs")
            .Select(path => (Path: Repository.Relative(path).Replace(Path.DirectorySeparatorChar, '/'), Text: File.ReadAllText(path)))
            .Where(file => file.Path.StartsWith("samples/", StringComparison.Ordinal) || Repository.Libraries.Contains(file.Path.Split('/')[0]))
            .Where(file => Unsafe().IsMatch(Comment().Replace(file.Text, "")) && !Statement().IsMatch(file.Text))
            .Select(file => $"{file.Path} has unsafe code, and no line that begins with // SAFETY:");
        Assert.That(offenders, Is.Empty);
    }

    [TestCase("internal static unsafe class A;", true)]
    [TestCase("ref T field = ref Unsafe.As<byte, T>(ref bytes[0]);", true)]
    [TestCase("Span<byte> all = MemoryMarshal.CreateSpan(ref first, length);", true)]
    [TestCase("uint bits = Unsafe.BitCast<float, uint>(value);", false)]
    [TestCase("int width = Unsafe.SizeOf<T>();", false)]
    [TestCase("zstd.SetParameter(ZstdSharp.Unsafe.ZSTD_dParameter.A, 1);", false)]
    [TestCase("int a; // unsafe", false)]
    [TestCase("string options = \"--force-unsafe-io\";", false)]
    public void Code_that_no_compiler_checks_is_told_from_other_code(string code, bool isUnsafe) =>
        Assert.That(Unsafe().IsMatch(Comment().Replace(code, "")), Is.EqualTo(isUnsafe));

    /// <summary>What works without the keyword, and is checked neither by the compiler nor when it runs, too.</summary>
    [GeneratedRegex(@"\bunsafe\b(?!-)|(?<![\w.])Unsafe\.(?!BitCast\b|SizeOf\b)|\bMemoryMarshal\.(Create\w*Span|Get\w*Reference|AsRef)\b|\bNativeMemory\.")]
    private static partial Regex Unsafe();

    [GeneratedRegex(@"//.*")]
    private static partial Regex Comment();

    [GeneratedRegex(@"^\s*// SAFETY: \S", RegexOptions.Multiline)]
    private static partial Regex Statement();
}
