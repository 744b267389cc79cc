namespace Uml.Hosting.Assets;

/// <summary>An unpacked kernel package.</summary>
public sealed record KernelAsset
{
    /// <summary>The package that holds the kernel, <c>linux-image-6.1.0-56-cloud-amd64</c> for example.</summary>
    public required string Package { get; init; }

    /// <summary>The package's version, <c>6.1.192-2</c> for example.</summary>
    public required string PackageVersion { get; init; }

    /// <summary>The kernel's release (<c>uname -r</c>).</summary>
    public required string Release { get; init; }

    /// <summary>The bzImage.</summary>
    public required string ImagePath { get; init; }

    /// <summary>The kernel's build configuration; null when the package has none.</summary>
    public string? ConfigPath { get; init; }

    /// <summary>The directory with the kernel's modules; null when the package has none.</summary>
    public string? ModulesDirectory { get; init; }
}
