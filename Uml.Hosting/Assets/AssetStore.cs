namespace Uml.Hosting.Assets;

/// <summary>
/// The directory with unpacked packages: <c>packages/</c> has one directory a package and version, <c>names/</c> one file for each name
/// asked for that says which package it was, <c>apt/</c> private package lists, <c>tmp/</c> work in progress of the holder of <c>lock</c>.
/// A directory appears in <c>packages/</c> by a rename, so it was complete then; <see cref="PackageManifest"/> checks whether it still is.
/// </summary>
internal sealed class AssetStore(string root)
{
    // EAGAIN of flock(2), and ERROR_SHARING_VIOLATION: the lock is held. Other errors, such as a read-only file system, are permanent.
    private const int WouldBlock = 11, SharingViolation = unchecked((int)0x8007_0020);

    private static readonly TimeSpan _lockRetry = TimeSpan.FromMilliseconds(100);

    /// <summary>The directory.</summary>
    public string Root { get; } = root;

    /// <summary>The directory of private package lists.</summary>
    public string AptDirectory(string suite) => Path.Combine(Root, "apt", suite);

    /// <summary>The place of an unpacked package.</summary>
    public string PackageDirectory(string package, string version) =>
        Path.Combine(Root, "packages", $"{package}_{version.Replace(":", "%3a", StringComparison.Ordinal)}");

    /// <summary>Finds a package that was fetched before.</summary>
    /// <param name="name">The name asked for.</param>
    /// <returns>The package, or null.</returns>
    public StoredPackage? Find(AssetName name)
    {
        string pointer = PointerPath(name);
        if (!File.Exists(pointer))
        {
            return null;
        }

        string[] lines = File.ReadAllLines(pointer);
        if (lines.Length < 2)
        {
            return null;
        }

        string directory = PackageDirectory(lines[0], lines[1]);
        return Directory.Exists(directory) ? new StoredPackage(lines[0], lines[1], directory) : null;
    }

    /// <summary>Records the package of a name.</summary>
    public void Remember(AssetName name, StoredPackage package)
    {
        string pointer = PointerPath(name);
        Directory.CreateDirectory(Path.GetDirectoryName(pointer)!);
        string temporary = Path.Combine(CreateTemporaryDirectory(), "name");
        File.WriteAllText(temporary, $"{package.Name}\n{package.Version}\n");
        File.Move(temporary, pointer, overwrite: true);
    }

    /// <summary>Makes an empty directory on the same file system as the packages.</summary>
    public string CreateTemporaryDirectory()
    {
        string directory = Path.Combine(Root, "tmp", Guid.NewGuid().ToString("n"));
        Directory.CreateDirectory(directory);
        return directory;
    }

    /// <summary>Moves a finished directory to a package's place, and removes the former one.</summary>
    public void Publish(string directory, string place)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(place)!);
        if (Path.Exists(place))
        {
            Directory.Move(place, Path.Combine(CreateTemporaryDirectory(), "damaged"));
        }

        Directory.Move(directory, place);
    }

    /// <summary>Waits until no other process or machine is changing the store.</summary>
    /// <param name="progress">Called when it has to wait.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>The lock; disposing releases it. The system releases it when the process ends.</returns>
    public async Task<IDisposable> LockAsync(IProgress<string>? progress, CancellationToken cancellationToken)
    {
        CacheDirectory.Create(Root);
        string path = Path.Combine(Root, "lock");
        bool reported = false;
        while (true)
        {
            try
            {
                return new StoreLock(this, new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
            }
            catch (IOException e) when (e.HResult is WouldBlock or SharingViolation)
            {
                if (!reported)
                {
                    progress?.Report($"Waiting for another process that works in {Root}");
                    reported = true;
                }

                await Task.Delay(_lockRetry, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private string PointerPath(AssetName name) => Path.Combine(Root, "names", name.FileName);

    /// <summary>Only the holder uses tmp/, so files that are in it before and after are leftovers.</summary>
    private sealed class StoreLock : IDisposable
    {
        private readonly AssetStore _store;
        private readonly FileStream _file;

        public StoreLock(AssetStore store, FileStream file)
        {
            _store = store;
            _file = file;
            RemoveTemporary();
        }

        public void Dispose()
        {
            RemoveTemporary();
            _file.Dispose();
        }

        private void RemoveTemporary()
        {
            string temporary = Path.Combine(_store.Root, "tmp");
            if (Directory.Exists(temporary))
            {
                Directory.Delete(temporary, recursive: true);
            }
        }
    }
}

/// <summary>An unpacked package in the store.</summary>
/// <param name="Name">The package.</param>
/// <param name="Version">Its version.</param>
/// <param name="Directory">Where it is unpacked.</param>
internal sealed record StoredPackage(string Name, string Version, string Directory);
