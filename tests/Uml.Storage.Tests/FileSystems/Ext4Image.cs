using Uml.Storage.FileSystems.Ext4;
using Uml.Storage.FileSystems.Trees;

namespace Uml.Storage.Tests.FileSystems;

/// <summary>An image in a folder of the test's, looked at with the programs of e2fsprogs.</summary>
internal sealed class Ext4Image(string path)
{
    private const string Package = "e2fsprogs";

    public string Path => path;

    /// <summary>Writes a tree, and has it checked.</summary>
    public static async Task<Ext4Image> WriteAsync(FileTree tree, string path, Ext4Options? options = null)
    {
        await Ext4Writer.CreateAsync(tree, path, options);
        Ext4Image image = new(path);
        image.Check();
        return image;
    }

    /// <summary>Neither an error nor anything that could be better.</summary>
    public void Check()
    {
        string output = PeerTool.Run(Package, "e2fsck", "-f", "-n", path);
        Assert.That(output, Does.Not.Contain("Fix").And.Not.Contain("optimized").And.Not.Contain("Clear"), output);
    }

    public string Header() => PeerTool.Run(Package, "dumpe2fs", "-h", path);

    public string Ask(string command) => PeerTool.Run(Package, "debugfs", "-R", command, path).Replace("debugfs 1.47.0 (5-Feb-2023)\n", "", StringComparison.Ordinal);

    public byte[] Dump(string file)
    {
        string copy = path + ".dump";
        Ask($"dump {file} {copy}");
        byte[] bytes = File.ReadAllBytes(copy);
        File.Delete(copy);
        return bytes;
    }
}
