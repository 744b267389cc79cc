namespace Uml.Storage.Interop;

/// <summary>linux/limits.h.</summary>
internal static class Limits
{
    /// <summary>NAME_MAX.</summary>
    public const int NameBytes = 255;

    /// <summary>PATH_MAX without the zero byte that ends a path.</summary>
    public const int PathBytes = 4095;
}
