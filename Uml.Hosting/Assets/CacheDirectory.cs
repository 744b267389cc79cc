using System.Globalization;
using Uml.Hosting.Interop;

namespace Uml.Hosting.Assets;

/// <summary>The default directory of assets, which no other user can write to.</summary>
internal static class CacheDirectory
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private const int OthersMayWrite = 0x12; // S_IWGRP | S_IWOTH
    private const int Permissions = 0x1FF;
    private const int Sticky = 0x200; // S_ISVTX: only the owner may replace what is in it

    /// <summary>Chooses the directory.</summary>
    /// <param name="cacheHome">XDG_CACHE_HOME. The XDG Base Directory Specification has relative paths ignored.</param>
    /// <param name="home">The user's home directory; empty or the root directory when there is none.</param>
    /// <param name="temporary">The directory of temporary files, where one of the user's own is made when there is no home.</param>
    /// <exception cref="GuestAssetException">The directory exists and is not the user's own.</exception>
    public static string Choose(string? cacheHome, string home, string temporary)
    {
        if (Path.IsPathRooted(cacheHome))
        {
            return Path.Combine(cacheHome, "uml");
        }

        // The runtime, and containers, say "/" of a user that the host does not know.
        return Path.IsPathRooted(home) && home != "/" ? Path.Combine(home, ".cache", "uml") : ChooseWithoutHome(temporary);
    }

    /// <summary>Makes a directory that only this user may enter, if it is not there.</summary>
    public static void Create(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(path);
        }
        else
        {
            Directory.CreateDirectory(path, Private);
        }
    }

    private static string ChooseWithoutHome(string temporary)
    {
        if (!OperatingSystem.IsLinux())
        {
            throw Refuse("This user has no home directory to keep guest assets in.");
        }

        // The name is predictable, so an existing directory has to be owned by this user, which no other user can bring about.
        uint user = Stat.GetEffectiveUser();
        string path = Path.Combine(temporary, string.Create(CultureInfo.InvariantCulture, $"uml-{user}"));
        if (Stat.Read(Path.GetFullPath(temporary)) is { } parent && (parent.Mode & OthersMayWrite) != 0 && (parent.Mode & Sticky) == 0)
        {
            throw Refuse($"This user has no home directory, and others may replace what is in '{temporary}'.");
        }

        try
        {
            Create(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Refuse($"This user has no home directory, and '{path}' cannot be made: {e.Message}", e);
        }

        FileStatus status = Stat.Read(path) ?? throw Refuse($"This user has no home directory, and '{path}' cannot be looked at.");
        if ((status.Mode & Stat.TypeMask) != Stat.DirectoryType || status.User != user || (status.Mode & Permissions) != (int)Private)
        {
            throw Refuse($"This user has no home directory, and '{path}' is not a directory of this user's alone (mode 0700, no link).");
        }

        return path;
    }

    private static GuestAssetException Refuse(string what, Exception? cause = null)
    {
        string message = $"{what} Set XDG_CACHE_HOME, or {nameof(GuestAssetCacheOptions)}.{nameof(GuestAssetCacheOptions.Directory)}, to a directory of this user's.";
        return cause is null ? new GuestAssetException(message) : new GuestAssetException(message, cause);
    }
}
