using System.Security.Cryptography;
using System.Text.Json;
using Uml.Storage.FileSystems.Trees;
using Uml.Storage.Images;

namespace Uml.Storage.FileSystems.Sources;

/// <summary>The files of a layout of images, most of which are called by their SHA-256 (OCI image specification, "Image Layout").</summary>
/// <param name="files">The layout.</param>
/// <param name="name">What messages call it.</param>
/// <param name="maximumBytes">The most that all may have that are read; holes of an archive cost nothing, and take as long to read as data.</param>
internal sealed class OciBlobs(FileTree files, string name, long maximumBytes)
{
    private const string Algorithm = "sha256:";

    /// <summary>The specification asks readers to take 4 MiB at least, and not much more.</summary>
    private const int MaximumJsonBytes = 4 << 20;

    private const int CopyBytes = 1 << 20;

    private long _bytes;

    /// <exception cref="ImageContentException">It is not there, or too large.</exception>
    public JsonDocument ReadJson(string path) => Parse(FindPath(path), path);

    /// <summary>Reads what a descriptor stands for.</summary>
    public JsonDocument ReadJson(JsonElement descriptor, CancellationToken cancellationToken) =>
        Parse(Find(descriptor, cancellationToken), descriptor.GetProperty("digest").GetString()!);

    /// <summary>Finds what a descriptor stands for, and checks it.</summary>
    /// <exception cref="ImageContentException">It is not there, or not what the descriptor says.</exception>
    public FileContent Find(JsonElement descriptor, CancellationToken cancellationToken)
    {
        string digest = descriptor.GetProperty("digest").GetString() ?? "";
        long size = descriptor.GetProperty("size").GetInt64();
        string hash = digest.StartsWith(Algorithm, StringComparison.Ordinal) ? digest[Algorithm.Length..] : "";
        if (hash.Length != 2 * SHA256.HashSizeInBytes || !hash.All(char.IsAsciiHexDigitLower))
        {
            throw new ImageContentException($"'{name}' has the digest '{digest[..Math.Min(digest.Length, 100)]}', which is none of SHA-256; no other is known here.");
        }

        FileContent blob = FindPath($"blobs/sha256/{hash}");
        if (blob.Length != size)
        {
            throw new ImageContentException($"'{name}' has {digest} with {blob.Length} bytes in place of {size}: get it again.");
        }

        if (size > maximumBytes - _bytes)
        {
            throw new ImageContentException($"'{name}' has {digest} with {size} bytes, behind {_bytes} of others; the limit against hostile images is {maximumBytes} for all.");
        }

        _bytes += size;
        string found = Hash(blob, cancellationToken);
        return found == hash ? blob : throw new ImageContentException($"'{name}' has a file for {digest} whose SHA-256 is {found}: it was changed or damaged, get it again.");
    }

    /// <exception cref="ImageContentException">It is not there.</exception>
    public FileContent FindPath(string path) => files.Find(path)?.Content
        ?? throw new ImageContentException($"'{name}' has no file '{path}': it is no image layout, or not all of one. Get it again.");

    private static string Hash(FileContent blob, CancellationToken cancellationToken)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[CopyBytes];
        for (long place = 0; place < blob.Length; place += buffer.Length)
        {
            cancellationToken.ThrowIfCancellationRequested();
            Span<byte> part = buffer.AsSpan(0, (int)Math.Min(buffer.Length, blob.Length - place));
            blob.Read(place, part);
            hash.AppendData(part);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private JsonDocument Parse(FileContent content, string path)
    {
        if (content.Length > MaximumJsonBytes)
        {
            throw new ImageContentException($"'{name}' has a '{path}' of {content.Length} bytes; a manifest has at most {MaximumJsonBytes}.");
        }

        byte[] json = new byte[content.Length];
        content.Read(0, json);
        return JsonDocument.Parse(json);
    }
}
