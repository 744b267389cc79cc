using Uml.Storage.Blocks;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>What is wrong with an image, in words.</summary>
internal static class Qcow2Errors
{
    /// <summary>Found when it was opened.</summary>
    public static DiskImageException Unusable(string path, string what) => new($"'{path}' is no usable qcow2 image: {what}.");

    /// <summary>Found by a request.</summary>
    public static BlockIOException Damaged(string path, string what) =>
        new($"'{path}' is damaged: {what}. Close it, and check and repair it (Qcow2Check).");
}
