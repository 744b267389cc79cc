using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Uml.Conventions.Tests;

/// <summary>What the SDK gives the compiler beside a project's own files.</summary>
internal static class SourceCompilation
{
    /// <summary>The SDK's implicit usings.</summary>
    public static SyntaxTree ImplicitUsings(CSharpParseOptions options) => CSharpSyntaxTree.ParseText(
        "global using System; global using System.Collections.Generic; global using System.IO; global using System.Linq;"
        + "global using System.Net.Http; global using System.Threading; global using System.Threading.Tasks;",
        options);

    /// <summary>The runtime, the libraries of this repository, and what they are built on.</summary>
    public static IEnumerable<MetadataReference> References()
    {
        foreach (string library in Repository.Libraries)
        {
            Repository.Load(library);
        }

        string trusted = (string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!;
        return trusted.Split(Path.PathSeparator).Select(path => MetadataReference.CreateFromFile(path));
    }
}
