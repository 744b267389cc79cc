using Uml.Storage.Formats.UmlCow;

namespace Uml.Storage.Tests.Formats.UmlCow;

/// <summary>Files that are made by us and by User Mode Linux's own tools, used by the other.</summary>
public sealed class UmlCowToolsTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [TestCase(1 << 20)]
    [TestCase(100 * 512)]
    [TestCase((1 << 20) + 3584)]
    public async Task A_file_of_uml_mkcow_is_written_and_merged_by_uml_moo(int length)
    {
        byte[] image = MakeImage(length);
        PeerTool.Run("uml-utilities", "uml_mkcow", _folder["cow"], _folder["image"]);
        BlockModel model;
        await using (UmlCowBlockDevice device = UmlCowBlockDevice.Open(_folder["cow"]))
        {
            model = new(device, image, length);
            await model.RunAsync(60);
        }

        PeerTool.Run("uml-utilities", "uml_moo", _folder["cow"], _folder["merged"]);
        Assert.That(await File.ReadAllBytesAsync(_folder["merged"]), Is.EqualTo(model.Contents));
    }

    [Test]
    public async Task A_file_of_ours_is_merged_by_uml_moo_into_its_image()
    {
        byte[] image = MakeImage(1 << 20);
        UmlCowBlockDevice.Create(_folder["cow"], _folder["image"]);
        BlockModel model;
        await using (UmlCowBlockDevice device = UmlCowBlockDevice.Open(_folder["cow"]))
        {
            model = new(device, image, 7);
            await model.RunAsync(60);
        }

        PeerTool.Run("uml-utilities", "uml_moo", "-d", _folder["cow"]);
        Assert.That(await File.ReadAllBytesAsync(_folder["image"]), Is.EqualTo(model.Contents));
    }

    [Test]
    public void New_files_are_the_same_as_those_of_uml_mkcow()
    {
        MakeImage(100_000 * 512);
        PeerTool.Run("uml-utilities", "uml_mkcow", _folder["theirs"], _folder["image"]);
        UmlCowBlockDevice.Create(_folder["ours"], _folder["image"]);

        Assert.That(File.ReadAllBytes(_folder["ours"]).AsSpan().SequenceEqual(File.ReadAllBytes(_folder["theirs"])));
    }

    private byte[] MakeImage(int length)
    {
        byte[] image = new byte[length];
        new Random(length).NextBytes(image);
        File.WriteAllBytes(_folder["image"], image);
        return image;
    }
}
