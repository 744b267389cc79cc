namespace Uml.Storage.FileSystems.Trees;

/// <summary>What an entry of a file system is.</summary>
public enum FileKind
{
    /// <summary>A directory.</summary>
    Directory,

    /// <summary>A file with contents.</summary>
    Regular,

    /// <summary>A symbolic link.</summary>
    SymbolicLink,

    /// <summary>A node of a device of characters.</summary>
    CharacterDevice,

    /// <summary>A node of a device of blocks.</summary>
    BlockDevice,

    /// <summary>A named pipe.</summary>
    Fifo,

    /// <summary>A socket that was left behind.</summary>
    Socket,
}
