using System.Text.Json;
using Uml.Storage.FileSystems.Trees;
using Uml.Storage.Images;

namespace Uml.Storage.FileSystems.Sources;

/// <summary>
/// An image of containers: a directory in the OCI image layout (OCI image specification 1.1), the same in a tar archive, or a tar archive that
/// <c>docker save</c> made. Layers are laid over each other with what they remove, and all that has a digest is checked.
/// </summary>
public sealed class OciImageSource : IFileTreeSource
{
    /// <summary>Annotation of a manifest in an index: its name ("Pre-Defined Annotation Keys").</summary>
    private const string NameAnnotation = "org.opencontainers.image.ref.name";

    /// <summary>Indexes may name indexes; a limit of ours.</summary>
    private const int MaximumDepth = 4;

    /// <summary>As container runtimes have at the most.</summary>
    private const int MaximumLayers = 512;

    private readonly string _path;
    private readonly OciImageOptions _options;

    /// <summary>Names an image.</summary>
    /// <param name="path">The directory, or the tar archive.</param>
    /// <param name="options">Which image of it, and how it is read; defaults when null.</param>
    public OciImageSource(string path, OciImageOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        (_path, _options) = (path, options ?? new OciImageOptions());
    }

    /// <inheritdoc/>
    public void AddTo(FileTree tree, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(tree);
        FileTree files = new();
        tree.Own(files);
        IFileTreeSource source = Directory.Exists(_path)
            ? new DirectorySource(_path, new DirectorySourceOptions { ReadsExtendedAttributes = false }) : new TarSource(_path, _options.Layers);
        source.AddTo(files, cancellationToken);
        ArchiveLimits limits = new(_options.Layers);
        List<FileContent> layers = FindLayers(files, cancellationToken);
        for (int i = 0; i < layers.Count; i++)
        {
            ArchiveFile file = ArchiveFile.Open(layers[i].OpenRead(), $"{_path}, layer {i + 1} of {layers.Count}", path: null, limits, cancellationToken);
            tree.Own(file);
            new TarLayer(tree, file, _options.Layers, limits).AddOver(cancellationToken);
        }
    }

    /// <summary>Finds the layers, the lowest first.</summary>
    private List<FileContent> FindLayers(FileTree files, CancellationToken cancellationToken)
    {
        OciBlobs blobs = new(files, _path, _options.Layers.MaximumBytes);
        try
        {
            return files.Find("index.json") is null && files.Find("manifest.json") is not null ? ListDockerLayers(blobs) : ListLayers(blobs, cancellationToken);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new ImageContentException($"'{_path}' has a manifest that is damaged: {e.Message} Get the image again.", e);
        }
    }

    private List<FileContent> ListLayers(OciBlobs blobs, CancellationToken cancellationToken)
    {
        using JsonDocument index = blobs.ReadJson("index.json");
        JsonElement entry = Choose(index.RootElement, _options.Name); // valid as long as the index
        for (int depth = 0; depth < MaximumDepth; depth++)
        {
            using JsonDocument document = blobs.ReadJson(entry, cancellationToken);
            if (document.RootElement.TryGetProperty("layers", out JsonElement layers))
            {
                CheckCount(layers);
                return [.. layers.EnumerateArray().Select(layer => blobs.Find(layer, cancellationToken))];
            }

            entry = Choose(document.RootElement, name: null).Clone();
        }

        throw new ImageContentException($"'{_path}' has indexes of indexes of more than {MaximumDepth} levels; it is hostile or damaged: do not use it.");
    }

    /// <summary>manifest.json of <c>docker save</c>: a list of images, each with the paths of its layers, the lowest first.</summary>
    private List<FileContent> ListDockerLayers(OciBlobs blobs)
    {
        using JsonDocument manifest = blobs.ReadJson("manifest.json");
        foreach (JsonElement image in manifest.RootElement.EnumerateArray())
        {
            if (_options.Name is null
                || (image.TryGetProperty("RepoTags", out JsonElement tags) && tags.ValueKind == JsonValueKind.Array && tags.EnumerateArray().Any(tag => tag.GetString() == _options.Name)))
            {
                JsonElement layers = image.GetProperty("Layers");
                CheckCount(layers);
                return [.. layers.EnumerateArray().Select(layer => blobs.FindPath(layer.GetString() ?? ""))];
            }
        }

        throw NotFound(_options.Name ?? "any", []);
    }

    private void CheckCount(JsonElement layers)
    {
        if (layers.GetArrayLength() > MaximumLayers)
        {
            throw new ImageContentException($"'{_path}' has {layers.GetArrayLength()} layers; the limit against hostile images is {MaximumLayers}.");
        }
    }

    /// <summary>Takes the manifest of a name, or for the platform; one that states none is for any.</summary>
    private JsonElement Choose(JsonElement index, string? name)
    {
        List<string> names = [];
        JsonElement? unnamed = null;
        foreach (JsonElement entry in index.GetProperty("manifests").EnumerateArray())
        {
            string label = entry.TryGetProperty("annotations", out JsonElement notes) && notes.TryGetProperty(NameAnnotation, out JsonElement value) ? value.GetString() ?? "" : "";
            string platform = entry.TryGetProperty("platform", out JsonElement of)
                ? $"{of.GetProperty("os").GetString()}/{of.GetProperty("architecture").GetString()}" : "";
            names.Add($"'{label}' {platform}".Trim());
            if (name is not null && label != name)
            {
                continue;
            }

            if (platform == _options.Platform)
            {
                return entry;
            }

            unnamed ??= platform.Length == 0 ? entry : null;
        }

        return unnamed ?? throw NotFound(name ?? _options.Platform, names);
    }

    private ImageContentException NotFound(string wanted, List<string> names) =>
        new($"'{_path}' has no image '{wanted}' for {_options.Platform}; it has: {string.Join(", ", names.Take(20))}.");
}

/// <summary>Which image is taken of a layout, and how.</summary>
public sealed record OciImageOptions
{
    /// <summary>The image's name: what stands behind the colon, or with <c>docker save</c> the whole tag. The first one for the platform when null.</summary>
    public string? Name { get; init; }

    /// <summary>What the image has to be for; linux/amd64 unless set.</summary>
    public string Platform { get; init; } = "linux/amd64";

    /// <summary>How the archives of the layers are read. What they may have at most is for all of them together.</summary>
    public TarSourceOptions Layers { get; init; } = new();
}
